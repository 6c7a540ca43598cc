//! A client's view of the epochs of conversations (docs/e2ee.md), and the secrets that the server
//! gave it.

mod shown;

use std::collections::{HashMap, HashSet};

use parlance_client::{
    UserId,
    e2ee::{
        self, Announcement, Card, EpochSecret, Epochs, KeyLog, Kid, MemberKey, NewEpoch,
        SignedAnnouncement, check_older, open_secret,
    },
    keys::KeyPair,
};
use serde_json::{Value, json};

pub(super) use self::shown::Shown;
use super::{
    Test,
    findings::Kind,
    form::{Id, plain},
    people::Conversation,
    request::{Request, V4},
    wire::Wire,
};

/// All published cards. The test created them, so every client knows them.
#[derive(Debug)]
pub(super) struct Directory {
    pub cards: HashMap<UserId, Vec<Card>>,
    /// Messages of the selftest do not mention the key log, so it stays empty.
    pub log: KeyLog,
}

impl Directory {
    /// A user's cards.
    pub(super) fn cards(&self, user: UserId) -> &[Card] {
        self.cards.get(&user).map_or(&[], Vec::as_slice)
    }

    /// A user's entry in a roster.
    pub(super) fn member(&self, user: UserId) -> Option<MemberKey> {
        Some(MemberKey::Card(self.cards(user).last()?.hash()))
    }
}

/// The outcome of following a conversation's epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Followed {
    Yes,
    /// According to the server, the client does not take part.
    NotIn,
    /// Something is wrong, and was recorded.
    No,
}

/// An epoch whose secret the client has.
#[derive(Debug)]
pub(super) struct Key {
    pub announcement: Announcement,
    pub secret: EpochSecret,
}

#[derive(Debug)]
struct Known {
    epochs: Epochs,
    by_kid: HashMap<Kid, Key>,
    /// Numbers of the epochs whose secrets it has.
    numbers: HashSet<u32>,
}

/// The epochs that one client knows, by conversation.
#[derive(Debug, Default)]
pub(super) struct Keyring(HashMap<Id, Known>);

impl Keyring {
    /// The epoch of a message.
    pub(super) fn key(&self, conversation: Id, kid: Kid) -> Option<&Key> {
        self.0.get(&conversation)?.by_kid.get(&kid)
    }

    /// The epochs up to the newest known one.
    pub(super) fn epochs(&self, conversation: Id) -> Option<&Epochs> {
        Some(&self.0.get(&conversation)?.epochs)
    }

    /// The newest epoch, if its secret is known.
    pub(super) fn newest(&self, conversation: Id) -> Option<&Key> {
        let known = self.0.get(&conversation)?;
        let newest = known.epochs.newest();
        known
            .by_kid
            .values()
            .find(|key| key.announcement == *newest)
    }

    /// Adds an epoch that this client announced itself.
    pub(super) fn announced(&mut self, conversation: Id, new: &NewEpoch) {
        let epochs = new.accepted();
        let key = Key {
            announcement: epochs.newest().clone(),
            secret: new.secret.clone(),
        };
        let number = epochs.newest().epoch().get();
        let known = self.0.entry(conversation).or_insert_with(|| Known {
            epochs: epochs.clone(),
            by_kid: HashMap::new(),
            numbers: HashSet::new(),
        });
        known.epochs = epochs;
        known.numbers.insert(number);
        known.by_kid.insert(key.secret.kid(), key);
    }

