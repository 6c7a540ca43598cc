//! Users, friends and conversations, made over the wire as clients make them.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    cluster::Cluster,
    dice::Dice,
    form::{Id, plain, read_plain},
    ledger::{Flags, Ledger, Settled},
    wire::{Asked, From, Station, V3, V4, Wire},
};
use crate::bench::client::Client;

/// How many groups there are.
const GROUPS: usize = 3;
/// However many conversations there are to be, there are no more users.
const MOST_USERS: usize = 100;
/// Whoever registers or logs in is answered in this time.
const PATIENCE: Duration = Duration::from_secs(20);
/// Into so many quiet conversations a node's last words go.
const LAST_WORDS: usize = 8;

/// What happens in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Busy,
    /// One now and then, so that nothing else tells of it.
    Quiet,
    /// Nothing, but for the last words of a node that ends.
    LastWords,
    /// Many messages, and cleared again and again.
    Cleared,
    /// More than one page of large messages.
    Large,
    /// A group whose last member is removed and added again.
    Group,
}

#[derive(Debug, Clone)]
pub(super) struct Conversation {
    pub id: Id,
    /// What happens in it.
    pub r#use: Use,
    /// Who is in it, as places among the users.
    pub members: Vec<usize>,
}

/// Users and conversations.
#[derive(Debug)]
pub(super) struct People {
    /// Each user, at the station that they write from.
    pub writers: Vec<Station>,
    /// The stations that are read at.
    pub readers: Vec<Station>,
    pub conversations: Vec<Conversation>,
}

/// The wrapped secret that a client would make; the server cannot tell.
const SECRET: &str = "d3JhcHBlZA==";

impl People {
    /// Makes them; so many conversations of two, and so many stations to read at.
    pub(super) async fn settle(
        cluster: &Cluster,
        conversations: usize,
        readers: usize,
        ledger: &mut Ledger,
        dice: &mut Dice,
    ) -> Result<Self, String> {
        let users = (3..MOST_USERS)
            .find(|users| users * (users - 1) / 2 >= conversations)
            .unwrap_or(MOST_USERS);
        let public_key = cluster.key.public_key();
        let mut people = Self {
            writers: vec![],
            readers: vec![],
            conversations: vec![],
        };
        for number in 0..users {
            let email = format!("{number}.{:08x}@selftest.invalid", dice.roll() >> 32);
            let apikey = format!(
                "{:016x}{:016x}{:016x}{:016x}",
                dice.roll(),
                dice.roll(),
                dice.roll(),
                dice.roll()
            );
            let nick = format!("User {number}");
            let fields = json!({ "action": "register", "email": email, "fullname": nick, "nick": nick, "apikey": apikey, "publickey": public_key, "rsakey": "opaque" });
            let registered = come_in(cluster, 0, fields, dice).await?;
            let user = registered
                .get("userid")
                .and_then(Value::as_str)
                .and_then(read_plain)
                .ok_or("register answers no userid")?;
            let count = 1 + (number..readers).step_by(users).count();
            for place in 0..count {
                let at = Station {
                    user,
                    station: (Id::from(dice.roll()) << 64) | Id::from(dice.roll()),
                };
                come_in(
                    cluster,
                    at.station,
                    json!({ "action": "login", "apikey": apikey }),
                    dice,
                )
                .await?;
                if place == 0 {
                    people.writers.push(at);
                } else {
                    people.readers.push(at);
                }
            }
        }
        // In turn: the first reader is the first user's, the second the second's.
        let user_of = |reader: &Station| {
            people
                .writers
                .iter()
                .position(|writer| writer.user == reader.user)
        };
        let mut in_turn: Vec<(usize, usize, Station)> = vec![];
        for reader in &people.readers {
            let user = user_of(reader).unwrap_or(0);
            in_turn.push((
                in_turn.iter().filter(|(_, of, _)| *of == user).count(),
                user,
                *reader,
            ));
        }
        in_turn.sort_by_key(|(turn, user, _)| (*turn, *user));
        people.readers = in_turn.into_iter().map(|(.., reader)| reader).collect();
        people
            .make_conversations(cluster, conversations, ledger, dice)
            .await?;
        Ok(people)
    }

