//! Creating users, with their stations and cards.

use std::collections::HashMap;

use parlance_client::e2ee::{KeyLog, SignKey, SignedCard, SigningKey, first_card};
use parlance_wire::{e2ee::LogHead, key::PublicKey, text::Email};
use serde_json::{Value, json};

use super::{People, User, conversations::request_ok, login::register_or_log_in};
use crate::selftest::{
    cluster::Cluster,
    form::{Id, read_plain},
    keyring::Directory,
    ledger::Ledger,
    plan::Plan,
    request::{Request, Station, V4},
    rng::Rng,
    wire::Wire,
    writer::AT_ONCE,
};

/// Maximum users, however many conversations there are to be.
const MAX_USERS: usize = 100;

impl People {
    /// Creates the users of the plan, with this many stations for reading.
    pub(in crate::selftest) async fn create(
        cluster: &Cluster,
        plan: &Plan,
        readers: usize,
        ledger: &mut Ledger,
        rng: &mut Rng,
    ) -> Result<Self, String> {
        // As few users as have enough pairs: each is then in many conversations, as lists and caches have to cope
        // with.
        let users = (3..MAX_USERS)
            .find(|users| users * (users - 1) / 2 >= plan.conversations)
            .unwrap_or(MAX_USERS);
        let public_key = cluster.key.public_key();
        let (mut writers, mut all_readers, mut emails) = (vec![], vec![], vec![]);
        let mut lanes = vec![vec![]; plan.writers];
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
            let at = log_in(cluster, user, &apikey, rng).await?;
            writers.push(at);
            // Readers have stations of their own, because a station's notifications are delivered
            // once, to the client that asks first.
            for _ in (number..readers).step_by(users) {
                all_readers.push(log_in(cluster, user, &apikey, rng).await?);
            }
            // And so does each concurrent message, because a station numbers its messages.
            for lane in lanes.iter_mut().skip(number).step_by(users) {
                for _ in 0..AT_ONCE {
                    lane.push(log_in(cluster, user, &apikey, rng).await?);
                }
            }
            emails.push(email);
        }
        let (users, directory) = publish_cards(cluster, &writers, &emails, rng).await?;
        let mut people = Self {
            public_key: PublicKey::parse(public_key).ok_or("the key of all users is none")?,
            users,
            directory,
            writers,
            lanes,
            readers: all_readers,
            conversations: vec![],
        };
        // In turn, as `phase::READERS` expects: the first reader is the first user's, the second one the second's.
        let user_of = |reader: &Station| {
            people
                .writers
                .iter()
                .position(|writer| writer.user == reader.user)
        };
        let mut in_turn: Vec<(usize, usize, Station)> = vec![];
        for reader in &people.readers {
            let user = user_of(reader).ok_or("a reader who is no user")?;
            in_turn.push((
                in_turn.iter().filter(|(_, of, _)| *of == user).count(),
                user,
                *reader,
            ));
        }
        in_turn.sort_by_key(|(turn, user, _)| (*turn, *user));
        people.readers = in_turn.into_iter().map(|(.., reader)| reader).collect();
        people
            .make_conversations(cluster, plan.conversations, ledger, rng)
            .await?;
        Ok(people)
    }
}

/// Logs a user in at a new station.
async fn log_in(
    cluster: &Cluster,
    user: Id,
    apikey: &str,
    rng: &mut Rng,
) -> Result<Station, String> {
    let station = (Id::from(rng.next_u64()) << 64) | Id::from(rng.next_u64());
    let fields = json!({ "action": "login", "apikey": apikey });
    register_or_log_in(cluster, station, fields, rng).await?;
    Ok(Station { user, station })
}

/// Gives each user a signing key, and publishes their card. The server has to return the same card.
async fn publish_cards(
    cluster: &Cluster,
    writers: &[Station],
    emails: &[String],
    rng: &mut Rng,
) -> Result<(Vec<User>, Directory), String> {
    let mut wires: Vec<Wire> = writers
        .iter()
        .enumerate()
        .map(|(number, who)| Wire::new(*who, number, rng.fork()))
        .collect();
    let log = request_ok(cluster, &mut wires, 0, keys(json!({ "action": "log" }))).await?;
    let head = log
        .get("head")
        .and_then(Value::as_str)
        .and_then(|head| LogHead::parse(head).ok())
        .ok_or("the key log has no head")?;
    let key: SignKey = log
        .get("key")
        .and_then(|key| serde_json::from_value(key.clone()).ok())
        .ok_or("the key log has no key")?;
    let mut directory = Directory {
        cards: HashMap::new(),
        log: KeyLog::new(head.server(), key),
    };
    let mut users = vec![];
    for (number, email) in emails.iter().enumerate() {
        let failed = |error: parlance_client::e2ee::Error| error.to_string();
        let sign = SigningKey::generate().map_err(failed)?;
        let address = Email::parse(email).ok_or("an address is none")?;
        let signed =
            first_card(address, head.server(), &sign, &cluster.key, None).map_err(failed)?;
        let mut fields = serde_json::to_value(&signed).map_err(|error| error.to_string())?;
        if let Some(fields) = fields.as_object_mut() {
            fields.insert("action".into(), "publish".into());
        }
        request_ok(cluster, &mut wires, number, keys(fields)).await?;
        let id = signed.card.user();
        let get = json!({ "action": "get", "userids": [id] });
        let shown = request_ok(cluster, &mut wires, number, keys(get)).await?;
        let cards = shown
            .get("cards")
            .and_then(|cards| cards.get(id.to_string()));
        let cards: Option<Vec<SignedCard>> =
            cards.and_then(|cards| serde_json::from_value(cards.clone()).ok());
        if cards.as_deref() != Some(std::slice::from_ref(&signed)) {
            return Err(format!("a card is not shown as it was published: {shown}"));
        }
        directory.cards.insert(id, vec![signed.card]);
        users.push(User { id, sign });
    }
    Ok((users, directory))
}

fn keys(fields: Value) -> Request {
    Request {
        api: "chatkeys",
        version: V4,
        fields,
    }
}
