//! The wire: performs each action of `parlance_wire::request` and writes its answer. One enum per
//! API is its router; each variant is a documented action.

pub(crate) mod account;
pub(crate) mod answer;
pub(crate) mod availability;
pub(crate) mod blocklist;
pub(crate) mod conversation;
pub(crate) mod conversationgroup;
pub(crate) mod error;
pub(crate) mod file;
pub(crate) mod friends;
mod history;
pub(crate) mod keys;
mod limits;
pub(crate) mod login;
pub(crate) mod notification;
pub(crate) mod reports;
pub(crate) mod workspace;

use crate::{
    chat::{Call, error::Error, rates},
    notify::registry::Fetched,
};
use parlance_wire::{
    request::{
        Signed, account::Action as Account, blocklist::Action as Blocklist,
        conversation::Action as Conversation, conversationgroup::Action as Group,
        friends::Action as Friends, keys::Action as Keys,
    },
    version::ClientVersion,
};

/// Returns `true` if an action may be answered with many rows.
#[must_use]
pub(crate) fn is_read(action: &Signed) -> bool {
    use Conversation::{Download, DownloadPartial, Epochs, List, Transcript};
    // Limited separately (`server/load.rs`): the memory that they take depends on stored data, not
    // on the request.
    matches!(
        action,
        Signed::Conversation(
            List { .. }
                | Download { .. }
                | DownloadPartial { .. }
                | Transcript { .. }
                | Epochs { .. }
        ) | Signed::ConversationGroup(Group::Invitations)
            | Signed::Friends(Friends::List)
            | Signed::Account(Account::Invites)
            | Signed::Blocklist(Blocklist::Blocklist)
            | Signed::Keys(Keys::Get { .. } | Keys::Log { .. })
    )
}

/// The data that the answer to an action gives the station, which need not be notified of it again.
/// A v4 client whose list changed also fetches its invitations, so its `list` alone acknowledges
/// nothing.
#[must_use]
pub(crate) fn acknowledged_by(action: &Signed, version: ClientVersion) -> Option<Fetched> {
    match action {
        // Not `DownloadPartial`, which pages backwards and may leave out what is new.
        Signed::Conversation(Conversation::Download { conversationid, .. }) => {
            Some(Fetched::Conversation(*conversationid))
        }
        // Only the whole list, as a page may lack the conversation that changed.
        Signed::Conversation(Conversation::List {
            limit, after: None, ..
        }) if limit.is_default() && !version.is_v4() => Some(Fetched::List),
        Signed::Friends(Friends::List) => Some(Fetched::Friends),
        Signed::Account(Account::Stations) => Some(Fetched::Stations),
        _ => None,
    }
}

/// Returns `true` if an action changes what concerns the caller alone, and can be repeated for ever.
fn is_own_change(action: &Signed) -> bool {
    use Conversation::{
        Favorite, Hide, Mute, SetListItemBackgroundColor, Unfavorite, Unhide, Unmute,
    };
    // Not `SignOut` and `Revoke`: a thief of a station must not be able to keep its owner from them.
    matches!(
        action,
        Signed::Conversation(
            Favorite { .. }
                | Unfavorite { .. }
                | Mute { .. }
                | Unmute { .. }
                | Hide { .. }
                | Unhide { .. }
                | SetListItemBackgroundColor { .. }
        ) | Signed::Account(
            Account::Invite { .. }
                | Account::RevokeInvite { .. }
                | Account::Profile { .. }
                | Account::EnablePush { .. }
                | Account::DisablePush
                | Account::AckPush
                | Account::ChangeVault { .. }
                | Account::ChangePassword(_)
                | Account::ChangeRecovery(_)
                | Account::ChangeKeys(_)
        ) | Signed::Friends(Friends::Add { .. } | Friends::Accept { .. })
    )
}

/// Performs an action for a user at a station.
// Rare actions are boxed: a future is as large as its largest part, and each request would carry
// that.
pub(crate) async fn perform(call: &mut Call<'_>, action: Signed) -> Result<Vec<u8>, Error> {
    if is_own_change(&action) {
        rates::count_own_change(call)?;
    }
    let answer = match action {
        Signed::Account(action) => Box::pin(account::perform(call, action)).await,
        Signed::Availability(action) => Box::pin(availability::perform(call, action)).await,
        Signed::Friends(action) => Box::pin(friends::perform(call, action)).await,
        Signed::Conversation(action) => conversation::perform(call, action).await,
        Signed::ConversationGroup(action) => {
            Box::pin(conversationgroup::perform(call, action)).await
        }
        Signed::Reports(action) => Box::pin(reports::perform(call, action)).await,
        Signed::Blocklist(action) => Box::pin(blocklist::perform(call, action)).await,
        Signed::Keys(action) => Box::pin(keys::perform(call, action)).await,
        Signed::File(action) => Box::pin(file::perform(call, action)).await,
    }?;
    call.services.pages.append(&call.outbox)?;
    Ok(answer)
}
