//! The answers with a conversation's history: pages of messages and reports, and the chain.

use serde::Serialize;

use super::answer;
use crate::{
    chat::{self, Call, error::Error, history::RenderedPage},
    store::history::Cursor,
};
use parlance_wire::{history::Link, id::ConversationId, text::Instance, version::ClientVersion};

/// Initial capacity of a page in bytes. Most pages fit.
const INITIAL_CAPACITY: usize = 16 << 10;

#[derive(Serialize)]
struct TranscriptView {
    transcript: Vec<Link>,
    hasmore: bool,
}

/// Answers the rows from the cursor on.
pub(crate) async fn download(
    call: &mut Call<'_>,
    conversation: ConversationId,
    instance: &Instance,
    cursor: &Cursor,
) -> Result<Vec<u8>, Error> {
    let mut page = begin("{", call.version);
    let has_more = chat::history::download(call, conversation, instance, cursor, &mut page).await?;
    // `download` is published with its status after the rows, `downloadpartial` with its status
    // before them.
    end(page, &format!(",{}", answer::OK), call.version, has_more)
}

/// Answers the rows before the cursor.
pub(crate) async fn download_partial(
    call: &Call<'_>,
    conversation: ConversationId,
    instance: &Instance,
    cursor: &Cursor,
    limit: usize,
) -> Result<Vec<u8>, Error> {
    let mut page = begin(&format!("{{{},", answer::OK), call.version);
    let has_more =
        chat::history::download_partial(call, conversation, instance, cursor, limit, &mut page)
            .await?;
    end(page, "", call.version, has_more)
}

/// Answers the links of the chain after a number.
pub(crate) async fn transcript(
    call: &Call<'_>,
    conversation: ConversationId,
    instance: &Instance,
    after: i64,
    limit: usize,
) -> Result<Vec<u8>, Error> {
    let links = chat::message::transcript(call, conversation, instance, after, limit);
    let (transcript, hasmore) = links.await?;
    answer::ok(TranscriptView {
        transcript,
        hasmore,
    })
}

/// A page that begins with this text.
fn begin(opening: &str, version: ClientVersion) -> RenderedPage {
    let mut messages = Vec::with_capacity(INITIAL_CAPACITY);
    messages.extend_from_slice(opening.as_bytes());
    messages.extend_from_slice(br#""messages":["#);
    RenderedPage::new(messages, br#"],"reports":["#.to_vec(), version)
}

/// Completes the answer with the text after the rows.
fn end(
    page: RenderedPage,
    closing: &str,
    version: ClientVersion,
    has_more: bool,
) -> Result<Vec<u8>, Error> {
    let (mut text, reports) = page.into_text()?;
    text.extend_from_slice(&reports);
    text.push(b']');
    text.extend_from_slice(closing.as_bytes());
    if version.is_v4() {
        text.extend_from_slice(format!(r#","hasmore":{has_more}"#).as_bytes());
    }
    text.push(b'}');
    Ok(text)
}
