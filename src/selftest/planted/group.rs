//! A stand-in for a group with encrypted messages, right or wrong.

use std::{collections::HashMap, time::Instant};

use parlance_client::{
    Timestamp, UserId,
    e2ee::{
        Body, Content, Envelope, Epoch, Head, KeyLog, Kind as BodyKind, Maker, Members, NewEpoch,
        SigningKey, first_card, first_epoch, seal,
    },
    keys::KeyPair,
};
use parlance_wire::{chain::Chain, e2ee::ServerId, text::Email};
use serde_json::{Value, json};

use super::await_later_moment;
use crate::selftest::{
    chain::{self, Hash, sha256},
    findings::{Findings, Kind},
    form::{self, Id, dashed, now, plain, read_plain, time},
    history::{Held, Reader},
    keyring::{Directory, Keyring},
    ledger::Ledger,
    people::{Conversation, Use},
    request::Station,
    rng::Rng,
    rows::Page,
    sent::Sent,
};

/// The group. Its id has the form of a group's.
pub(super) const GROUP: Id = 7;
const INSTANCE: &str = "PqjfKSn7V8";

/// A member of the group, who writes from one station.
pub(super) struct Someone {
    pub id: Id,
    pub user: UserId,
    pub sign: SigningKey,
    count: u64,
}

impl Someone {
    pub(super) fn maker(&self) -> Maker<'_> {
        Maker {
            user: self.user,
            key: &self.sign,
        }
    }
}

/// A message to be planted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planted {
    /// The number of its writer.
    pub by: usize,
    /// The number of the epoch whose secret seals it, from 1.
    pub secret: u32,
    /// The epoch that it names.
    pub epoch: u32,
    /// The number of the user whose key signs it.
    pub signed_by: usize,
    /// The head that it names. `None` is the message before it.
    pub head: Option<(i64, Hash)>,
    /// The difference between its number and the right one.
    pub skips: i64,
}

/// Ann (the admin), Ben and Cleo. Everything that they write is in the ledger. Ben reads.
pub(super) struct Group {
    pub people: Vec<Someone>,
    pub conversation: Conversation,
    /// All epochs, oldest first.
    pub epochs: Vec<NewEpoch>,
    pub directory: Directory,
    pub keyring: Keyring,
    pub key: KeyPair,
    pub ledger: Ledger,
    pub findings: Findings,
    pub rows: Vec<Value>,
    seq: i64,
    chain: Hash,
    rng: Rng,
}

impl Group {
    pub(super) fn new() -> Self {
        let (key, server) = (KeyPair::generate().unwrap(), ServerId::random());
        let mut directory = Directory {
            cards: HashMap::new(),
            log: KeyLog::new(server, SigningKey::generate().unwrap().public()),
        };
        let people = ["ann", "ben", "cleo"].map(|name| {
            let email = Email::parse(&format!("{name}@example.org")).unwrap();
            let sign = SigningKey::generate().unwrap();
            let card = first_card(email, server, &sign, &key, None).unwrap().card;
            let user = card.user();
            directory.cards.insert(user, vec![card]);
            Someone {
                id: read_plain(&user.to_string()).unwrap(),
                user,
                sign,
                count: 0,
            }
        });
        let members = people
            .iter()
            .map(|one| (one.user, directory.member(one.user).unwrap()));
        let id = form::conversation(GROUP).unwrap();
        let head = Head {
            seq: 0,
            chain: None,
        };
        let admins = [people[0].user].into();
        let first = first_epoch(people[0].maker(), id, members.collect(), admins, head).unwrap();
        let mut group = Self {
            conversation: Conversation {
                id: GROUP,
                r#use: Use::Group,
                members: vec![0, 1, 2],
                first: first.accepted(),
            },
            people: people.into(),
            directory,
            keyring: Keyring::default(),
            key,
            ledger: Ledger::default(),
            findings: Findings::default(),
            rows: vec![],
            seq: 0,
            chain: chain::beginning(GROUP, INSTANCE),
            rng: Rng::new(5),
            epochs: vec![],
        };
        group.ledger.instances.insert(GROUP, INSTANCE.into());
        group.announces(first);
        group
    }

    /// Announces an epoch, which is answered OK. Ben follows.
    fn announces(&mut self, epoch: NewEpoch) {
        let epochs = epoch.accepted();
        let number = epochs.newest().epoch().get();
        let members = epochs.members().keys();
        let members = members.map(|user| read_plain(&user.to_string()).unwrap());
        self.ledger
            .announces(GROUP, epoch.secret.kid(), number, members.collect());
        self.ledger.epoch_was_shown(GROUP, number, Instant::now());
        self.keyring.announced(GROUP, &epoch);
        self.epochs.push(epoch);
        // So that all later messages are sent after this moment.
        await_later_moment();
    }

