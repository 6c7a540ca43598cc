//! The contents of the model's conversations: messages, reports, and the pages that show them.

use std::collections::BTreeSet;

use chrono::{NaiveDateTime, TimeDelta};
use serde_json::{Value, json};

use super::{
    Model, Who,
    conversation::{Conversation, Message, Report},
    is_refused,
    step::Start,
};
use crate::{
    transcript::{beginning, follow},
    world::{at, now},
};

fn unix(time: &str) -> i64 {
    NaiveDateTime::parse_from_str(time, "%Y-%m-%d %H:%M:%S")
        .unwrap()
        .and_utc()
        .timestamp()
}

impl Model {
    pub(super) async fn add(&mut self, who: Who, conversation: usize, sent: Value, is_stale: bool) {
        let before = now();
        let answer = self
            .does(
                who,
                conversation,
                "add",
                is_stale,
                json!({ "message": sent.to_string() }),
            )
            .await;
        let there = self.conversations[conversation]
            .messages
            .iter()
            .find(|message| message.sent["ID"] == sent["ID"]);
        let mut refusals = self.refusals(who, conversation, is_stale, false, there.is_none());
        // Who are friends no longer do not write to each other.
        let is_member = self.conversations[conversation].members.contains_key(&who);
        if there.is_none() && is_member && self.is_ended(conversation) {
            refusals.push("not_friends");
        }
        if refusals.is_empty() && there.is_some_and(|there| there.user != who || there.sent != sent)
        {
            refusals.push("message_id_conflict");
        }
        if is_refused(&answer, &refusals) {
            return;
        }
        let stored = answer.json()["message"].clone();
        let text = |field: &str| stored[field].as_str().unwrap().to_owned();
        if let Some(there) = there {
            assert_eq!(
                (text("ID").as_str(), text("Created")),
                (there.id(), there.created.clone())
            );
            return;
        }
        let (asked, created) = (sent["Created"].as_str().unwrap(), text("Created"));
        let is_ahead = asked > at(TimeDelta::minutes(5)).as_str();
        assert!(
            if is_ahead {
                created >= before && created <= now()
            } else {
                created == asked
            },
            "{asked} became {created}"
        );
        assert_eq!(
            (&stored["ID"], &stored["Type"], &stored["ValidUntil"]),
            (&sent["ID"], &sent["Type"], &sent["ValidUntil"])
        );
        let changed = &mut self.conversations[conversation];
        changed.last_access = changed.last_access.max(unix(&created));
        changed.messages.push(Message {
            sent,
            created,
            user: who,
        });
        self.content_changed(conversation);
    }

    /// Compares a page with the expected rows.
    fn page(
        &mut self,
        conversation: usize,
        page: &Value,
        messages: &[Message],
        reports: std::ops::Range<usize>,
    ) {
        let shown = |message: &Message| {
            json!({
                "ID": message.sent["ID"], "Type": message.sent["Type"], "Created": message.created, "ValidUntil": message.sent["ValidUntil"],
                "Data": message.sent["Data"],
            })
        };
        assert_eq!(
            page["messages"],
            messages.iter().map(shown).collect::<Value>()
        );
        let rows = page["reports"].as_array().unwrap();
        assert_eq!(rows.len(), reports.len(), "{page}");
        for (row, report) in rows
            .iter()
            .zip(&mut self.conversations[conversation].reports[reports])
        {
            let id = report
                .id
                .get_or_insert_with(|| row["ID"].as_str().unwrap().to_owned());
            let expected = json!({
                "ID": id, "Type": report.r#type, "Created": row["Created"], "ValidUntil": report.of.sent["ValidUntil"],
                "User": self.people[report.user].user, "Station": report.station, "MessageID": report.of.id(),
            });
            assert_eq!(*row, expected);
        }
        let ids: BTreeSet<_> = self.conversations[conversation]
            .reports
            .iter()
            .filter_map(|report| report.id.as_ref())
            .collect();
        assert_eq!(
            ids.len(),
            self.conversations[conversation]
                .reports
                .iter()
                .filter(|report| report.id.is_some())
                .count(),
            "two reports have one id"
        );
    }