    /// Fetches the epochs of a conversation after the known ones, and adds them.
    pub(super) async fn follow(
        &mut self,
        test: &Test,
        wire: &mut Wire,
        conversation: &Conversation,
    ) -> Followed {
        let findings = &test.cluster.findings;
        let known = self.epochs(conversation.id);
        let from = known.map_or(1, |known| known.newest().epoch().get());
        let asked_at = std::time::Instant::now();
        let mut shown: Vec<Shown> = vec![];
        let answered = loop {
            let mut asked = Request {
                api: "chatconversation",
                version: V4,
                fields: json!({ "action": "epochs", "conversationid": plain(conversation.id) }),
            };
            if let Some(oldest) = shown.last() {
                asked = asked.with("before", oldest.number());
            }
            let insisted = wire.insist(&test.cluster, &asked).await;
            let page = match insisted.result {
                Ok(page) => page,
                Err(refusal) if refusal.is("conversation_not_found") => return Followed::NotIn,
                Err(refusal) => {
                    findings.add_refusal("epochs", &refusal);
                    return Followed::No;
                }
            };
            let rows = page.get("epochs").and_then(Value::as_array);
            let Some(rows) = rows.and_then(|rows| rows.iter().map(Shown::read).collect()) else {
                findings.add(Kind::WrongEpoch, || {
                    format!("epochs are not of the documented form: {page}")
                });
                return Followed::No;
            };
            let rows: Vec<Shown> = rows;
            let is_last = rows.is_empty() || page.get("hasmore") != Some(&Value::Bool(true));
            shown.extend(rows);
            if is_last || shown.last().is_some_and(|oldest| oldest.number() <= from) {
                break insisted.answered;
            }
        };
        let taken = self.take(
            conversation,
            &shown,
            &test.people.directory,
            &test.cluster.key,
        );
        let mut ledger = test.ledger();
        if let Some(newest) = shown.first() {
            ledger.epoch_was_shown(conversation.id, newest.number(), answered);
            let user = wire.who.user;
            let is_in = ledger.was_in(conversation.id, user, asked_at) == Some(true);
            if is_in && newest.secret.is_empty() {
                findings.add(Kind::Undecryptable, || {
                    format!(
                        "{} has no secret of the present epoch of {}",
                        plain(user),
                        plain(conversation.id)
                    )
                });
            }
        }
        match taken {
            Ok(kids) => {
                for kid in kids {
                    ledger.given.insert((conversation.id, wire.who.user, kid));
                }
                Followed::Yes
            }
            Err((kind, wrong)) => {
                findings.add(kind, || {
                    format!(
                        "epochs of {} to {}: {wrong}",
                        plain(conversation.id),
                        plain(wire.who.user)
                    )
                });
                Followed::No
            }
        }
    }

    /// Adds epochs from the server, newest first. Returns the secrets that came with them.
    ///
    /// # Errors
    /// The reason why they are wrong.
    pub(super) fn take(
        &mut self,
        conversation: &Conversation,
        shown: &[Shown],
        directory: &Directory,
        key: &KeyPair,
    ) -> Result<Vec<Kid>, (Kind, String)> {
        let wrong = |error: &e2ee::Error| (kind_of(error), error.to_string());
        let Some(newest) = shown.first() else {
            return Err((Kind::WrongEpoch, "there are none".into()));
        };
        // Every client starts with the test's own first epoch: nothing is trusted on first use.
        let known = self.0.entry(conversation.id).or_insert_with(|| Known {
            epochs: conversation.first.clone(),
            by_kid: HashMap::new(),
            numbers: HashSet::new(),
        });
        let before = known.epochs.newest().epoch();
        let news: Vec<SignedAnnouncement> = shown
            .iter()
            .rev()
            .map(|one| one.announcement.clone())
            .filter(|one| one.announcement.epoch() > before)
            .collect();
        known
            .epochs
            .follow(
                &news,
                |user| directory.cards(user),
                |user| directory.member(user).into_iter().collect(),
            )
            .map_err(|error| wrong(&error))?;
        if *known.epochs.newest() != newest.announcement.announcement {
            let says = format!("epoch {} is not the newest that was shown", newest.number());
            return Err((Kind::WrongEpoch, says));
        }
        let older: Vec<SignedAnnouncement> = shown
            .iter()
            .skip(1)
            .map(|one| one.announcement.clone())
            .collect();
        check_older(&newest.announcement.announcement, &older).map_err(|error| wrong(&error))?;
        let mut kids = vec![];
        for one in shown.iter().filter(|one| !one.secret.is_empty()) {
            if known.numbers.contains(&one.number()) {
                continue;
            }
            let announcement = one.announcement.announcement.clone();
            let secret = open_secret(&announcement, &one.secret, key).map_err(|error| {
                let (kind, says) = wrong(&error);
                (kind, format!("epoch {}: {says}", one.number()))
            })?;
            let kid = secret.kid();
            kids.push(kid);
            known.numbers.insert(one.number());
            known.by_kid.insert(
                kid,
                Key {
                    announcement,
                    secret,
                },
            );
        }
        Ok(kids)
    }
}

/// The guarantee that is broken if a client refuses something.
pub(super) fn kind_of(error: &e2ee::Error) -> Kind {
    use e2ee::Error::{
        DifferentTranscript, LostMessage, MissingMessages, OtherSecret, Relabelled, RepeatedNumber,
        UnknownSigner, WrongSecret, WrongSigner,
    };
    match error {
        WrongSigner | UnknownSigner(_) => Kind::BadSignature,
        WrongSecret | OtherSecret | Relabelled => Kind::Undecryptable,
        DifferentTranscript => Kind::WrongHead,
        MissingMessages { .. } | LostMessage(_) => Kind::Lost,
        RepeatedNumber(_) => Kind::Doubled,
        e2ee::Error::Malformed(_) | e2ee::Error::Invalid(_) => Kind::Altered,
        _ => Kind::WrongEpoch,
    }
}
