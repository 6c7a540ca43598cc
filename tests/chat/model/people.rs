//! The model's people: login, friendships and blocks, and what they see of each other.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Model, NAMES, Who, is_refused, step::Login};
use crate::world::{Answer, public_key};

/// How a user sees another one: as a friend with their availability, as a friend request, or not at
/// all.
#[derive(Debug, PartialEq, Eq)]
struct Visibility {
    friend: Option<&'static str>,
    is_waiting: bool,
}

impl Model {
    pub(super) async fn login(&mut self, who: Who, how: Login) {
        let new = Uuid::new_v4().simple().to_string();
        let station = if matches!(how, Login::Elsewhere) {
            &new
        } else {
            &self.people[who].station
        };
        let (of, claimed) = match how {
            Login::Again | Login::Elsewhere => (NAMES[who], who),
            Login::WithAnotherKey => ("Nobody", who),
            Login::As(whom) => (NAMES[who], whom),
        };
        let headers = [
            ("Ozeki-Station", &**station),
            ("Ozeki-User", &*self.people[claimed].user),
        ];
        let body = json!({ "action": "login", "apikey": format!("the apikey of {of}") });
        let answer = self.people[who]
            .world
            .posts("chatserver", "chatlogin", &headers, &body.to_string())
            .await;
        if is_refused(
            &answer,
            if of == NAMES[claimed] {
                &[]
            } else {
                &["login_failed"]
            },
        ) {
            return;
        }
        let view = answer.json();
        assert_eq!(
            (&view["userid"], &view["nick"]),
            (&json!(self.people[who].user), &json!(NAMES[who]))
        );
        if matches!(how, Login::Elsewhere) {
            self.people[who].station = new;
            // A new station has to resync first.
            self.expected[who].list = true;
        }
    }

    pub(super) async fn register(&self, who: Who) {
        let body = json!({
            "action": "register", "email": format!("{}@example.org", NAMES[who]), "fullname": "Someone else", "nick": "someone",
            "apikey": "another key of sixteen", "publickey": public_key(&self.people[who].key), "rsakey": "another",
        });
        let answer = self.people[who]
            .world
            .posts("chatserver", "chatlogin", &[], &body.to_string())
            .await;
        is_refused(&answer, &["already_exists"]);
    }

    pub(super) fn are_friends(&self, one: Who, other: Who) -> bool {
        self.friend_claims.contains_key(&(one, other))
            && self.friend_claims.contains_key(&(other, one))
    }

    fn visibility(&self, who: Who, other: Who) -> Visibility {
        let is_blocked = |by, whom| self.blocks.contains(&(by, whom));
        let are_friends = self.are_friends(who, other);
        Visibility {
            friend: are_friends.then(|| {
                if is_blocked(other, who) {
                    "offline"
                } else {
                    self.availabilities[other]
                }
            }),
            is_waiting: self.friend_claims.contains_key(&(other, who))
                && !are_friends
                && !is_blocked(who, other),
        }
    }

    /// Each ordered pair of users, and how the first sees the second.
    fn visibilities(&self) -> Vec<(Who, Who, Visibility)> {
        let all = 0..NAMES.len();
        all.clone()
            .flat_map(|who| {
                all.clone()
                    .map(move |other| (who, other, self.visibility(who, other)))
            })
            .collect()
    }

    /// Expects notifications for everyone to whom another user looks different than before, but of those whom they have
    /// blocked: these do not disturb them.
    fn expect_visibility_changes(&mut self, before: &[(Who, Who, Visibility)]) {
        for ((who, other, now), (.., then)) in self.visibilities().into_iter().zip(before) {
            if now != *then && !self.blocks.contains(&(who, other)) {
                self.expected[who]
                    .friends
                    .insert(self.people[other].user.clone());
            }
        }
    }

    pub(super) async fn friends(&self, who: Who) {
        let answer = self.people[who]
            .asks_as(4, "chatfriends", json!({ "action": "list" }))
            .await
            .ok();
        let others = || (0..NAMES.len()).filter(|other| *other != who);
        let mut friends: Vec<_> = others()
            .filter_map(|other| Some((other, self.visibility(who, other).friend?)))
            .collect();
        friends.sort_by_key(|(friend, _)| &self.people[*friend].user);
        let mut waiting: Vec<_> = others()
            .filter(|other| self.visibility(who, *other).is_waiting)
            .collect();
        waiting.sort_by_key(|other| self.friend_claims[&(*other, who)]);
        let of = |who: &Who| (&self.people[*who], NAMES[*who]);
        let expected = json!({
            "status": "OK", "errormessage": "",
            "friends": friends.iter().map(|(friend, _)| (of(friend).0.user.clone(), json!(of(friend).1))).collect::<serde_json::Map<_, _>>(),
            "availabilities": friends.iter().map(|(friend, availability)| json!({
                "friendid": of(friend).0.user, "friendname": of(friend).1, "publickey": public_key(&of(friend).0.key),
                "availability": availability, "alike": false,
            })).collect::<Value>(),
            "requests": waiting.iter().map(|other| json!({
                "friendid": of(other).0.user, "friendname": of(other).1, "alike": false,
            })).collect::<Value>(),
            "left": [], "chosen": self.chosen[who],
        });
        assert_eq!(answer, expected);
    }