    pub(super) async fn read(
        &mut self,
        who: Who,
        conversation: usize,
        messages: &Start,
        reports: &Start,
        is_stale: bool,
    ) {
        let (id, date, place) = self.conversations[conversation].place(messages);
        let (report_id, report_place) = self.conversations[conversation].report_place(reports);
        let cursor =
            json!({ "firstmessageid": id, "firstmessagedate": date, "firstreportid": report_id });
        let answer = self
            .does(who, conversation, "download", is_stale, cursor)
            .await;
        if is_refused(
            &answer,
            &self.refusals(who, conversation, is_stale, false, false),
        ) {
            return;
        }
        let expected = self.conversations[conversation].messages[place.unwrap_or(0)..].to_vec();
        let all = self.conversations[conversation].reports.len();
        self.page(
            conversation,
            &answer.json(),
            &expected,
            report_place.unwrap_or(0)..all,
        );
    }

    pub(super) async fn read_back(
        &mut self,
        who: Who,
        conversation: usize,
        messages: &Start,
        reports: &Start,
        limit: Option<usize>,
        is_stale: bool,
    ) {
        let (id, date, place) = self.conversations[conversation].place(messages);
        let (report_id, report_place) = self.conversations[conversation].report_place(reports);
        let cursor = json!({ "lastmessageid": id, "lastmessagedate": date, "lastreportid": report_id, "limit": limit });
        let answer = self
            .does(who, conversation, "downloadpartial", is_stale, cursor)
            .await;
        if is_refused(
            &answer,
            &self.refusals(who, conversation, is_stale, false, false),
        ) {
            return;
        }
        let most = limit.unwrap_or(50);
        let end = place.unwrap_or(self.conversations[conversation].messages.len());
        let expected =
            self.conversations[conversation].messages[end.saturating_sub(most)..end].to_vec();
        let end = report_place.unwrap_or(self.conversations[conversation].reports.len());
        self.page(
            conversation,
            &answer.json(),
            &expected,
            end.saturating_sub(most)..end,
        );
    }

    pub(super) async fn report(
        &mut self,
        who: Who,
        conversation: usize,
        r#type: &'static str,
        which: &[usize],
        is_stale: bool,
    ) {
        let all: Vec<Message> = self.conversations[conversation]
            .gone
            .iter()
            .chain(&self.conversations[conversation].messages)
            .cloned()
            .collect();
        let ids: Vec<&str> = which
            .iter()
            .filter_map(|nth| all.get(nth % all.len().max(1)).map(Message::id))
            .collect();
        let named = self.conversations[conversation].named(is_stale);
        let request = json!({ "action": r#type, "conversationid": named.id, "instance": named.instance, "messageids": ids });
        let answer = self.asks(who, "chatreports", request).await;
        if is_refused(
            &answer,
            &self.refusals(who, conversation, is_stale, false, false),
        ) {
            return;
        }
        let about = &self.conversations[conversation];
        let is_blocked = !about.is_group
            && about
                .members
                .keys()
                .any(|other| self.blocks.contains(&(*other, who)));
        if is_blocked || self.is_ended(conversation) {
            return;
        }
        let Conversation {
            messages, reports, ..
        } = &mut self.conversations[conversation];
        let before = reports.len();
        // In the order of the messages, whatever the order of the ids in the request.
        for message in messages
            .iter()
            .filter(|message| ids.contains(&message.id()))
        {
            if !reports.iter().any(|report| {
                report.user == who && report.r#type == r#type && report.of.id() == message.id()
            }) {
                reports.push(Report {
                    id: None,
                    r#type,
                    user: who,
                    station: self.people[who].station.clone(),
                    of: message.clone(),
                });
            }
        }
        if reports.len() > before {
            self.content_changed(conversation);
        }
    }

    pub(super) async fn transcript(&mut self, who: Who, conversation: usize, is_stale: bool) {
        let answer = self
            .does(
                who,
                conversation,
                "transcript",
                is_stale,
                json!({ "limit": 500 }),
            )
            .await;
        if is_refused(
            &answer,
            &self.refusals(who, conversation, is_stale, false, false),
        ) {
            return;
        }
        let links = answer.json()["transcript"].clone();
        let ids: Vec<&str> = links
            .as_array()
            .unwrap()
            .iter()
            .map(|link| link["ID"].as_str().unwrap())
            .collect();
        assert_eq!(
            ids,
            self.conversations[conversation]
                .messages
                .iter()
                .map(Message::id)
                .collect::<Vec<_>>()
        );
        follow(
            beginning(&self.conversations[conversation].named(false)),
            &links,
        );
    }
}
