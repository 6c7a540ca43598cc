-- Deletes a user's own rows, $1 with the address $2.
with credentials_gone as (
    -- From now on no key logs in.
    delete from credentials where user_id = $1
), stations_gone as (
    -- Their sockets are closed by the notice of the same commit.
    delete from stations where user_id = $1
), blocks_gone as (
    -- Blocks against the user are kept: a new account with the same address has the same id, and
    -- stays blocked.
    delete from blocks where user_id = $1
), workspaces_gone as (
    -- The host names that they registered are free for others.
    delete from workspaces where user_id = $1
), cards_gone as (
    -- Their entries in the key log stay, and the next card of this id follows them.
    delete from cards where user_id = $1
), secrets_gone as (
    -- Only of direct conversations, as groups have been left already. Epoch by epoch, because in
    -- the primary key the epoch precedes the user.
    delete from epoch_secrets s
    using participants p join epochs e using (conversation_id)
    where p.user_id = $1 and s.conversation_id = p.conversation_id and s.epoch = e.epoch and s.user_id = $1
), unheard_gone as (
    -- Requests of theirs that reached nobody.
    delete from unheard_requests where user_id = $1
), departures_gone as (
    -- Groups that they left or declined: whoever gets this id later has not.
    delete from departures where user_id = $1
), left_gone as (
    -- Friends of theirs who have deleted their accounts, and whom they did not remove yet.
    delete from left_friends where user_id = $1
), uploads_gone as (
    -- Files that messages have are deleted with those. One that is locked is about to be: who holds it waits for a
    -- conversation that is locked here. Its message is refused, and it goes with what is tied to nothing.
    delete from files where file_key = any(array(
        select file_key from files where user_id = $1 and message_seq is null
        for update skip locked
    ))
    returning file_key, user_id, size
), uploads_queued as (
    -- Their bytes are deleted in the background, as those of other files.
    insert into gone_files (file_key, user_id, size) select file_key, user_id, size from uploads_gone
), quotas_gone as (
    -- What they created today. Whoever locked this row to add something finds it gone, and is refused.
    delete from quotas where user_id = $1
), limits_gone as (
    -- Limits that an operator set for them.
    delete from user_limits where user_id = $1
), resets_gone as (
    -- An account that no longer exists cannot be reset.
    delete from invites where purpose = 'reset' and email = $2
), uses_gone as (
    -- Whose invitation they came with.
    delete from invite_uses where user_id = $1
)
-- The user's invitations: existing accounts stay, but no further ones can be created.
update invites set inviter_id = null, email = null, revoked_at = coalesce(revoked_at, now()) where inviter_id = $1