    async fn asks_of(&self, who: Who, api: &str, action: &str, field: &str, whom: Who) -> Answer {
        self.asks(
            who,
            api,
            json!({ "action": action, field: self.people[whom].user }),
        )
        .await
    }

    /// `action`: `add` or `accept`.
    pub(super) async fn befriend(&mut self, who: Who, action: &str, whom: Who) {
        let answer = self
            .asks_of(who, "chatfriends", action, "friendid", whom)
            .await;
        let is_incoming = action == "add" || self.friend_claims.contains_key(&(whom, who));
        let refusals: &[_] = if who == whom {
            &["bad_request"]
        } else if is_incoming {
            &[]
        } else {
            &["not_allowed"]
        };
        if is_refused(&answer, refusals) || self.blocks.contains(&(whom, who)) {
            return;
        }
        let before = self.visibilities();
        self.friend_claims.entry((who, whom)).or_insert(self.clock);
        self.expect_visibility_changes(&before);
    }

    pub(super) async fn unfriend(&mut self, who: Who, whom: Who) {
        let answer = self
            .asks_of(who, "chatfriends", "remove", "friendid", whom)
            .await;
        if is_refused(&answer, if who == whom { &["bad_request"] } else { &[] }) {
            return;
        }
        let before = self.visibilities();
        self.friend_claims.remove(&(who, whom));
        self.friend_claims.remove(&(whom, who));
        self.expect_visibility_changes(&before);
    }

    pub(super) async fn block(&mut self, who: Who, whom: Who, is: bool) {
        let answer = self
            .asks_of(
                who,
                "chatblocklist",
                if is { "block" } else { "unblock" },
                "userid",
                whom,
            )
            .await;
        if is_refused(&answer, if who == whom { &["bad_request"] } else { &[] }) {
            return;
        }
        let before = self.visibilities();
        let invited = self.all_invited();
        if is {
            self.blocks.insert((who, whom));
            if !self.are_friends(who, whom) {
                self.friend_claims.remove(&(whom, who));
            }
        } else {
            self.blocks.remove(&(who, whom));
        }
        self.expect_visibility_changes(&before);
        self.expect_invitation_changes(&invited);
    }

    pub(super) async fn blocklist(&self, who: Who) {
        let answer = self
            .asks(who, "chatblocklist", json!({ "action": "blocklist" }))
            .await
            .ok();
        let mut users: Vec<&str> = self
            .blocks
            .iter()
            .filter(|(by, _)| *by == who)
            .map(|(_, whom)| self.people[*whom].user.as_str())
            .collect();
        let hides = |conversation: &&super::conversation::Conversation| {
            conversation
                .members
                .get(&who)
                .is_some_and(|own| own.is_hidden)
        };
        let mut conversations: Vec<&str> = self
            .conversations
            .iter()
            .filter(hides)
            .map(|conversation| conversation.id.as_str())
            .collect();
        users.sort_unstable();
        conversations.sort_unstable();
        assert_eq!(
            (&answer["blockedusers"], &answer["blockedconversations"]),
            (&json!(users), &json!(conversations))
        );
    }

    pub(super) async fn say(&mut self, who: Who, said: &'static str) {
        let action = format!("user{said}");
        self.asks(who, "chatavailability", json!({ "action": action }))
            .await
            .ok();
        let before = self.visibilities();
        self.availabilities[who] = if said == "invisible" { "offline" } else { said };
        if said != "offline" && self.chosen[who] != said {
            self.chosen[who] = said;
            let own = self.people[who].user.clone();
            self.expected[who].friends.insert(own);
        }
        self.expect_visibility_changes(&before);
    }

    pub(super) async fn workspace(&mut self, who: Who, name: &'static str) {
        let body = json!({ "action": "workspaceregister", "workspacename": name });
        let answer = self.people[who]
            .sends("chatowner", "workspace", &body.to_string())
            .await;
        let owner = *self.workspaces.entry(name).or_insert(who);
        is_refused(
            &answer,
            if owner == who {
                &[]
            } else {
                &["already_exists"]
            },
        );
    }
}
