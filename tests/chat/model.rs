//! The server against a model: whatever several people do, in whatever order, it answers what docs/api.md says. The
//! model knows that page and nothing of the server: lists of rows, and who may do what.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{NaiveDateTime, TimeDelta};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    transcript::{beginning, follow},
    world::{Answer, Person, World, at, message, now, on},
};

const NAMES: [&str; 3] = ["Ann", "Ben", "Cleo"];
/// One of [`NAMES`], and one of the conversations that there are.
type Who = usize;
type Which = usize;

#[derive(Debug, Clone)]
enum Step {
    Create { who: Who, with: Who },
    Group { who: Who, others: Vec<Who> },
    Invite { who: Who, talk: Which, whom: Who },
    Remove { who: Who, talk: Which, whom: Who },
    Leave { who: Who, talk: Which },
    Role { who: Who, talk: Which, whom: Who, is_admin: bool },
    Rename { who: Who, talk: Which, name: u8 },
    Block { who: Who, whom: Who, is: bool },
    Add { who: Who, talk: Which, hours: i64, is_stale: bool },
    Again { who: Who, talk: Which, nth: usize, is_other: bool },
    Read { who: Who, talk: Which, messages: From, reports: From, is_stale: bool },
    ReadBack { who: Who, talk: Which, messages: From, reports: From, limit: Option<usize>, is_stale: bool },
    Report { who: Who, talk: Which, r#type: &'static str, which: Vec<usize>, is_stale: bool },
    Transcript { who: Who, talk: Which, is_stale: bool },
    Clear { who: Who, talk: Which, is_stale: bool },
    Arrange { who: Who, talk: Which, how: How },
    List { who: Who },
    Poll { who: Who },
}

/// Where one reads from.
#[derive(Debug, Clone)]
enum From {
    /// Nowhere in particular.
    Nothing,
    /// One of the rows that there ever were.
    Row(usize),
    /// A row that nobody has heard of, so many hours from now.
    Gone(Option<i64>),
}

#[derive(Debug, Clone)]
enum How {
    Favorite(bool),
    Muted(bool),
    Hide(Option<&'static str>),
    Unhide,
    Color(&'static str),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (who, talk) = (|| 0..NAMES.len(), || 0..4_usize);
    // Mostly as things are, seldom as they were.
    let is_stale = || prop::bool::weighted(0.1);
    let from = || {
        prop_oneof![
            2 => Just(From::Nothing),
            6 => (0..12_usize).prop_map(From::Row),
            1 => prop::option::of(-30..3_i64).prop_map(From::Gone),
        ]
    };
    let hours = prop_oneof![3 => Just(0_i64), 2 => -100..0_i64, 1 => 1..100_i64];
    let how = prop_oneof![
        any::<bool>().prop_map(How::Favorite),
        any::<bool>().prop_map(How::Muted),
        prop::option::of(Just("AAAAAAAAAA;")).prop_map(How::Hide),
        Just(How::Unhide),
        Just(How::Color("#00ff7f")),
    ];
    let ids = || prop::collection::vec(0..12_usize, 0..4);
    let step = prop_oneof![
        2 => (who(), who()).prop_map(|(who, with)| Step::Create { who, with }),
        1 => (who(), prop::collection::vec(who(), 0..3)).prop_map(|(who, others)| Step::Group { who, others }),
        1 => (who(), talk(), who()).prop_map(|(who, talk, whom)| Step::Invite { who, talk, whom }),
        1 => (who(), talk(), who()).prop_map(|(who, talk, whom)| Step::Remove { who, talk, whom }),
        1 => (who(), talk()).prop_map(|(who, talk)| Step::Leave { who, talk }),
        1 => (who(), talk(), who(), any::<bool>()).prop_map(|(who, talk, whom, is_admin)| Step::Role { who, talk, whom, is_admin }),
        1 => (who(), talk(), any::<u8>()).prop_map(|(who, talk, name)| Step::Rename { who, talk, name }),
        1 => (who(), who(), any::<bool>()).prop_map(|(who, whom, is)| Step::Block { who, whom, is }),
        10 => (who(), talk(), hours, is_stale()).prop_map(|(who, talk, hours, is_stale)| Step::Add { who, talk, hours, is_stale }),
        4 => (who(), talk(), 0..12_usize, prop::bool::weighted(0.3)).prop_map(|(who, talk, nth, is_other)| Step::Again { who, talk, nth, is_other }),
        6 => (who(), talk(), from(), from(), is_stale())
            .prop_map(|(who, talk, messages, reports, is_stale)| Step::Read { who, talk, messages, reports, is_stale }),
        4 => (who(), talk(), from(), from(), prop::option::of(1..4_usize), is_stale())
            .prop_map(|(who, talk, messages, reports, limit, is_stale)| Step::ReadBack { who, talk, messages, reports, limit, is_stale }),
        4 => (who(), talk(), prop_oneof![Just("delivered"), Just("viewed")], ids(), is_stale())
            .prop_map(|(who, talk, r#type, which, is_stale)| Step::Report { who, talk, r#type, which, is_stale }),
        1 => (who(), talk(), is_stale()).prop_map(|(who, talk, is_stale)| Step::Transcript { who, talk, is_stale }),
        1 => (who(), talk(), is_stale()).prop_map(|(who, talk, is_stale)| Step::Clear { who, talk, is_stale }),
        3 => (who(), talk(), how).prop_map(|(who, talk, how)| Step::Arrange { who, talk, how }),
        2 => who().prop_map(|who| Step::List { who }),
        4 => who().prop_map(|who| Step::Poll { who }),
    ];
    prop::collection::vec(step, 1..80)
}

/// A message, as sent and as it has to be answered.
#[derive(Debug, Clone)]
struct Message {
    sent: Value,
    created: String,
    user: Who,
}

impl Message {
    fn id(&self) -> &str {
        self.sent["ID"].as_str().unwrap()
    }
}

#[derive(Debug, Clone)]
struct Report {
    /// The server's choice: known once it was seen.
    id: Option<String>,
    r#type: &'static str,
    user: Who,
    of: Message,
}

#[derive(Debug, Clone)]
struct Member {
    secret: String,
    name: String,
    is_admin: bool,
    joined: usize,
    is_favorite: bool,
    is_muted: bool,
    is_hidden: bool,
    hide_id: String,
    color: String,
}

#[derive(Debug, Clone)]
struct Talk {
    id: String,
    is_group: bool,
    instance: String,
    members: BTreeMap<Who, Member>,
    messages: Vec<Message>,
    reports: Vec<Report>,
    /// Of earlier lives.
    gone: Vec<Message>,
    last_access: i64,
}

struct Model {
    people: Vec<Person>,
    talks: Vec<Talk>,
    blocks: BTreeSet<(Who, Who)>,
    /// What each has yet to hear of: conversations, and whether the list itself changed.
    due: [(BTreeSet<String>, bool); NAMES.len()],
    clock: usize,
}

fn unix(time: &str) -> i64 {
    NaiveDateTime::parse_from_str(time, "%Y-%m-%d %H:%M:%S").unwrap().and_utc().timestamp()
}

/// Whether it was refused, as it had to be, or was not, as it had not to be.
fn is_refused(answer: &Answer, refusals: &[&str]) -> bool {
    if refusals.is_empty() {
        answer.is_ok();
        return false;
    }
    let code = answer.json()["errorcode"].clone();
    assert!(refusals.iter().any(|refusal| code == *refusal), "{refusals:?}: {answer:?}");
    true
}

impl Talk {
    /// Where a cursor stands among the messages; `None`: nowhere.
    fn place(&self, from: &From) -> (Value, Value, Option<usize>) {
        let not_before = |time: &str| self.messages.iter().position(|m| m.created.as_str() >= time).unwrap_or(self.messages.len());
        match from {
            From::Nothing => (json!(null), json!(null), None),
            From::Gone(None) => (json!(Uuid::new_v4()), json!(null), None),
            From::Gone(Some(hours)) => {
                let time = at(TimeDelta::hours(*hours));
                (json!(Uuid::new_v4()), json!(time), Some(not_before(&time)))
            }
            From::Row(nth) => {
                let all: Vec<&Message> = self.gone.iter().chain(&self.messages).collect();
                let Some(row) = all.get(nth % all.len().max(1)) else { return (json!(null), json!(null), None) };
                let place = self.messages.iter().position(|m| m.id() == row.id()).unwrap_or_else(|| not_before(&row.created));
                (json!(row.id()), json!(row.created), Some(place))
            }
        }
    }

    /// As [`Talk::place`], among the reports. Their times are the server's.
    fn report_place(&self, from: &From) -> (Value, Option<usize>) {
        match from {
            From::Row(nth) if !self.reports.is_empty() => {
                let place = nth % self.reports.len();
                self.reports[place].id.as_ref().map_or((json!(null), None), |id| (json!(id), Some(place)))
            }
            From::Gone(_) => (json!(Uuid::new_v4()), None),
            _ => (json!(null), None),
        }
    }

    /// The talk as an action names it, in its present life or in one that nobody knows.
    fn named(&self, is_stale: bool) -> crate::world::Talk {
        crate::world::Talk { id: self.id.clone(), instance: if is_stale { "0000000000".into() } else { self.instance.clone() } }
    }
}

impl Model {
    async fn begin(world: &Arc<World>) -> Self {
        let mut people = vec![];
        for name in NAMES {
            people.push(world.person(name).await);
        }
        for (one, person) in people.iter().enumerate() {
            for other in &people[one + 1..] {
                person.befriends(other).await;
            }
        }
        Self { people, talks: vec![], blocks: BTreeSet::new(), due: Default::default(), clock: 0 }
    }

    /// One of the talks that there are.
    fn which(&self, talk: Which) -> Option<usize> {
        (!self.talks.is_empty()).then(|| talk % self.talks.len())
    }

    fn secrets(&self, whose: &[Who]) -> Value {
        whose.iter().map(|who| (self.people[*who].user.clone(), json!(format!("secret {who}")))).collect::<serde_json::Map<_, _>>().into()
    }

    fn member(&self, who: Who, name: &str, is_admin: bool) -> Member {
        Member {
            secret: format!("secret {who}"),
            name: name.to_owned(),
            is_admin,
            joined: self.clock,
            is_favorite: false,
            is_muted: false,
            is_hidden: false,
            hide_id: String::new(),
            color: "#ffffff".into(),
        }
    }

    fn list_changed(&mut self, of: impl IntoIterator<Item = Who>) {
        for who in of {
            self.due[who].1 = true;
        }
    }

    fn content_changed(&mut self, talk: usize) {
        for who in self.talks[talk].members.keys() {
            self.due[*who].0.insert(self.talks[talk].id.clone());
        }
    }

    /// Compares what someone is shown of a conversation with what there is.
    fn shows(&mut self, talk: usize, who: Who, view: &Value) {
        let Talk { id, is_group, instance, members, messages, reports, last_access, .. } = &mut self.talks[talk];
        let newest = reports.last_mut().map(|report| {
            report.id.get_or_insert_with(|| view["lastreportid"].as_str().filter(|id| !id.is_empty()).unwrap().to_owned()).clone()
        });
        let mut everyone: Vec<(&str, &str)> = members.keys().map(|who| (self.people[*who].user.as_str(), NAMES[*who])).collect();
        everyone.sort_unstable();
        let own = &members[&who];
        let user = &self.people[who].user;
        let named_if = |is: bool| if is { json!([user]) } else { json!([]) };
        let expected = json!({
            "id": id, "isgroup": is_group, "instance": instance, "displayname": own.name, "secret": own.secret, "lastaccess": last_access,
            "participantids": everyone.iter().map(|(id, _)| id).collect::<Vec<_>>(),
            "participants": everyone.iter().map(|(id, name)| json!({ "userid": id, "username": name })).collect::<Vec<_>>(),
            "lastmessageid": messages.last().map_or("", Message::id), "lastreportid": newest.unwrap_or_default(),
            "mutedby": named_if(own.is_muted), "favoriteby": named_if(own.is_favorite), "hiddenby": named_if(own.is_hidden),
            "properties": [{
                "userid": user, "ismuted": own.is_muted, "isfavorite": own.is_favorite, "hideid": own.hide_id,
                "listitembackgroundcolor": own.color,
            }],
        });
        assert_eq!(*view, expected);
    }

    /// What is answered if someone may not do this; empty: they may. Where several apply, docs/api.md leaves open which
    /// is told.
    fn refusals(&self, who: Who, talk: usize, is_stale: bool, is_for_admins: bool, is_for_unblocked: bool) -> Vec<&'static str> {
        let talk = &self.talks[talk];
        let Some(own) = talk.members.get(&who) else { return vec!["conversation_not_found"] };
        let is_blocked = !talk.is_group && talk.members.keys().any(|other| self.blocks.contains(&(*other, who)));
        let mut refusals = vec![];
        if is_stale {
            refusals.push("stale_instance");
        }
        if (is_for_admins && talk.is_group && !own.is_admin) || (is_for_unblocked && is_blocked) {
            refusals.push("not_allowed");
        }
        refusals
    }

    /// As [`Model::refusals`], of a change to a group.
    fn refusals_of_group(&self, who: Who, talk: usize) -> Vec<&'static str> {
        let talk = &self.talks[talk];
        match talk.members.get(&who) {
            None => vec!["conversation_not_found"],
            Some(own) if !talk.is_group || !own.is_admin => vec!["not_allowed"],
            Some(_) => vec![],
        }
    }

    async fn asks(&self, who: Who, api: &str, fields: Value) -> Answer {
        self.people[who].asks_as(3, api, fields).await
    }

    async fn does(&self, who: Who, talk: usize, action: &str, is_stale: bool, fields: Value) -> Answer {
        self.asks(who, "chatconversation", on(action, &self.talks[talk].named(is_stale), fields)).await
    }

    async fn takes(&mut self, step: Step) {
        self.clock += 1;
        match step {
            Step::Create { who, with } => self.create(who, with).await,
            Step::Group { who, others } => self.group(who, &others).await,
            Step::Block { who, whom, is } if who != whom => {
                let action = if is { "block" } else { "unblock" };
                self.asks(who, "chatblocklist", json!({ "action": action, "userid": self.people[whom].user })).await.is_ok();
                if is {
                    self.blocks.insert((who, whom))
                } else {
                    self.blocks.remove(&(who, whom))
                };
            }
            Step::Block { .. } => {}
            Step::List { who } => self.list(who).await,
            Step::Poll { who } => self.poll(who).await,
            other => {
                let (Step::Invite { talk, .. }
                | Step::Remove { talk, .. }
                | Step::Leave { talk, .. }
                | Step::Role { talk, .. }
                | Step::Rename { talk, .. }
                | Step::Add { talk, .. }
                | Step::Again { talk, .. }
                | Step::Read { talk, .. }
                | Step::ReadBack { talk, .. }
                | Step::Report { talk, .. }
                | Step::Transcript { talk, .. }
                | Step::Clear { talk, .. }
                | Step::Arrange { talk, .. }) = &other
                else {
                    unreachable!()
                };
                if let Some(talk) = self.which(*talk) {
                    self.takes_on(talk, other).await;
                }
            }
        }
    }

    /// A step that is about a conversation.
    async fn takes_on(&mut self, talk: usize, step: Step) {
        match step {
            Step::Invite { who, whom, .. } => self.invite(who, talk, whom).await,
            Step::Remove { who, whom, .. } => self.remove(who, talk, whom).await,
            Step::Leave { who, .. } => self.leave(who, talk).await,
            Step::Role { who, whom, is_admin, .. } => self.role(who, talk, whom, is_admin).await,
            Step::Rename { who, name, .. } => self.rename(who, talk, &format!("name {name}")).await,
            Step::Add { who, hours, is_stale, .. } => {
                let mut sent = message(&format!("{} of {who}", self.clock));
                sent["Created"] = at(TimeDelta::hours(hours)).into();
                self.add(who, talk, sent, is_stale).await;
            }
            Step::Again { who, nth, is_other, .. } => {
                let all: Vec<&Message> = self.talks[talk].gone.iter().chain(&self.talks[talk].messages).collect();
                let Some(of) = all.get(nth % all.len().max(1)) else { return };
                let mut sent = of.sent.clone();
                if is_other {
                    sent["Data"] = "something else".into();
                }
                self.add(who, talk, sent, false).await;
            }
            Step::Read { who, messages, reports, is_stale, .. } => self.read(who, talk, &messages, &reports, is_stale).await,
            Step::ReadBack { who, messages, reports, limit, is_stale, .. } => {
                self.read_back(who, talk, &messages, &reports, limit, is_stale).await;
            }
            Step::Report { who, r#type, which, is_stale, .. } => self.report(who, talk, r#type, &which, is_stale).await,
            Step::Transcript { who, is_stale, .. } => self.transcript(who, talk, is_stale).await,
            Step::Clear { who, is_stale, .. } => self.clear(who, talk, is_stale).await,
            Step::Arrange { who, how, .. } => self.arrange(who, talk, how).await,
            _ => unreachable!(),
        }
    }

    async fn create(&mut self, who: Who, with: Who) {
        if who == with {
            return;
        }
        let request = self.people[who].creation(&self.people[with]);
        let answer = self.asks(who, "chatconversation", request).await;
        let there =
            self.talks.iter().position(|talk| !talk.is_group && talk.members.contains_key(&who) && talk.members.contains_key(&with));
        let refusals = if there.is_none() && self.blocks.contains(&(with, who)) { vec!["not_allowed"] } else { vec![] };
        if is_refused(&answer, &refusals) {
            return;
        }
        let view = answer.json()["conversation"].clone();
        let talk = there.unwrap_or_else(|| {
            let member = |who: Who| Member {
                secret: format!("secret for {}", NAMES[who]),
                ..self.member(who, &format!("name for {}", NAMES[who]), false)
            };
            let members = [who, with].map(|who| (who, member(who))).into();
            self.talks.push(Talk::new(&view, false, members));
            self.list_changed([who, with]);
            self.talks.len() - 1
        });
        self.shows(talk, who, &view);
    }

    async fn group(&mut self, who: Who, others: &[Who]) {
        let others: BTreeSet<Who> = others.iter().copied().filter(|other| *other != who).collect();
        let everyone: Vec<Who> = others.iter().copied().chain([who]).collect();
        let ids: Vec<&str> = others.iter().map(|who| self.people[*who].user.as_str()).collect();
        let request = json!({ "action": "create", "displayname": "the group", "participantids": ids, "secrets": self.secrets(&everyone) });
        let answer = self.asks(who, "chatconversationgroup", request).await;
        let is_blocked = others.iter().any(|other| self.blocks.contains(&(*other, who)));
        if is_refused(&answer, if is_blocked { &["not_allowed"] } else { &[] }) {
            return;
        }
        let view = answer.json()["conversation"].clone();
        let members = everyone.iter().map(|one| (*one, self.member(*one, "the group", *one == who))).collect();
        self.talks.push(Talk::new(&view, true, members));
        self.list_changed(everyone);
        self.shows(self.talks.len() - 1, who, &view);
    }

    /// Asks for a change to a group. Whether it was made.
    async fn changes(&mut self, who: Who, talk: usize, action: &str, mut fields: Value, refusals: &[&str]) -> Option<Value> {
        fields["action"] = action.into();
        fields["conversationid"] = self.talks[talk].id.clone().into();
        let answer = self.asks(who, "chatconversationgroup", fields).await;
        (!is_refused(&answer, refusals)).then(|| answer.json()["conversation"].clone())
    }

    async fn invite(&mut self, who: Who, talk: usize, whom: Who) {
        let mut refusals = self.refusals_of_group(who, talk);
        if self.blocks.contains(&(whom, who)) {
            refusals.push("not_allowed");
        }
        let request = json!({
            "participantids": [self.people[whom].user], "secrets": self.secrets(&[whom]),
            "displaynames": { self.people[whom].user.clone(): "invited" },
        });
        let Some(view) = self.changes(who, talk, "addparticipants", request, &refusals).await else { return };
        let member = self.member(whom, "invited", false);
        self.talks[talk].members.entry(whom).or_insert(member);
        self.list_changed(self.talks[talk].members.keys().copied().collect::<Vec<_>>());
        self.shows(talk, who, &view);
    }

    async fn remove(&mut self, who: Who, talk: usize, whom: Who) {
        if who == whom {
            return;
        }
        let refusals = self.refusals_of_group(who, talk);
        let request = json!({ "participantids": [self.people[whom].user] });
        let Some(view) = self.changes(who, talk, "removeparticipants", request, &refusals).await else { return };
        self.list_changed(self.talks[talk].members.keys().copied().collect::<Vec<_>>());
        self.talks[talk].members.remove(&whom);
        self.due[whom].0.remove(&self.talks[talk].id);
        self.shows(talk, who, &view);
    }

    async fn leave(&mut self, who: Who, talk: usize) {
        let refusals = match self.talks[talk].members.get(&who) {
            None => vec!["conversation_not_found"],
            Some(_) if !self.talks[talk].is_group => vec!["not_allowed"],
            Some(_) => vec![],
        };
        if self.changes(who, talk, "leave", json!({}), &refusals).await.is_none() {
            return;
        }
        self.list_changed(self.talks[talk].members.keys().copied().collect::<Vec<_>>());
        let id = self.talks[talk].id.clone();
        self.due[who].0.remove(&id);
        let (people, members) = (&self.people, &mut self.talks[talk].members);
        members.remove(&who);
        if !members.values().any(|member| member.is_admin) {
            let longest = members.iter_mut().min_by_key(|(who, member)| (member.joined, people[**who].user.clone()));
            if let Some((_, longest)) = longest {
                longest.is_admin = true;
            }
        }
    }

    async fn role(&mut self, who: Who, talk: usize, whom: Who, is_admin: bool) {
        let mut refusals = self.refusals_of_group(who, talk);
        let members = &self.talks[talk].members;
        if refusals.is_empty() && !members.contains_key(&whom) {
            refusals.push("user_not_found");
        }
        if refusals.is_empty() && !is_admin && !members.iter().any(|(other, member)| member.is_admin && *other != whom) {
            refusals.push("not_allowed");
        }
        let request = json!({ "participantid": self.people[whom].user, "role": if is_admin { "admin" } else { "member" } });
        let Some(view) = self.changes(who, talk, "setrole", request, &refusals).await else { return };
        if let Some(member) = self.talks[talk].members.get_mut(&whom) {
            member.is_admin = is_admin;
        }
        self.list_changed(self.talks[talk].members.keys().copied().collect::<Vec<_>>());
        self.shows(talk, who, &view);
    }

    async fn rename(&mut self, who: Who, talk: usize, name: &str) {
        let refusals = self.refusals_of_group(who, talk);
        let names: serde_json::Map<_, _> =
            self.talks[talk].members.keys().map(|who| (self.people[*who].user.clone(), name.into())).collect();
        let Some(view) = self.changes(who, talk, "rename", json!({ "displaynames": names }), &refusals).await else { return };
        for member in self.talks[talk].members.values_mut() {
            name.clone_into(&mut member.name);
        }
        self.list_changed(self.talks[talk].members.keys().copied().collect::<Vec<_>>());
        self.shows(talk, who, &view);
    }

    async fn add(&mut self, who: Who, talk: usize, sent: Value, is_stale: bool) {
        let before = now();
        let answer = self.does(who, talk, "add", is_stale, json!({ "message": sent.to_string() })).await;
        let there = self.talks[talk].messages.iter().find(|message| message.sent["ID"] == sent["ID"]);
        let mut refusals = self.refusals(who, talk, is_stale, false, there.is_none());
        if refusals.is_empty() && there.is_some_and(|there| there.user != who || there.sent != sent) {
            refusals.push("message_id_conflict");
        }
        if is_refused(&answer, &refusals) {
            return;
        }
        let stored = answer.json()["message"].clone();
        let text = |field: &str| stored[field].as_str().unwrap().to_owned();
        if let Some(there) = there {
            assert_eq!((text("ID").as_str(), text("Created")), (there.id(), there.created.clone()));
            return;
        }
        let (asked, created) = (sent["Created"].as_str().unwrap(), text("Created"));
        let is_ahead = asked > at(TimeDelta::minutes(5)).as_str();
        assert!(if is_ahead { created >= before && created <= now() } else { created == asked }, "{asked} became {created}");
        assert_eq!((&stored["ID"], &stored["Type"], &stored["ValidUntil"]), (&sent["ID"], &sent["Type"], &sent["ValidUntil"]));
        let talk_now = &mut self.talks[talk];
        talk_now.last_access = talk_now.last_access.max(unix(&created));
        talk_now.messages.push(Message { sent, created, user: who });
        self.content_changed(talk);
    }

    /// Compares a page with these rows.
    fn page(&mut self, talk: usize, page: &Value, messages: &[Message], reports: std::ops::Range<usize>) {
        let shown = |message: &Message| {
            json!({
                "ID": message.sent["ID"], "Type": message.sent["Type"], "Created": message.created, "ValidUntil": message.sent["ValidUntil"],
                "Data": message.sent["Data"],
            })
        };
        assert_eq!(page["messages"], messages.iter().map(shown).collect::<Value>());
        let rows = page["reports"].as_array().unwrap();
        assert_eq!(rows.len(), reports.len(), "{page}");
        for (row, report) in rows.iter().zip(&mut self.talks[talk].reports[reports]) {
            let person = &self.people[report.user];
            let id = report.id.get_or_insert_with(|| row["ID"].as_str().unwrap().to_owned());
            let expected = json!({
                "ID": id, "Type": report.r#type, "Created": row["Created"], "ValidUntil": report.of.sent["ValidUntil"],
                "User": person.user, "Station": person.station, "MessageID": report.of.id(),
            });
            assert_eq!(*row, expected);
        }
        let ids: BTreeSet<_> = self.talks[talk].reports.iter().filter_map(|report| report.id.as_ref()).collect();
        assert_eq!(ids.len(), self.talks[talk].reports.iter().filter(|report| report.id.is_some()).count(), "two reports have one id");
    }

    async fn read(&mut self, who: Who, talk: usize, messages: &From, reports: &From, is_stale: bool) {
        let (id, date, place) = self.talks[talk].place(messages);
        let (report_id, report_place) = self.talks[talk].report_place(reports);
        let cursor = json!({ "firstmessageid": id, "firstmessagedate": date, "firstreportid": report_id });
        let answer = self.does(who, talk, "download", is_stale, cursor).await;
        if is_refused(&answer, &self.refusals(who, talk, is_stale, false, false)) {
            return;
        }
        let expected = self.talks[talk].messages[place.unwrap_or(0)..].to_vec();
        let all = self.talks[talk].reports.len();
        self.page(talk, &answer.json(), &expected, report_place.unwrap_or(0)..all);
    }

    async fn read_back(&mut self, who: Who, talk: usize, messages: &From, reports: &From, limit: Option<usize>, is_stale: bool) {
        let (id, date, place) = self.talks[talk].place(messages);
        let (report_id, report_place) = self.talks[talk].report_place(reports);
        let cursor = json!({ "lastmessageid": id, "lastmessagedate": date, "lastreportid": report_id, "limit": limit });
        let answer = self.does(who, talk, "downloadpartial", is_stale, cursor).await;
        if is_refused(&answer, &self.refusals(who, talk, is_stale, false, false)) {
            return;
        }
        let most = limit.unwrap_or(50);
        let end = place.unwrap_or(self.talks[talk].messages.len());
        let expected = self.talks[talk].messages[end.saturating_sub(most)..end].to_vec();
        let end = report_place.unwrap_or(self.talks[talk].reports.len());
        self.page(talk, &answer.json(), &expected, end.saturating_sub(most)..end);
    }

    async fn report(&mut self, who: Who, talk: usize, r#type: &'static str, which: &[usize], is_stale: bool) {
        let all: Vec<Message> = self.talks[talk].gone.iter().chain(&self.talks[talk].messages).cloned().collect();
        let ids: Vec<&str> = which.iter().filter_map(|nth| all.get(nth % all.len().max(1)).map(Message::id)).collect();
        let named = self.talks[talk].named(is_stale);
        let request = json!({ "action": r#type, "conversationid": named.id, "instance": named.instance, "messageids": ids });
        let answer = self.asks(who, "chatreports", request).await;
        if is_refused(&answer, &self.refusals(who, talk, is_stale, false, false)) {
            return;
        }
        let Talk { messages, reports, .. } = &mut self.talks[talk];
        let before = reports.len();
        // In the order of the messages, however they were named.
        for message in messages.iter().filter(|message| ids.contains(&message.id())) {
            if !reports.iter().any(|report| report.user == who && report.r#type == r#type && report.of.id() == message.id()) {
                reports.push(Report { id: None, r#type, user: who, of: message.clone() });
            }
        }
        if reports.len() > before {
            self.content_changed(talk);
        }
    }

    async fn transcript(&mut self, who: Who, talk: usize, is_stale: bool) {
        let answer = self.does(who, talk, "transcript", is_stale, json!({ "limit": 500 })).await;
        if is_refused(&answer, &self.refusals(who, talk, is_stale, false, false)) {
            return;
        }
        let links = answer.json()["transcript"].clone();
        let ids: Vec<&str> = links.as_array().unwrap().iter().map(|link| link["ID"].as_str().unwrap()).collect();
        assert_eq!(ids, self.talks[talk].messages.iter().map(Message::id).collect::<Vec<_>>());
        follow(beginning(&self.talks[talk].named(false)), &links);
    }

    async fn clear(&mut self, who: Who, talk: usize, is_stale: bool) {
        let answer = self.does(who, talk, "clear", is_stale, json!({})).await;
        if is_refused(&answer, &self.refusals(who, talk, is_stale, true, true)) {
            return;
        }
        let view = answer.json()["conversation"].clone();
        let cleared = &mut self.talks[talk];
        assert_ne!(view["instance"], cleared.instance.as_str());
        view["instance"].as_str().unwrap().clone_into(&mut cleared.instance);
        cleared.gone.append(&mut cleared.messages);
        cleared.reports.clear();
        self.list_changed(self.talks[talk].members.keys().copied().collect::<Vec<_>>());
        self.shows(talk, who, &view);
    }

    async fn arrange(&mut self, who: Who, talk: usize, how: How) {
        let (action, fields) = match how {
            How::Favorite(is) => (if is { "favorite" } else { "unfavorite" }, json!({})),
            How::Muted(is) => (if is { "mute" } else { "unmute" }, json!({})),
            How::Hide(id) => ("hide", json!({ "hideid": id })),
            How::Unhide => ("unhide", json!({})),
            How::Color(color) => ("setlistitembackgroundcolor", json!({ "color": color })),
        };
        let answer = self.does(who, talk, action, false, fields).await;
        if is_refused(&answer, &self.refusals(who, talk, false, false, false)) {
            return;
        }
        if let Some(own) = self.talks[talk].members.get_mut(&who) {
            match how {
                How::Favorite(is) => own.is_favorite = is,
                How::Muted(is) => own.is_muted = is,
                How::Hide(None) => own.is_hidden = true,
                How::Hide(Some(id)) => id.clone_into(&mut own.hide_id),
                How::Unhide => (own.is_hidden, own.hide_id) = (false, String::new()),
                How::Color(color) => color.clone_into(&mut own.color),
            }
        }
        self.list_changed([who]);
        self.shows(talk, who, &answer.json()["conversation"]);
    }

    async fn list(&mut self, who: Who) {
        let answer = self.asks(who, "chatconversation", json!({ "action": "list" })).await.is_ok();
        let views = answer["conversations"].as_array().unwrap();
        let own: Vec<usize> = (0..self.talks.len()).filter(|talk| self.talks[*talk].members.contains_key(&who)).collect();
        assert_eq!(views.len(), own.len(), "{answer}");
        let times: Vec<i64> = views.iter().map(|view| view["lastaccess"].as_i64().unwrap()).collect();
        assert!(times.is_sorted_by(|one, next| one >= next), "{times:?}");
        for talk in own {
            let view = views.iter().find(|view| view["id"] == self.talks[talk].id.as_str()).unwrap();
            self.shows(talk, who, view);
        }
    }

    /// Too often is allowed; too seldom, never.
    async fn poll(&mut self, who: Who) {
        let news = self.people[who].hears().await;
        let (conversations, is_list) = std::mem::take(&mut self.due[who]);
        if news.lists.is_empty() {
            assert!(!is_list, "{} was not told that the list is another one", NAMES[who]);
            let unheard: Vec<_> = conversations.iter().filter(|id| !news.conversations.contains(id)).collect();
            assert!(unheard.is_empty(), "{} was not told of {unheard:?}", NAMES[who]);
        }
    }
}

impl Talk {
    fn new(view: &Value, is_group: bool, members: BTreeMap<Who, Member>) -> Self {
        let text = |field: &str| view[field].as_str().unwrap().to_owned();
        let (id, instance, last_access) = (text("id"), text("instance"), view["lastaccess"].as_i64().unwrap());
        Self { id, is_group, instance, members, messages: vec![], reports: vec![], gone: vec![], last_access }
    }
}

/// Plays steps in a world of their own, which ends, however that goes: shorter ones are tried in many others.
async fn play(steps: Vec<Step>) {
    let world = World::new().await;
    if let Err(failed) = tokio::spawn(play_in(world.clone(), steps)).await {
        world.db.close().await;
        world.stop().await;
        std::panic::resume_unwind(failed.into_panic());
    }
}

/// In the end everyone compares everything.
async fn play_in(world: Arc<World>, steps: Vec<Step>) {
    let mut model = Model::begin(&world).await;
    // Most of what can go wrong needs something that is there.
    model.create(0, 1).await;
    model.group(0, &[1, 2]).await;
    for step in steps {
        model.takes(step).await;
    }
    for who in 0..NAMES.len() {
        model.poll(who).await;
        model.list(who).await;
        for talk in 0..model.talks.len() {
            model.read(who, talk, &From::Nothing, &From::Nothing, false).await;
        }
    }
    world.end().await;
}

#[test]
fn whatever_people_do_the_server_answers_what_the_model_does() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = ProptestConfig { cases: 48, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(steps in steps())| {
        runtime.block_on(play(steps));
    });
}
