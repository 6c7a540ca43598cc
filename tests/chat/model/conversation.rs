//! The model's conversations: their participants, rows, and where a cursor stands in them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Who, step::Start};
use crate::world::at;

/// A message, as sent and as it has to be returned.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub sent: Value,
    pub created: String,
    pub user: Who,
}

impl Message {
    pub(super) fn id(&self) -> &str {
        self.sent["ID"].as_str().unwrap()
    }
}

#[derive(Debug, Clone)]
pub(super) struct Report {
    /// Chosen by the server; known once it was seen.
    pub id: Option<String>,
    pub r#type: &'static str,
    pub user: Who,
    pub station: String,
    pub of: Message,
}

#[derive(Debug, Clone)]
pub(super) struct Member {
    pub secret: String,
    pub name: String,
    pub is_admin: bool,
    pub joined: usize,
    pub is_favorite: bool,
    pub is_muted: bool,
    pub is_hidden: bool,
    pub hide_id: String,
    pub color: String,
}

#[derive(Debug, Clone)]
pub(super) struct Invitation {
    pub by: Who,
    pub secret: String,
    pub name: String,
    pub since: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Conversation {
    pub id: String,
    pub is_group: bool,
    pub instance: String,
    pub members: BTreeMap<Who, Member>,
    pub invited: BTreeMap<Who, Invitation>,
    /// Users who left or declined, and whether they declined recently.
    pub departed: BTreeMap<Who, bool>,
    /// Users who declined, and have not left since.
    pub declined: BTreeSet<Who>,
    pub messages: Vec<Message>,
    pub reports: Vec<Report>,
    /// Messages of earlier instances.
    pub gone: Vec<Message>,
    pub last_access: i64,
}

impl Conversation {
    /// The position of a cursor among the messages; `None` if it has none.
    pub(super) fn place(&self, from: &Start) -> (Value, Value, Option<usize>) {
        let not_before = |time: &str| {
            self.messages
                .iter()
                .position(|m| m.created.as_str() >= time)
                .unwrap_or(self.messages.len())
        };
        match from {
            Start::Nothing => (json!(null), json!(null), None),
            Start::Gone(None) => (json!(Uuid::new_v4()), json!(null), None),
            Start::Gone(Some(hours)) => {
                let time = at(TimeDelta::hours(*hours));
                (json!(Uuid::new_v4()), json!(time), Some(not_before(&time)))
            }
            Start::Row(nth) => {
                let all: Vec<&Message> = self.gone.iter().chain(&self.messages).collect();
                let Some(row) = all.get(nth % all.len().max(1)) else {
                    return (json!(null), json!(null), None);
                };
                let place = self
                    .messages
                    .iter()
                    .position(|m| m.id() == row.id())
                    .unwrap_or_else(|| not_before(&row.created));
                (json!(row.id()), json!(row.created), Some(place))
            }
        }
    }

    /// Like [`Conversation::place`], among the reports, whose times are the server's.
    pub(super) fn report_place(&self, from: &Start) -> (Value, Option<usize>) {
        match from {
            Start::Row(nth) if !self.reports.is_empty() => {
                let place = nth % self.reports.len();
                self.reports[place]
                    .id
                    .as_ref()
                    .map_or((json!(null), None), |id| (json!(id), Some(place)))
            }
            Start::Gone(_) => (json!(Uuid::new_v4()), None),
            _ => (json!(null), None),
        }
    }

    /// The conversation as a request names it, with its present instance or an unknown one.
    pub(super) fn named(&self, is_stale: bool) -> crate::world::Conversation {
        crate::world::Conversation {
            id: self.id.clone(),
            instance: if is_stale {
                "0000000000".into()
            } else {
                self.instance.clone()
            },
        }
    }

    pub(super) fn new(view: &Value, is_group: bool, members: BTreeMap<Who, Member>) -> Self {
        let text = |field: &str| view[field].as_str().unwrap().to_owned();
        let (id, instance, last_access) = (
            text("id"),
            text("instance"),
            view["lastaccess"].as_i64().unwrap(),
        );
        Self {
            id,
            is_group,
            instance,
            members,
            invited: BTreeMap::new(),
            departed: BTreeMap::new(),
            declined: BTreeSet::new(),
            messages: vec![],
            reports: vec![],
            gone: vec![],
            last_access,
        }
    }
}