    async fn make_conversations(
        &mut self,
        cluster: &Cluster,
        count: usize,
        ledger: &mut Ledger,
        dice: &mut Dice,
    ) -> Result<(), String> {
        let users = self.writers.len();
        let mut pairs: Vec<(usize, usize)> = (0..users)
            .flat_map(|one| (one + 1..users).map(move |other| (one, other)))
            .collect();
        // The first pair's is the large one: its two are the first to read.
        if let Some((_, others)) = pairs.split_first_mut() {
            dice.shuffle(others);
        }
        pairs.truncate(count.max(1));
        let mut wires: Vec<Wire> = self
            .writers
            .iter()
            .enumerate()
            .map(|(number, who)| Wire::new(*who, number, dice.fork()))
            .collect();
        let mut friends = BTreeSet::new();
        for (place, (one, other)) in pairs.into_iter().enumerate() {
            let r#use = match place {
                0 => Use::Large,
                1 | 2 => Use::Cleared,
                3..=7 => Use::Busy,
                _ if place < 8 + LAST_WORDS => Use::LastWords,
                _ => Use::Quiet,
            };
            let (Some(first), Some(second)) = (
                self.writers.get(one).copied(),
                self.writers.get(other).copied(),
            ) else {
                continue;
            };
            let [first_id, second_id] = [plain(first.user), plain(second.user)];
            self.befriend(cluster, &mut wires, (one, other)).await?;
            friends.insert((one, other));
            let fields = json!({ "action": "create", "participantid": second_id, "secrets": { &first_id: SECRET, &second_id: SECRET }, "displaynames": { &first_id: "bmFtZQ==", &second_id: "bmFtZQ==" } });
            let made = do_it(
                cluster,
                &mut wires,
                one,
                Asked {
                    api: "chatconversation",
                    version: V3,
                    fields,
                },
            )
            .await?;
            self.add_conversation(&made, r#use, vec![one, other], ledger)?;
        }
        for group in 0..GROUPS {
            let mut members: Vec<usize> = (0..users).collect();
            dice.shuffle(&mut members);
            members.truncate(users.min(5));
            // Who is removed reads, each in another way.
            let removed = (1 + 2 * group) % users;
            members.retain(|member| *member != removed);
            members.push(removed);
            let ids: Vec<String> = members
                .iter()
                .filter_map(|member| Some(plain(self.writers.get(*member)?.user)))
                .collect();
            let secrets: serde_json::Map<_, _> =
                ids.iter().map(|id| (id.clone(), SECRET.into())).collect();
            let fields = json!({ "action": "create", "displayname": "bmFtZQ==", "participantids": ids, "secrets": secrets });
            let admin = members.first().copied().unwrap_or(0);
            // Who is added is in the group at once only if a friend adds them.
            for member in members.iter().skip(1) {
                let pair = (admin.min(*member), admin.max(*member));
                if friends.insert(pair) {
                    self.befriend(cluster, &mut wires, pair).await?;
                }
            }
            let made = do_it(
                cluster,
                &mut wires,
                admin,
                Asked {
                    api: "chatconversationgroup",
                    version: V3,
                    fields,
                },
            )
            .await?;
            self.add_conversation(&made, Use::Group, members, ledger)?;
        }
        Ok(())
    }

    async fn befriend(
        &self,
        cluster: &Cluster,
        wires: &mut [Wire],
        (one, other): (usize, usize),
    ) -> Result<(), String> {
        let id = |who: usize| {
            self.writers
                .get(who)
                .map(|writer| plain(writer.user))
                .ok_or("no such user")
        };
        do_it(cluster, wires, one, friends("add", &id(other)?)).await?;
        do_it(cluster, wires, other, friends("accept", &id(one)?)).await?;
        Ok(())
    }

