//! A position in a conversation's rows from which no row is missed (docs/api.md, The cursor loses
//! nothing).

use parlance_wire::{
    id::{ConversationId, MessageId, ReportId},
    request::conversation::Action,
    text::Instance,
    time::Timestamp,
};

use crate::{
    answer::{Conversation, Event, Message, Page},
    error::Error,
    session::Session,
};

/// How far ahead of a report's time that of an earlier message may be: twice what the server lets a
/// message's time be ahead of its own clock (docs/api.md), as servers' clocks differ, too.
const MAX_AHEAD_SECONDS: i64 = 600;

/// A client's position in a conversation: the instance, and the newest rows that it holds.
///
/// A client that always asks from the newest row that it holds misses nothing, whatever the clocks.
/// So the position only moves with the rows that arrive, never with times.
///
/// ```no_run
/// # async fn run(session: parlance_client::Session) -> Result<(), parlance_client::Error> {
/// use parlance_client::History;
///
/// for conversation in session.list().await? {
///     let mut history = History::beginning(&conversation);
///     loop {
///         let page = history.next_page(&session).await?;
///         println!("{} messages", page.messages.len());
///         if !page.hasmore {
///             break;
///         }
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    conversation: ConversationId,
    instance: Instance,
    message: Option<(MessageId, Option<Timestamp>)>,
    report: Option<(ReportId, Option<Timestamp>)>,
}

/// The outcome of [`History::append`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It follows the newest row that was held, and is now the newest.
    Yes,
    /// It is held already.
    Known,
    /// Rows before it are missing, or the instance is another one: download.
    Gap,
}

impl History {
    /// Starts before the first row of the present instance.
    #[must_use]
    pub fn beginning(conversation: &Conversation) -> Self {
        Self {
            conversation: conversation.id,
            instance: conversation.instance.clone(),
            message: None,
            report: None,
        }
    }

    /// Starts after everything that exists now. If the newest report is deleted before the next
    /// download, those since shortly before the newest message are reported again.
    #[must_use]
    pub fn end(conversation: &Conversation) -> Self {
        // A list has no times of its rows. A message's id is enough, also once its content is gone.
        // A deleted report cannot be found by its id: then the server goes on by the time. No later
        // report is from before the newest message, whose time it lets be a little ahead.
        let reports_from =
            Timestamp::from_unix_seconds(conversation.lastaccess.saturating_sub(MAX_AHEAD_SECONDS));
        Self {
            message: conversation.lastmessageid.map(|id| (id, None)),
            report: conversation.lastreportid.map(|id| (id, reports_from)),
            ..Self::beginning(conversation)
        }
    }

    /// Starts after a message that was downloaded, or before the first; without earlier reports.
    #[must_use]
    pub(crate) fn after(conversation: &Conversation, newest: Option<&Message>) -> Self {
        Self {
            message: newest.map(|row| (row.id, Some(row.created))),
            ..Self::end(conversation)
        }
    }

    /// Starts at a message; if there is none with this id, nowhere.
    #[must_use]
    pub(crate) fn at(conversation: &Conversation, id: MessageId) -> Self {
        Self {
            // Where the server goes on if it has no such message.
            message: Some((id, Timestamp::parse("9999-01-01 00:00:00"))),
            ..Self::end(conversation)
        }
    }

    /// The instance whose rows are held.
    #[must_use]
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Returns `true` if the newest rows in a list are those that are held.
    #[must_use]
    pub fn is_current(&self, conversation: &Conversation) -> bool {
        self.instance == conversation.instance
            && self.message.map(|(id, _)| id) == conversation.lastmessageid
            && self.report.map(|(id, _)| id) == conversation.lastreportid
    }

    /// Starts over, as another instance has begun.
    pub fn restart(&mut self, instance: Instance) {
        self.instance = instance;
        self.message = None;
        self.report = None;
    }

