//! Compares what readers are shown with what was sent.

use std::collections::HashSet;

use serde_json::Value;

use super::{Flags, Ledger, SLACK, View};
use crate::selftest::{
    findings::{Findings, Kind},
    form::{Id, dashed, now, plain},
    rows,
};

impl Ledger {
    /// Checks a message that a reader is shown.
    pub(in crate::selftest) fn check_message(
        &self,
        conversation: Id,
        instance: &str,
        row: &rows::Message,
        view: View,
        findings: &Findings,
    ) {
        let says = |wrong: &str| {
            format!(
                "message {} in {}: {wrong}",
                dashed(row.id),
                plain(conversation)
            )
        };
        let Some(sent) = self.sent.get(&(conversation, row.id)) else {
            findings.add(Kind::Altered, || says("nobody sent it"));
            return;
        };
        if sent.instance != instance {
            findings.add(Kind::OldInstance, || {
                says("it was written for another instance")
            });
        }
        let wrong = if row.data != sent.data {
            Some("other Data than was sent")
        } else if row.kind != sent.kind {
            Some("another type than was sent")
        } else if row.v4.as_ref().is_some_and(|v4| v4.sender != sent.sender) {
            Some("another sender or station")
        } else {
            sent.check_times(row.created, row.valid_until)
        };
        if let Some(wrong) = wrong {
            findings.add(Kind::Altered, || says(wrong));
        }
        let is_removed = self
            .members
            .get(&(conversation, view.reader))
            .is_some_and(|member| member.at(sent.begun) == Some(&false));
        // A page is judged by when it was requested (`check_page`). A push may have been on its way, so it is judged
        // by when its message was written.
        if view.asked.is_none() && is_removed {
            findings.add(Kind::Leaked, || {
                says("pushed to someone who had been removed before it was written")
            });
        }
    }

    /// Checks a report that a reader is shown.
    pub(in crate::selftest) fn check_report(
        &self,
        conversation: Id,
        row: &rows::Report,
        findings: &Findings,
    ) {
        let kind = ["viewed", "delivered"]
            .into_iter()
            .find(|kind| *kind == row.kind)
            .unwrap_or("");
        let sent = self
            .reported
            .get(&(conversation, row.message, row.from.user, kind));
        let message = self.sent.get(&(conversation, row.message));
        let wrong = match (sent, message) {
            (None, _) => Some("nobody sent it"),
            (_, None) => Some("about a message that nobody sent"),
            (Some(sent), _) if sent.station != row.from.station => Some("another station"),
            // The server dates reports: between sending and now, by two readings of one clock.
            (Some(sent), _) if !(sent.begun_at - SLACK..=now() + SLACK).contains(&row.created) => {
                Some("another time than it was sent at")
            }
            (_, Some(message))
                if message
                    .stored
                    .is_some_and(|(_, valid_until)| valid_until != row.valid_until) =>
            {
                Some("another end than its message's")
            }
            _ => None,
        };
        if let Some(wrong) = wrong {
            findings.add(Kind::Altered, || {
                format!(
                    "report {} in {}: {wrong}",
                    dashed(row.id),
                    plain(conversation)
                )
            });
        }
    }

    /// Checks that a page of an instance may be served to a reader at all.
    pub(in crate::selftest) fn check_page(
        &self,
        conversation: Id,
        instance: &str,
        view: View,
        findings: &Findings,
    ) {
        let Some(asked) = view.asked else { return };
        if self
            .members
            .get(&(conversation, view.reader))
            .is_some_and(|member| member.at(asked) == Some(&false))
        {
            findings.add(Kind::Leaked, || {
                format!(
                    "conversation {} was served to {}",
                    plain(conversation),
                    plain(view.reader)
                )
            });
        }
        if self
            .cleared
            .get(&(conversation, instance.to_owned()))
            .is_some_and(|cleared| *cleared < asked)
        {
            findings.add(Kind::OldInstance, || {
                format!("instance {instance} of {} was served", plain(conversation))
            });
        }
    }

    /// Checks a conversation in a reader's list.
    pub(in crate::selftest) fn check_listed(
        &self,
        conversation: Id,
        instance: &str,
        listed: &Value,
        view: View,
        findings: &Findings,
    ) {
        self.check_page(conversation, instance, view, findings);
        let (Some(asked), Some(flags)) = (view.asked, self.flags.get(&(conversation, view.reader)))
        else {
            return;
        };
        // While a flag is being changed, either value is right.
        let Some(expected) = flags.at(asked) else {
            return;
        };
        let reader = plain(view.reader);
        let names = |field: &str| {
            listed
                .get(field)
                .and_then(Value::as_array)
                .is_some_and(|ids| ids.iter().any(|id| id == reader.as_str()))
        };
        let own = |field: &str| {
            listed
                .get("properties")
                .and_then(|properties| properties.get(0)?.get(field))
        };
        let shown = Flags {
            is_muted: names("mutedby"),
            is_favorite: names("favoriteby"),
            is_hidden: names("hiddenby"),
            color: own("listitembackgroundcolor")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
        };
        if shown != *expected {
            findings.add(Kind::WrongFlags, || {
                format!(
                    "{} shows {reader} {shown:?}, who set {expected:?}",
                    plain(conversation)
                )
            });
        }
    }

    /// Checks which conversations a reader's list has.
    pub(in crate::selftest) fn check_list(
        &self,
        listed: &[Id],
        theirs: impl Iterator<Item = Id>,
        view: View,
        findings: &Findings,
    ) {
        let Some(asked) = view.asked else { return };
        let all: HashSet<_> = listed.iter().copied().collect();
        findings.add_many(Kind::Doubled, listed.len() - all.len(), || {
            format!("conversations in the list of {}", plain(view.reader))
        });
        for conversation in theirs.filter(|conversation| !all.contains(conversation)) {
            if self.was_in(conversation, view.reader, asked) == Some(true) {
                findings.add(Kind::Lost, || {
                    format!(
                        "{} is not in the list of {}",
                        plain(conversation),
                        plain(view.reader)
                    )
                });
            }
        }
    }
}
