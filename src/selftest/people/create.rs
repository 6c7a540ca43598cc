//! Creating users, friends and conversations.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Conversation, People, SECRET, Use, login::register_or_log_in};
use crate::selftest::{
    cluster::Cluster,
    form::{Id, plain, read_plain},
    ledger::{Flags, Ledger, Settled},
    request::{Request, Station, V3},
    rng::Rng,
    wire::Wire,
};

/// Number of groups.
const GROUPS: usize = 3;
/// Maximum users, however many conversations there are to be.
const MAX_USERS: usize = 100;
/// Number of quiet conversations that receive a node's last words.
const LAST_WORDS: usize = 8;

impl People {
    /// Makes them, with this many direct conversations and stations to read at.
    pub(in crate::selftest) async fn create(
        cluster: &Cluster,
        conversations: usize,
        readers: usize,
        ledger: &mut Ledger,
        rng: &mut Rng,
    ) -> Result<Self, String> {
        // As few users as have enough pairs: each is then in many conversations, as lists and caches have to cope
        // with.
        let users = (3..MAX_USERS)
            .find(|users| users * (users - 1) / 2 >= conversations)
            .unwrap_or(MAX_USERS);
        let public_key = cluster.key.public_key();
        let mut people = Self {
            writers: vec![],
            readers: vec![],
            conversations: vec![],
        };
        for number in 0..users {
            // From the seed, as everything else: the same seed makes the same ids.
            let email = format!("{number}.{:08x}@selftest.invalid", rng.next_u64() >> 32);
            let apikey = format!(
                "{:016x}{:016x}{:016x}{:016x}",
                rng.next_u64(),
                rng.next_u64(),
                rng.next_u64(),
                rng.next_u64()
            );
            let nick = format!("User {number}");
            let fields = json!({ "action": "register", "email": email, "fullname": nick, "nick": nick, "apikey": apikey, "publickey": public_key, "rsakey": "opaque" });
            let registered = register_or_log_in(cluster, 0, fields, rng).await?;
            let user = registered
                .get("userid")
                .and_then(Value::as_str)
                .and_then(read_plain)
                .ok_or("register answers no userid")?;
            let count = 1 + (number..readers).step_by(users).count();
            for place in 0..count {
                let at = Station {
                    user,
                    station: (Id::from(rng.next_u64()) << 64) | Id::from(rng.next_u64()),
                };
                register_or_log_in(
                    cluster,
                    at.station,
                    json!({ "action": "login", "apikey": apikey }),
                    rng,
                )
                .await?;
                // Readers have stations of their own: a station's notifications are delivered once, to whichever
                // client asks.
                if place == 0 {
                    people.writers.push(at);
                } else {
                    people.readers.push(at);
                }
            }
        }
        // In turn, as `phase::READERS` expects: the first reader is the first user's, the second one the second's.
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
            .make_conversations(cluster, conversations, ledger, rng)
            .await?;
        Ok(people)
    }

    async fn make_conversations(
        &mut self,
        cluster: &Cluster,
        count: usize,
        ledger: &mut Ledger,
        rng: &mut Rng,
    ) -> Result<(), String> {
        let users = self.writers.len();
        let mut pairs: Vec<(usize, usize)> = (0..users)
            .flat_map(|one| (one + 1..users).map(move |other| (one, other)))
            .collect();
        // The first pair's is the large one: its two are the first to read.
        if let Some((_, others)) = pairs.split_first_mut() {
            rng.shuffle(others);
        }
        pairs.truncate(count.max(1));
        let mut wires: Vec<Wire> = self
            .writers
            .iter()
            .enumerate()
            .map(|(number, who)| Wire::new(*who, number, rng.fork()))
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
            let made = request_ok(
                cluster,
                &mut wires,
                one,
                Request {
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
            rng.shuffle(&mut members);
            members.truncate(users.min(5));
            // The member who is removed is a reader, in each group one of another channel.
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
            // Only a friend adds a member at once; anyone else would invite them.
            for member in members.iter().skip(1) {
                let pair = (admin.min(*member), admin.max(*member));
                if friends.insert(pair) {
                    self.befriend(cluster, &mut wires, pair).await?;
                }
            }
            let made = request_ok(
                cluster,
                &mut wires,
                admin,
                Request {
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
        request_ok(cluster, wires, one, friends("add", &id(other)?)).await?;
        request_ok(cluster, wires, other, friends("accept", &id(one)?)).await?;
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
}

fn friends(action: &str, friend: &str) -> Request {
    Request {
        api: "chatfriends",
        version: V3,
        fields: json!({ "action": action, "friendid": friend }),
    }
}

async fn request_ok(
    cluster: &Cluster,
    wires: &mut [Wire],
    who: usize,
    asked: Request,
) -> Result<Value, String> {
    let wire = wires.get_mut(who).ok_or("no such user")?;
    let insisted = wire.insist(cluster, &asked).await;
    // A repeated request is accepted as well, so an answer that is lost here does no harm.
    insisted
        .result
        .map_err(|refusal| format!("{} was refused: {refusal}", asked.fields))
}