    /// The epoch after another one, with these members, by Ann. Not announced.
    pub(super) fn next(&self, before: &NewEpoch, members: &[usize]) -> NewEpoch {
        let members: Members = members
            .iter()
            .map(|one| {
                let user = self.people[*one].user;
                (user, self.directory.member(user).unwrap())
            })
            .collect();
        let (epochs, admins) = (before.accepted(), [self.people[0].user].into());
        let head = epochs.newest().head();
        epochs
            .rekey(self.people[0].maker(), members, admins, head)
            .unwrap()
    }

    /// Ann announces the next epoch, with these members.
    pub(super) fn rekey(&mut self, members: &[usize]) {
        let next = self.next(self.epochs.last().unwrap(), members);
        self.announces(next);
    }

    /// A correct message of an epoch.
    pub(super) fn good(by: usize, epoch: u32) -> Planted {
        Planted {
            by,
            secret: epoch,
            epoch,
            signed_by: by,
            head: None,
            skips: 0,
        }
    }

    /// Writes a correct message of an epoch.
    pub(super) fn writes(&mut self, by: usize, epoch: u32) {
        self.write(Self::good(by, epoch));
    }

    /// Stores a message as a server would show it.
    pub(super) fn write(&mut self, planted: Planted) {
        let id = Id::try_from(self.rows.len()).unwrap() + 1;
        let place = usize::try_from(planted.secret).unwrap() - 1;
        let secret = self.epochs[place].secret.clone();
        let writer = &mut self.people[planted.by];
        writer.count = writer.count.checked_add_signed(1 + planted.skips).unwrap();
        let (n, sender) = (
            writer.count,
            Station {
                user: writer.id,
                station: 2,
            },
        );
        let mut sent = Sent::new(sender, GROUP, INSTANCE, id, 50, &mut self.rng);
        (sent.kind, sent.created, sent.valid_until) = ("Message", now(), None);
        let (seq, chain) = planted.head.unwrap_or((self.seq, self.chain));
        let body = Body {
            at: Timestamp::now().whole_seconds(),
            until: None,
            n,
            head: Head {
                seq,
                chain: Chain::parse(&hex::encode(chain)),
            },
            ep: None,
            log: None,
            content: Content::Known(BodyKind::Text {
                text: "Hello".into(),
                reply: None,
                mentions: vec![],
            }),
        };
        let instance = form::instance(INSTANCE).unwrap();
        let envelope = Envelope {
            conversation: form::conversation(GROUP).unwrap(),
            instance: &instance,
            id: form::message(id).unwrap(),
            user: self.people[planted.by].user,
            station: form::station(2).unwrap(),
            r#type: "Message",
        };
        let epoch = Epoch::new(planted.epoch).unwrap();
        let sign = &self.people[planted.signed_by].sign;
        let data = seal(&envelope, epoch, &secret, sign, &body).unwrap();
        sent.seal(planted.epoch, data.as_str());
        self.ledger.is_sent(&sent);
        self.seq += 1;
        let hash = sha256(&[data.as_str().as_bytes()]);
        self.chain = chain::link(&self.chain, self.seq, id, &hash);
        let row = json!({
            "ID": dashed(id), "Type": "Message", "Created": time(sent.created), "ValidUntil": time(sent.created + 7 * 24 * 3600),
            "Data": data, "User": plain(sender.user), "Station": plain(2), "Seq": self.seq, "Chain": hex::encode(self.chain),
        });
        let answer = json!({ "message": row });
        self.ledger
            .is_answered(GROUP, id, &answer, Instant::now(), &self.findings);
        self.rows.push(row);
    }

    /// Ben reads everything with his secrets, and has exactly these findings.
    #[track_caller]
    pub(super) fn found(&self, expected: &[(Kind, usize)]) {
        let mut held = Held::new("Ben", GROUP, INSTANCE);
        let page = Page::read(&json!({ "messages": self.rows, "reports": [] })).unwrap();
        held.take_page(page, &self.findings);
        let reader = Reader {
            user: self.people[1].id,
            keyring: &self.keyring,
            directory: &self.directory,
            is_fresh: true,
        };
        assert!(!held.open(&reader, &self.ledger, &self.findings));
        for kind in Kind::ALL {
            let expected = expected.iter().find(|(of, _)| *of == kind);
            assert_eq!(
                self.findings.count(kind),
                expected.map_or(0, |(_, count)| *count),
                "{kind:?}: {:#?}",
                self.findings
            );
        }
    }
}