    /// The request for the rows from here on.
    pub(crate) fn request(&self) -> Action {
        Action::Download {
            conversationid: self.conversation,
            instance: self.instance.clone(),
            firstmessagedate: self.message.and_then(|(_, at)| at),
            firstmessageid: self.message.map(|(id, _)| id),
            firstreportdate: self.report.and_then(|(_, at)| at),
            firstreportid: self.report.map(|(id, _)| id),
        }
    }

    /// Downloads and holds the next rows, without those that are held already. More follow while
    /// `hasmore` is true.
    ///
    /// # Errors
    /// Also `StaleInstance`, if the conversation was cleared: its refusal has the instance for
    /// [`restart`](Self::restart).
    pub async fn next_page(&mut self, session: &Session) -> Result<Page, Error> {
        let mut page = session.download(self).await?;
        // The server answers from the row that the cursor names, which is held already.
        if let Some((held, _)) = self.message {
            page.messages.retain(|row| row.id != held);
        }
        if let Some((held, _)) = self.report {
            page.reports.retain(|row| row.id != held);
        }
        // The position only moves with rows: an empty page must not lose it.
        if let Some(row) = page.messages.last() {
            self.message = Some((row.id, Some(row.created)));
        }
        if let Some(row) = page.reports.last() {
            self.report = Some((row.id, Some(row.created)));
        }
        Ok(page)
    }

    /// Holds an event's row if it follows the newest one that is held.
    pub fn append(&mut self, event: &Event) -> Appended {
        if event.instance != self.instance {
            // The download is then refused as stale, and the refusal has the new instance.
            return Appended::Gap;
        }
        if let Some(row) = &event.message {
            let held = self.message.map(|(id, _)| id);
            // Only compared with the newest row: an older one counts as a gap, and a download from
            // here returns nothing twice.
            if held == Some(row.id) {
                return Appended::Known;
            }
            if event.after == text(held) {
                self.message = Some((row.id, Some(row.created)));
                return Appended::Yes;
            }
        }
        if let Some(row) = &event.report {
            let held = self.report.map(|(id, _)| id);
            if held == Some(row.id) {
                return Appended::Known;
            }
            if event.after == text(held) {
                self.report = Some((row.id, Some(row.created)));
                return Appended::Yes;
            }
        }
        Appended::Gap
    }
}

/// An id as in an event's `after`: empty before the first row.
fn text<T: ToString>(id: Option<T>) -> String {
    id.map_or_else(String::new, |id| id.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(instance: &str, id: MessageId, after: &str) -> Event {
        let row = json!({
            "ID": id, "Type": "Message", "Created": "2026-01-31 12:00:00", "ValidUntil": "2026-02-07 12:00:00", "Data": "SGk=",
            "User": "0123456789abcdef0123456789abcdef", "Station": "0123456789abcdef0123456789abcdef", "Seq": 1, "Chain": "",
        });
        let event = json!({
            "conversationid": "8ca16186c36a4e0a1ef2096e6c60b613", "instance": instance, "message": row, "after": after,
        });
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn an_event_is_appended_only_where_it_follows() {
        let mut history = History {
            conversation: ConversationId::parse("8ca16186c36a4e0a1ef2096e6c60b613").unwrap(),
            instance: Instance::parse("PqjfKSn7V8").unwrap(),
            message: None,
            report: None,
        };
        let (first, second) = (MessageId::random(), MessageId::random());
        let begin = history.clone();
        assert_eq!(
            history.append(&event("PqjfKSn7V8", second, &first.to_string())),
            Appended::Gap
        );
        assert_eq!(
            history.append(&event("Another000", first, "")),
            Appended::Gap
        );
        assert_eq!(history, begin);
        assert_eq!(
            history.append(&event("PqjfKSn7V8", first, "")),
            Appended::Yes
        );
        assert_eq!(
            history.append(&event("PqjfKSn7V8", first, "")),
            Appended::Known
        );
        assert_eq!(
            history.append(&event("PqjfKSn7V8", second, &first.to_string())),
            Appended::Yes
        );
    }
}
