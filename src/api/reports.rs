//! `srv=chatserver&api=chatreports`: who has had, and who has seen, which messages.

use super::answer::{self, Nothing};
use crate::chat::{self, Call, error::Error};
use parlance_wire::request::reports::Action;

/// Does what is asked.
pub(crate) async fn perform(call: &mut Call<'_>, action: Action) -> Result<Vec<u8>, Error> {
    let (r#type, report) = match action {
        Action::Viewed(report) => ("viewed", report),
        Action::Delivered(report) => ("delivered", report),
    };
    chat::report::add(
        call,
        r#type,
        report.conversationid,
        report.instance,
        report.messageids,
    )
    .await?;
    answer::ok(Nothing {})
}