    fn add_conversation(
        &mut self,
        made: &Value,
        r#use: Use,
        members: Vec<usize>,
        ledger: &mut Ledger,
    ) -> Result<(), String> {
        let text = |field: &str| {
            made.get("conversation")
                .and_then(|made| made.get(field))
                .and_then(Value::as_str)
        };
        let id = text("id")
            .and_then(read_plain)
            .ok_or("create answers no conversation")?;
        ledger
            .instances
            .insert(id, text("instance").unwrap_or_default().to_owned());
        for member in &members {
            if let Some(writer) = self.writers.get(*member) {
                let since = Some(std::time::Instant::now());
                ledger.flags.insert(
                    (id, writer.user),
                    Settled {
                        value: Flags::default(),
                        since,
                    },
                );
            }
        }
        self.conversations.push(Conversation { id, r#use, members });
        Ok(())
    }

    /// The conversations that are used so.
    pub(super) fn used(&self, r#use: Use) -> Vec<&Conversation> {
        self.conversations
            .iter()
            .filter(|conversation| conversation.r#use == r#use)
            .collect()
    }

    /// The conversations that a user is in, if they were not removed since.
    pub(super) fn of(&self, user: Id) -> impl Iterator<Item = &Conversation> {
        let is_user = move |member: &usize| {
            self.writers
                .get(*member)
                .is_some_and(|writer| writer.user == user)
        };
        self.conversations
            .iter()
            .filter(move |conversation| conversation.members.iter().any(is_user))
    }

    /// A member of a conversation, where they write from.
    pub(super) fn member(&self, conversation: &Conversation, place: usize) -> Option<Station> {
        self.writers
            .get(
                *conversation
                    .members
                    .get(place % conversation.members.len().max(1))?,
            )
            .copied()
    }
}

/// How members are added to a group, or removed.
pub(super) fn group_change(action: &str, group: Id, user: Id) -> Asked {
    let user = plain(user);
    let fields = json!({ "action": action, "conversationid": plain(group), "participantids": [&user], "secrets": { &user: SECRET } });
    Asked {
        api: "chatconversationgroup",
        version: V4,
        fields,
    }
}

fn friends(action: &str, friend: &str) -> Asked {
    Asked {
        api: "chatfriends",
        version: V3,
        fields: json!({ "action": action, "friendid": friend }),
    }
}

async fn do_it(
    cluster: &Cluster,
    wires: &mut [Wire],
    who: usize,
    asked: Asked,
) -> Result<Value, String> {
    let wire = wires.get_mut(who).ok_or("no such user")?;
    let insisted = wire.insist(cluster, &asked).await;
    // Friends that were asked for twice are friends.
    insisted
        .result
        .map_err(|refusal| format!("{} was refused: {refusal}", asked.fields))
}

/// Registers or logs in: nobody signs yet.
async fn come_in(
    cluster: &Cluster,
    station: Id,
    fields: Value,
    dice: &mut Dice,
) -> Result<Value, String> {
    let asked = Asked {
        api: "chatlogin",
        version: V3,
        fields,
    };
    let address = cluster.address(0).ok_or("there are no nodes")?;
    let request = asked.request(&cluster.key, address, From::Unsigned(station), dice)?;
    let failed = |why: &dyn std::fmt::Display| format!("{} failed: {why}", asked.action());
    let answer = async {
        let mut client = Client::connect(address).await?;
        let refusal = client.ask(&request).await?;
        Ok::<_, std::io::Error>((refusal, client.body().to_vec()))
    };
    match timeout(PATIENCE, answer)
        .await
        .map_err(|error| failed(&error))?
        .map_err(|error| failed(&error))?
    {
        (None, body) => serde_json::from_slice(&body).map_err(|error| failed(&error)),
        (Some(code), _) => Err(failed(&code)),
    }
}
