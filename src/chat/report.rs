//! Reports: who has had, and who has seen, which messages.

use super::{Call, error::Error, event::Event};
use crate::{
    model::{
        id::{ConversationId, MessageId},
        text::Instance,
    },
    store::{self, report::NewReport},
};

/// Reports that the caller had (`delivered`) or saw (`viewed`) messages. One report per message, user
/// and type, however often it is sent; ids that are not there (any more) are passed over.
///
/// # Errors
/// `ConversationNotFound`, `StaleInstance`.
pub async fn add(
    call: &mut Call<'_>,
    r#type: &str,
    conversation: ConversationId,
    instance: &Instance,
    message_ids: &[MessageId],
) -> Result<(), Error> {
    let report = NewReport {
        conversation_id: conversation,
        instance,
        user_id: call.user,
        station_id: call.station,
        r#type,
        message_ids,
        created_at: call.now.whole_seconds(),
    };
    let reported = store::report::add(call.db, &report).await?.ok_or(Error::ConversationNotFound)?;
    if reported.present != *instance {
        return Err(Error::StaleInstance(reported.present));
    }
    if !reported.participants.is_empty() {
        call.outbox.push(Event::ConversationChanged { conversation, participants: reported.participants });
    }
    Ok(())
}
