//! Compares the server with a model: whatever several people do, in whatever order, its answers
//! have to follow docs/api.md. The model implements that page and knows nothing of the server: it
//! consists of lists of rows and of permissions.

mod content;
mod conversation;
mod group;
mod invitation;
mod list;
mod people;
mod play;
mod step;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::TimeDelta;
use serde_json::Value;

use self::{
    conversation::{Conversation, Message},
    step::Step,
};
use crate::world::{Answer, Held, Person, World, at, message, request};

const NAMES: [&str; 3] = ["Ann", "Ben", "Cleo"];
/// An index into [`NAMES`], or into the existing conversations.
type Who = usize;
type Which = usize;

struct Model {
    people: Vec<Person>,
    availabilities: [&'static str; NAMES.len()],
    /// What they chose to be shown as.
    chosen: [&'static str; NAMES.len()],
    /// Friend requests by the two users, with their order.
    friend_claims: BTreeMap<(Who, Who), usize>,
    blocks: BTreeSet<(Who, Who)>,
    workspaces: BTreeMap<&'static str, Who>,
    conversations: Vec<Conversation>,
    expected: [Expected; NAMES.len()],
    /// Each one's list, as a v4 client has it that asks only for what has changed.
    held: [Held; NAMES.len()],
    clock: usize,
}

/// The notifications that a user has yet to get.
#[derive(Debug, Default)]
struct Expected {
    conversations: BTreeSet<String>,
    friends: BTreeSet<String>,
    /// Whether the list has changed.
    list: bool,
}

/// Returns `true` for an expected refusal and `false` for an expected OK; panics otherwise.
fn is_refused(answer: &Answer, refusals: &[&str]) -> bool {
    if refusals.is_empty() {
        answer.ok();
        return false;
    }
    let code = answer.json()["errorcode"].clone();
    assert!(
        refusals.iter().any(|refusal| code == *refusal),
        "{refusals:?}: {answer:?}"
    );
    true
}

impl Model {
    async fn begin(world: &Arc<World>) -> Self {
        let mut people = vec![];
        for name in NAMES {
            people.push(world.person(name).await);
        }
        let mut model = Self {
            people,
            availabilities: ["offline"; NAMES.len()],
            chosen: ["available"; NAMES.len()],
            friend_claims: BTreeMap::new(),
            blocks: BTreeSet::new(),
            workspaces: BTreeMap::new(),
            conversations: vec![],
            expected: Default::default(),
            held: Default::default(),
            clock: 0,
        };
        // Most failures need existing conversations.
        for (one, other) in [(0, 1), (0, 2)] {
            model.befriend(one, "add", other).await;
            model.befriend(other, "accept", one).await;
        }
        model.create(0, 1).await;
        model.group(0, &[1, 2]).await;
        model
    }

    /// Maps to an existing conversation.
    fn which(&self, conversation: Which) -> usize {
        conversation % self.conversations.len()
    }

    async fn asks(&self, who: Who, api: &str, fields: Value) -> Answer {
        self.people[who].asks_as(3, api, fields).await
    }

    async fn does(
        &self,
        who: Who,
        conversation: usize,
        action: &str,
        is_stale: bool,
        fields: Value,
    ) -> Answer {
        self.asks(
            who,
            "chatconversation",
            request(
                action,
                &self.conversations[conversation].named(is_stale),
                fields,
            ),
        )
        .await
    }

    /// Takes a step. Whoever asks afterwards what has changed in their list has the whole list.
    async fn takes(&mut self, step: Step) {
        self.step(step).await;
        let who = self.clock % NAMES.len();
        let person = &self.people[who];
        self.held[who].catches_up(person).await;
        assert_eq!(self.held[who].lines, Held::whole(person).await.lines);
    }

    async fn step(&mut self, step: Step) {
        self.clock += 1;
        match step {
            Step::Login { who, how } => self.login(who, how).await,
            Step::Register { who } => self.register(who).await,
            Step::Say { who, said } => self.say(who, said).await,
            Step::Befriend { who, whom } => self.befriend(who, "add", whom).await,
            Step::Accept { who, whom } => self.befriend(who, "accept", whom).await,
            Step::Unfriend { who, whom } => self.unfriend(who, whom).await,
            Step::Friends { who } => self.friends(who).await,
            Step::Block { who, whom, is } => self.block(who, whom, is).await,
            Step::Blocklist { who } => self.blocklist(who).await,
            Step::Workspace { who, name } => self.workspace(who, name).await,
            Step::Poll { who } => self.poll(who).await,
            Step::List { who } => self.list(who).await,
            Step::Create { who, with } => self.create(who, with).await,
            Step::Group { who, others } => self.group(who, &others).await,
            Step::Invite {
                who,
                conversation,
                whom,
            } => self.invite(who, self.which(conversation), whom).await,
            Step::Remove {
                who,
                conversation,
                whom,
            } => self.remove(who, self.which(conversation), whom).await,
            Step::Leave { who, conversation } => self.leave(who, self.which(conversation)).await,
            Step::Answer {
                who,
                conversation,
                is_yes: true,
            } => self.accept(who, self.which(conversation)).await,
            Step::Answer {
                who,
                conversation,
                is_yes: false,
            } => self.decline(who, self.which(conversation)).await,
            Step::Invitations { who } => self.invitations(who).await,
            Step::Day => self.day().await,
            Step::Role {
                who,
                conversation,
                whom,
                is_admin,
            } => {
                self.role(who, self.which(conversation), whom, is_admin)
                    .await;
            }
            Step::Rename {
                who,
                conversation,
                name,
            } => {
                self.rename(who, self.which(conversation), &format!("name {name}"))
                    .await;
            }
            Step::Arrange {
                who,
                conversation,
                how,
            } => self.set_property(who, self.which(conversation), how).await,
            Step::Clear {
                who,
                conversation,
                is_stale,
            } => self.clear(who, self.which(conversation), is_stale).await,
            Step::Add {
                who,
                conversation,
                hours,
                is_stale,
            } => {
                let mut sent = message(&format!("{} of {who}", self.clock));
                sent["Created"] = at(TimeDelta::hours(hours)).into();
                self.add(who, self.which(conversation), sent, is_stale)
                    .await;
            }
            Step::Again {
                who,
                conversation,
                nth,
                is_other,
            } => {
                let conversation = self.which(conversation);
                let all: Vec<&Message> = self.conversations[conversation]
                    .gone
                    .iter()
                    .chain(&self.conversations[conversation].messages)
                    .collect();
                let Some(of) = all.get(nth % all.len().max(1)) else {
                    return;
                };
                let mut sent = of.sent.clone();
                if is_other {
                    sent["Data"] = "something else".into();
                }
                self.add(who, conversation, sent, false).await;
            }
            Step::Read {
                who,
                conversation,
                messages,
                reports,
                is_stale,
            } => {
                self.read(who, self.which(conversation), &messages, &reports, is_stale)
                    .await;
            }
            Step::ReadBack {
                who,
                conversation,
                messages,
                reports,
                limit,
                is_stale,
            } => {
                self.read_back(
                    who,
                    self.which(conversation),
                    &messages,
                    &reports,
                    limit,
                    is_stale,
                )
                .await;
            }
            Step::Report {
                who,
                conversation,
                r#type,
                which,
                is_stale,
            } => {
                self.report(who, self.which(conversation), r#type, &which, is_stale)
                    .await;
            }
            Step::Transcript {
                who,
                conversation,
                is_stale,
            } => {
                self.transcript(who, self.which(conversation), is_stale)
                    .await;
            }
        }
    }

    /// Notifications that are not expected are allowed; a missing one is not.
    async fn poll(&mut self, who: Who) {
        let news = self.people[who].hears().await;
        let expected = std::mem::take(&mut self.expected[who]);
        if news.lists.is_empty() {
            assert!(
                !expected.list,
                "{} was not told that the list is another one",
                NAMES[who]
            );
            for (heard, expected) in [
                (news.conversations, expected.conversations),
                (news.friends, expected.friends),
            ] {
                let unheard: Vec<_> = expected.iter().filter(|id| !heard.contains(id)).collect();
                assert!(
                    unheard.is_empty(),
                    "{} was not told of {unheard:?}",
                    NAMES[who]
                );
            }
        }
    }
}
