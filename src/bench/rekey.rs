//! A large group begins one epoch after another: the time of each, and the time that someone who
//! writes to the group has to wait meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use parlance_client::e2ee::{
    Epochs, Head, Maker, MemberKey, Members, NewEpoch, SigningKey, first_card, first_epoch,
};
use parlance_wire::{
    e2ee::LogHead,
    id::{ConversationId, UserId},
    key::PublicKey,
    request::conversationgroup::MAX_PARTICIPANTS,
    text::{Email, Instance},
    time::Timestamp,
    version::ClientVersion,
};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    Measuring,
    client::Client,
    fixture::caller,
    load::Tally,
    report::{Measurement, Results},
    requests::{self, Caller, UnsignedRequest},
    workload::Workload,
};
use crate::store::seed::Seeder;

/// Default number of epochs in a run.
const EPOCHS: usize = 10;
/// Messages that are signed for a run: more than a client sends meanwhile.
const MESSAGES: usize = 20_000;

/// A group whose first member is its admin and creates all epochs.
struct Group {
    id: ConversationId,
    instance: Instance,
    admin: Caller,
    sign: SigningKey,
    /// Its last member, who writes.
    writer: Caller,
    keys: BTreeMap<UserId, PublicKey>,
    epochs: Epochs,
}

impl Measuring<'_> {
    /// Two rows: the rekeyings, one after the other, and the messages that someone else sends to the group at the same
    /// time, one after the other.
    pub(super) async fn rekey(&self) -> Result<[Measurement; 2], String> {
        let mut client = self.client().await?;
        let mut group = self.group(&mut client).await?;
        let count = self.bench.operations.unwrap_or(EPOCHS);
        let (mut rekeyings, mut messages) = (vec![], vec![]);
        for run in 0..=self.bench.runs {
            let epochs = if run == 0 { 1 } else { count };
            // Signed beforehand: wrapping thousands of secrets is the client's work.
            let mut rekeys = vec![];
            for _ in 0..epochs {
                let next = group.next()?;
                rekeys.push(self.signed(group.request(&next)?)?);
                group.epochs = next.accepted();
            }
            let adds = self.signer.requests(MESSAGES, |_| {
                requests::add(group.writer, group.id, &group.instance, self.bench.bytes)
            })?;
            let before = self.meter.cpu();
            let (rekeyed, added) = self.at_once(&mut client, &rekeys, &adds).await?;
            let cpu = self.meter.cpu().since(before);
            if run > 0 {
                // Both costs count for the rekeying, which causes them.
                rekeyings.push(Results::of(&rekeyed, cpu));
                messages.push(Results {
                    server_us: None,
                    postgres_us: None,
                    client_us: None,
                    ..Results::of(&added, cpu)
                });
            }
        }
        let name = Workload::Rekey.name();
        Ok([
            Measurement::median(name.clone(), 1, &rekeyings),
            Measurement::median(format!("{name}, messages meanwhile"), 1, &messages),
        ])
    }

    async fn client(&self) -> Result<Client, String> {
        Client::connect(self.target.address)
            .await
            .map_err(|error| error.to_string())
    }

    fn signed(&self, asked: UnsignedRequest) -> Result<Vec<u8>, String> {
        self.signer.request(asked, Timestamp::now())
    }

    /// Sends the rekeyings, and messages until the last of them is answered.
    async fn at_once(
        &self,
        client: &mut Client,
        rekeys: &[Vec<u8>],
        adds: &[Vec<u8>],
    ) -> Result<(Tally, Tally), String> {
        let mut other = self.client().await?;
        let (done, over) = watch::channel(false);
        let rekeyed = async {
            let tally = send(client, rekeys.iter(), || false).await;
            done.send_replace(true);
            tally
        };
        let added = send(&mut other, adds.iter(), || *over.borrow());
        let (rekeyed, added) = tokio::join!(rekeyed, added);
        Ok((rekeyed?, added?))
    }

    /// A group of the maximum size, in its first epoch.
    async fn group(&self, client: &mut Client) -> Result<Group, String> {
        let failed = |error: parlance_client::e2ee::Error| error.to_string();
        let tag = uuid::Uuid::new_v4().simple().to_string();
        let emails: Vec<Email> = (0..MAX_PARTICIPANTS)
            .filter_map(|n| Email::parse(&format!("g{n}.{tag}@bench.invalid")))
            .collect();
        let callers: Vec<Caller> = emails
            .iter()
            .filter_map(|email| caller(UserId::of(email)))
            .collect();
        let users: Vec<UserId> = callers.iter().map(|one| one.user).collect();
        let (Some(admin), Some(writer)) = (callers.first(), callers.last()) else {
            return Err("a group of nobody".into());
        };
        let (id, instance) = (ConversationId::random(), Instance::random());
        let with_stations: Vec<_> = emails
            .iter()
            .cloned()
            .zip(callers.iter().map(|one| one.station))
            .collect();
        let public_key = self.signer.key.public_key();
        let seed = async {
            let mut seed = Seeder::connect(&self.target.db).await?;
            seed.users(&with_stations, public_key).await?;
            seed.group(id, &users, &instance).await?;
            seed.vacuum_and_checkpoint().await
        };
        seed.await.map_err(|error| error.to_string())?;

        let log = self
            .ask(client, keys(*admin, json!({ "action": "log" })))
            .await?;
        let head = log.get("head").and_then(Value::as_str);
        let head = head
            .and_then(|head| LogHead::parse(head).ok())
            .ok_or("the key log has no head")?;
        let sign = SigningKey::generate().map_err(failed)?;
        let email = emails.first().cloned().ok_or("an address is none")?;
        let card = first_card(email, head.server(), &sign, &self.signer.key, None);
        let card = card.map_err(failed)?;
        let mut fields = serde_json::to_value(&card).map_err(|error| error.to_string())?;
        if let Some(fields) = fields.as_object_mut() {
            fields.insert("action".into(), "publish".into());
        }
        self.ask(client, keys(*admin, fields)).await?;

        let mut keys = BTreeMap::new();
        for user in &users {
            let key = PublicKey::parse(public_key).ok_or("the key of all users is none")?;
            keys.insert(*user, key);
        }
        let mut members: Members = keys
            .iter()
            .map(|(user, key)| (*user, MemberKey::Rsa(key.hash())))
            .collect();
        members.insert(admin.user, MemberKey::Card(card.card.hash()));
        let maker = Maker {
            user: admin.user,
            key: &sign,
        };
        let admins = BTreeSet::from([admin.user]);
        let first = first_epoch(maker, id, members, admins, NOTHING_SEEN).map_err(failed)?;
        let group = Group {
            id,
            instance,
            admin: *admin,
            writer: *writer,
            keys,
            epochs: first.accepted(),
            sign,
        };
        self.ask(client, group.request(&first)?).await?;
        Ok(group)
    }

    /// Sends a request that must not be refused.
    async fn ask(&self, client: &mut Client, asked: UnsignedRequest) -> Result<Value, String> {
        let request = self.signed(asked)?;
        match client.ask(&request).await {
            Ok(None) => serde_json::from_slice(client.body()).map_err(|error| error.to_string()),
            Ok(Some(code)) => Err(format!("the group could not be made: {code}")),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The head of a group in which nothing was written.
const NOTHING_SEEN: Head = Head {
    seq: 0,
    chain: None,
};

impl Group {
    fn next(&self) -> Result<NewEpoch, String> {
        let maker = Maker {
            user: self.admin.user,
            key: &self.sign,
        };
        let (members, admins) = (self.epochs.members(), self.epochs.newest().admins());
        let next = self
            .epochs
            .rekey(maker, members.clone(), admins.clone(), NOTHING_SEEN);
        next.map_err(|error| error.to_string())
    }

    fn request(&self, next: &NewEpoch) -> Result<UnsignedRequest, String> {
        let secrets = next.wrap(&self.keys).map_err(|error| error.to_string())?;
        let signed = &next.announcement;
        Ok(UnsignedRequest {
            caller: self.admin,
            api: "chatconversation",
            fields: json!({
                "action": "rekey", "conversationid": self.id, "instance": self.instance, "clientversioncode": ClientVersion::V4.code(),
                "epoch": signed.announcement.epoch(), "announcement": signed.announcement, "signature": signed.signature,
                "secrets": secrets,
            }),
        })
    }
}

fn keys(caller: Caller, mut fields: Value) -> UnsignedRequest {
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("clientversioncode".into(), ClientVersion::V4.code().into());
    }
    UnsignedRequest {
        caller,
        api: "chatkeys",
        fields,
    }
}

/// Sends requests, one after the other, until the run is over.
async fn send<'a>(
    client: &mut Client,
    requests: impl Iterator<Item = &'a Vec<u8>>,
    is_done: impl Fn() -> bool,
) -> Result<Tally, String> {
    let (mut tally, begun) = (Tally::new()?, Instant::now());
    for request in requests {
        if is_done() {
            break;
        }
        let sent = Instant::now();
        let refusal = client
            .ask(request)
            .await
            .map_err(|error| error.to_string())?;
        tally.count(sent.elapsed(), refusal);
    }
    tally.took = begun.elapsed();
    Ok(tally)
}
