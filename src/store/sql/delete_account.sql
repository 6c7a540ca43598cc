-- Deletes what a user had for themselves, $1 with the address $2.
with credentials_gone as (
    delete from credentials where user_id = $1
), stations_gone as (
    delete from stations where user_id = $1
), blocks_gone as (
    -- Not those against the user: whoever registers with the address next is the same id to those who blocked it.
    delete from blocks where user_id = $1
), workspaces_gone as (
    delete from workspaces where user_id = $1
), cards_gone as (
    -- Their entries in the key log stay: the next card of this id follows them.
    delete from cards where user_id = $1
), secrets_gone as (
    -- Of direct conversations: groups have been left. Epoch by epoch, as the key has the epoch before the user.
    delete from epoch_secrets s
    using participants p join epochs e using (conversation_id)
    where p.user_id = $1 and s.conversation_id = p.conversation_id and s.epoch = e.epoch and s.user_id = $1
), departures_gone as (
    delete from departures where user_id = $1
), left_gone as (
    delete from left_friends where user_id = $1
), quotas_gone as (
    delete from quotas where user_id = $1
), resets_gone as (
    -- Nobody gets the keys of an account that is not there.
    delete from invites where purpose = 'reset' and email = $2
), uses_gone as (
    delete from invite_uses where user_id = $1
)
-- Invitations by the user: who came with one is there; nobody comes any more.
update invites set inviter_id = null, email = null, revoked_at = coalesce(revoked_at, now()) where inviter_id = $1
