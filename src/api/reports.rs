//! `srv=chatserver&api=chatreports`: reports that messages were delivered or seen.

use super::answer::{self, Nothing};
use crate::chat::{self, Call, error::Error};
use parlance_wire::{request::reports::Action, word::ReportType};

/// Performs an action.
pub(crate) async fn perform(call: &mut Call<'_>, action: Action) -> Result<Vec<u8>, Error> {
    let (r#type, report) = match action {
        Action::Viewed(report) => (ReportType::Viewed, report),
        Action::Delivered(report) => (ReportType::Delivered, report),
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
