//! The requests of a reader: the list, and pages of conversations.

use std::{sync::atomic::Ordering, time::Instant};

use serde_json::{Value, json};

use super::{Follower, State};
use crate::selftest::{
    channel::Channel,
    findings::Kind,
    form::{Id, plain, read_dashed, read_plain},
    history::Held,
    ledger::View,
    request::{Request, V4},
    rows::Page,
    wire::Answer,
};

impl Follower {
    /// Compares the list with what is held. Returns `None` when that has to be repeated.
    pub(super) async fn list(&self, state: &mut State) -> Option<()> {
        // Before the request: it is judged by what was settled by then. What changes meanwhile may show or not.
        let asked_at = Instant::now();
        let node = state.wire.node(&self.test.cluster, 20);
        let asked = Request {
            api: "chatconversation",
            version: self.channel.version(),
            fields: json!({ "action": "list" }),
        };
        let answer = state
            .wire
            .ask_for(&self.test.cluster, node, &asked, "a list")
            .await?;
        state.wants_list = false;
        self.has_listed.store(true, Ordering::Relaxed);
        let (mut all, ledger, findings) =
            (self.held(), self.test.ledger(), &self.test.cluster.findings);
        let view = View {
            reader: self.who.user,
            asked: Some(asked_at),
        };
        let mut listed = vec![];
        for row in answer
            .get("conversations")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let text = |field: &str| row.get(field).and_then(Value::as_str).unwrap_or_default();
            let (Some(id), instance) = (read_plain(text("id")), text("instance")) else {
                findings.add(Kind::Altered, || {
                    format!("a conversation in a list has no id: {row}")
                });
                continue;
            };
            ledger.check_listed(id, instance, row, view, findings);
            ledger.check_listed_epoch(id, row, view, findings);
            listed.push(id);
            let held = all
                .entry(id)
                .or_insert_with(|| Held::new(&self.name, id, instance));
            // Its epochs could not be followed while the user was not in the group.
            if held.has_unread() {
                state.to_follow.insert(id);
            }
            // It was cleared: what was held belongs to an instance that is gone.
            if held.instance != instance {
                *held = Held::new(&self.name, id, instance);
            }
            let [message, report] =
                ["lastmessageid", "lastreportid"].map(|field| read_dashed(text(field)));
            if message != held.messages.last().copied() || report != held.reports.last().copied() {
                state.to_download.insert(id);
            // The newest ids agree, so the chains have to: otherwise something before them differs.
            } else if self.channel.version() >= V4
                && message.is_some()
                && held.chain.map(hex::encode).as_deref() != Some(text("chain"))
            {
                findings.add(Kind::BrokenLinks, || {
                    format!(
                        "the list's chain of {} is not that of {}",
                        plain(id),
                        self.name
                    )
                });
            }
        }
        let theirs = self
            .test
            .people
            .of(self.who.user)
            .map(|conversation| conversation.id);
        // A conversation that a list leaves out is lost to a client that follows the document.
        ledger.check_list(&listed, theirs, view, findings);
        // The user was removed from the others, and has no claim to their rows any more.
        all.retain(|id, _| listed.contains(id));
        state.to_download.retain(|id| listed.contains(id));
        Some(())
    }

    /// Downloads the next page of a conversation; a v3 client downloads only one, until it is notified again. Returns
    /// `None` when that has to be repeated.
    pub(super) async fn download(&self, conversation: Id, state: &mut State) -> Option<()> {
        let Some((instance, cursor)) = self
            .held()
            .get(&conversation)
            .map(|held| (held.instance.clone(), held.cursor()))
        else {
            // A conversation that it does not know has to be in the list.
            state.to_download.remove(&conversation);
            state.wants_list = true;
            return Some(());
        };
        let mut asked = Request::on("download", conversation, &instance, self.channel.version());
        for (field, value) in cursor {
            asked = asked.with(field, value);
        }
        let asked_at = Instant::now();
        let node = state.wire.node(
            &self.test.cluster,
            // Mostly from the other node: what is left of a page that one node cuts has to be announced on the
            // socket's node.
            if self.channel == Channel::SocketV3 {
                75
            } else {
                20
            },
        );
        let page = match state.wire.ask(&self.test.cluster, node, &asked).await {
            Answer::Done(page) => page,
            Answer::Refused(refusal) if refusal.is("stale_instance") => {
                state.wants_list = true;
                state.to_download.remove(&conversation);
                return Some(());
            }
            Answer::Refused(refusal) if !refusal.is_temporary() => {
                // Unknown membership counts as removed: the removal may be on its way.
                let is_removed = self
                    .test
                    .ledger()
                    .was_in(conversation, self.who.user, asked_at)
                    != Some(true);
                if !(is_removed && refusal.is("conversation_not_found")) {
                    self.test
                        .cluster
                        .findings
                        .add_refusal("a download", &refusal);
                }
                state.to_download.remove(&conversation);
                return Some(());
            }
            _ => return None,
        };
        let Some(page) = Page::read(&page) else {
            self.test.cluster.findings.add(Kind::Altered, || {
                format!("a page is not of the documented form: {page}")
            });
            state.to_download.remove(&conversation);
            return Some(());
        };
        // A v3 client is not told that there is more: the server has to notify it again.
        if !page.has_more || self.channel.version() < V4 {
            state.to_download.remove(&conversation);
        }
        let view = View {
            reader: self.who.user,
            asked: Some(asked_at),
        };
        self.test
            .ledger()
            .check_page(conversation, &instance, view, &self.test.cluster.findings);
        let new = match self.held().get_mut(&conversation) {
            Some(held) => held.take_page(page, &self.test.cluster.findings),
            None => vec![],
        };
        self.check(
            conversation,
            Some(asked_at),
            new.iter().map(|row| (instance.as_str(), row)),
        );
        self.time(conversation, new.iter());
        self.open(conversation, state, false);
        Some(())
    }
}
