//! `srv=chatserver&api=chatblocklist`: the users that the caller blocks, and the conversations that
//! they hide.

use serde::Serialize;

use super::answer::{self, Nothing};
use crate::{
    chat::{self, Call, error::Error},
    store,
};
use parlance_wire::{
    id::{ConversationId, UserId},
    request::blocklist::Action,
};

#[derive(Serialize)]
struct BlocklistView {
    blockedusers: Vec<UserId>,
    blockedconversations: Vec<ConversationId>,
}

/// Performs an action.
pub(crate) async fn perform(call: &mut Call<'_>, action: Action) -> Result<Vec<u8>, Error> {
    match action {
        Action::Blocklist => {
            // Called directly, as there is no rule: every user may read their own list.
            return answer::ok(BlocklistView {
                blockedusers: store::block::blocked_by(&call.services.db, call.user).await?,
                blockedconversations: store::participant::hidden_by(&call.services.db, call.user)
                    .await?,
            });
        }
        Action::Block { userid } => chat::friend::block(call, userid).await?,
        Action::Unblock { userid } => chat::friend::unblock(call, userid).await?,
    }
    answer::ok(Nothing {})
}
