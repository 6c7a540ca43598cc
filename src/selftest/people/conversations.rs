//! Creating friendships and conversations, each with its first epoch.

use std::collections::BTreeSet;

use parlance_client::{
    UserId,
    e2ee::{Head, Members, NewEpoch, first_epoch},
};
use serde_json::{Map, Value, json};

use super::{Conversation, People, Use};
use crate::selftest::{
    cluster::Cluster,
    form::{self, Id, plain, read_plain},
    ledger::{Flags, Ledger, Settled},
    request::{Request, V3, V4},
    rng::Rng,
    wire::Wire,
};

/// Number of groups.
const GROUPS: usize = 3;
/// Number of quiet conversations that receive a node's last words.
const LAST_WORDS: usize = 8;

impl People {
    pub(super) async fn make_conversations(
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
        // The first pair's conversation is the large one: these two are the first readers.
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
            let id = self.direct_id(one, other).ok_or("no such user")?;
            let epoch = self.first_epoch(id, &[one, other], None)?;
            let fields = json!({
                "action": "create", "participantid": second_id, "secrets": self.secrets(&epoch)?,
                "displaynames": { &first_id: "bmFtZQ==", &second_id: "bmFtZQ==" },
                "announcement": epoch.announcement.announcement, "signature": epoch.announcement.signature,
            });
            let made = request_ok(
                cluster,
                &mut wires,
                one,
                Request {
                    api: "chatconversation",
                    version: V4,
                    fields,
                },
            )
            .await?;
            self.add_conversation(&made, r#use, vec![one, other], &epoch, ledger)?;
        }
        for group in 0..GROUPS {
            let mut members: Vec<usize> = (0..users).collect();
            rng.shuffle(&mut members);
            members.truncate(users.min(5));
            // The removed member is a reader, in each group one with another channel.
            let removed = (1 + 2 * group) % users;
            members.retain(|member| *member != removed);
            members.push(removed);
            let ids: Vec<String> = members
                .iter()
                .filter_map(|member| Some(plain(self.writers.get(*member)?.user)))
                .collect();
            let admin = members.first().copied().ok_or("a group without members")?;
            // 32 zero bits and 96 random ones: a group's id, which its first epoch contains.
            let id = (Id::from(rng.next_u64()) << 32) | Id::from(rng.next_u64() >> 32);
            let epoch = self.first_epoch(id, &members, Some(admin))?;
            let others: Vec<&String> = ids.iter().skip(1).collect();
            let fields = json!({
                "action": "create", "displayname": "bmFtZQ==", "participantids": others, "secrets": self.secrets(&epoch)?,
                "announcement": epoch.announcement.announcement, "signature": epoch.announcement.signature,
            });
            // Only friends are added at once; others would be invited.
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
                    version: V4,
                    fields,
                },
            )
            .await?;
            self.add_conversation(&made, Use::Group, members, &epoch, ledger)?;
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

    fn direct_id(&self, one: usize, other: usize) -> Option<Id> {
        let [one, other] = [self.users.get(one)?.id, self.users.get(other)?.id];
        read_plain(&parlance_client::ConversationId::between(one, other).to_string())
    }

    /// The first epoch of a conversation of these users. `admin` is the admin and creator of a
    /// group.
    fn first_epoch(
        &self,
        id: Id,
        members: &[usize],
        admin: Option<usize>,
    ) -> Result<NewEpoch, String> {
        let user = |who: &usize| Some(self.users.get(*who)?.id);
        let users: Option<Vec<UserId>> = members.iter().map(user).collect();
        let users = users.ok_or("no such user")?;
        let with_card = |user: &UserId| Some((*user, self.directory.member(*user)?));
        let roster: Option<Members> = users.iter().map(with_card).collect();
        let maker = members.first().and_then(|who| self.maker(*who));
        let (Some(maker), Some(roster), Some(id)) = (maker, roster, form::conversation(id)) else {
            return Err("a user has no card".into());
        };
        let admins = admin.iter().filter_map(user).collect();
        // Nobody knows the beginning of the chain yet.
        let head = Head {
            seq: 0,
            chain: None,
        };
        first_epoch(maker, id, roster, admins, head).map_err(|error| error.to_string())
    }

    fn secrets(&self, epoch: &NewEpoch) -> Result<Map<String, Value>, String> {
        self.wrapped(epoch)
            .ok_or_else(|| "a secret cannot be wrapped".into())
    }

    fn add_conversation(
        &mut self,
        made: &Value,
        r#use: Use,
        members: Vec<usize>,
        epoch: &NewEpoch,
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
        let instance = text("instance").ok_or("create answers no instance")?;
        ledger.instances.insert(id, instance.to_owned());
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
        let ids = members
            .iter()
            .filter_map(|member| Some(self.writers.get(*member)?.user));
        ledger.announces(id, epoch.secret.kid(), 1, ids.collect());
        self.conversations.push(Conversation {
            id,
            r#use,
            members,
            first: epoch.accepted(),
        });
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

pub(super) async fn request_ok(
    cluster: &Cluster,
    wires: &mut [Wire],
    who: usize,
    asked: Request,
) -> Result<Value, String> {
    let wire = wires.get_mut(who).ok_or("no such user")?;
    let insisted = wire.insist(cluster, &asked).await;
    // Repeating an accepted request is fine, so a lost answer does no harm.
    insisted
        .result
        .map_err(|refusal| format!("{} was refused: {refusal}", asked.fields))
}
