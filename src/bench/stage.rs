//! The stage: users, conversations and histories that the workloads play on.

use super::{
    Bench,
    requests::{Caller, Signer},
    workload::Workload,
};
use crate::store::{
    Db,
    seed::{Pair, Seeder},
};
use parlance_wire::{
    id::{StationId, UserId},
    text::{Email, Instance},
};

/// How many conversations a user of the short, and of the long list has, and how many such users there are.
const SHORT: (usize, usize) = (50, 64);
const LONG: (usize, usize) = (1000, 16);
/// How many conversations have a long history, and how many messages are in them together at most.
const DEEP: usize = 16;
const MOST_DEEP: usize = 1_000_000;

/// What is there to play on.
#[derive(Debug)]
pub(super) struct Stage {
    /// The life that all conversations are in.
    pub instance: Instance,
    pub users: Vec<UserId>,
    pub town: Vec<Pair>,
    /// How many messages each of them had at first.
    pub messages: usize,
    /// Conversations with a long history.
    pub deep: Vec<Pair>,
    /// How long it is.
    pub depth: usize,
    /// Users with 50 conversations.
    pub short: Vec<Caller>,
    /// Users with 1,000.
    pub long: Vec<Caller>,
}

impl Stage {
    /// Sets up what the workloads need.
    pub(super) async fn set(
        db: &Db,
        bench: &Bench,
        workloads: &[Workload],
        signer: &Signer,
    ) -> Result<Self, String> {
        let tag = uuid::Uuid::new_v4().simple().to_string();
        let failed = |error: sqlx::Error| format!("the stage could not be set: {error}");
        let needs = |some: &[Workload]| some.iter().any(|one| workloads.contains(one));

        let people = bench.users.max(if needs(&[Workload::ListLong]) {
            LONG.0 + LONG.1
        } else {
            SHORT.0 + SHORT.1
        });
        let emails: Vec<Email> = (0..people)
            .filter_map(|n| Email::parse(&format!("{n}.{tag}@bench.invalid")))
            .collect();
        let users: Vec<UserId> = emails.iter().map(UserId::of).collect();
        let with_stations: Vec<(Email, StationId)> = emails
            .into_iter()
            .zip(users.iter().filter_map(|user| caller(*user)))
            .map(|(e, c)| (e, c.station))
            .collect();

        let mut stage = Self {
            instance: Instance::random(),
            town: town(&users, bench.conversations),
            messages: bench.messages,
            deep: vec![],
            depth: bench.depth,
            short: vec![],
            long: vec![],
            users,
        };
        let mut seed = Seeder::connect(db).await.map_err(failed)?;
        seed.users(&with_stations, &signer.key.public_key()?)
            .await
            .map_err(failed)?;
        let bytes = bench.bytes;
        seed.conversations(&stage.town, &stage.instance, stage.messages, bytes)
            .await
            .map_err(failed)?;
        // Users of their own, so that no conversation is made twice.
        let mut others = Others {
            seed: &mut seed,
            signer,
            tag: &tag,
        };
        if needs(&[Workload::Download, Workload::DownloadPartial]) {
            let count = (MOST_DEEP / stage.depth.max(1)).clamp(1, DEEP);
            let pairs = others.users("d", 2 * count).await?;
            stage.deep = pairs
                .chunks_exact(2)
                .filter_map(|two| Some(Pair::of(*two.first()?, *two.last()?)))
                .collect();
            others
                .seed
                .conversations(&stage.deep, &stage.instance, stage.depth, bytes)
                .await
                .map_err(failed)?;
        }
        if needs(&[Workload::List]) {
            stage.short = others
                .lists("s", SHORT, &stage.users, &stage.instance, bytes)
                .await?;
        }
        if needs(&[Workload::ListLong]) {
            stage.long = others
                .lists("l", LONG, &stage.users, &stage.instance, bytes)
                .await?;
        }
        seed.vacuum_and_checkpoint().await.map_err(failed)?;
        Ok(stage)
    }

    /// One of the two of a conversation of the town.
    pub(super) fn in_town(&self, number: usize, which: usize) -> Option<(Caller, Pair)> {
        let pair = self.town.get(number % self.town.len().max(1))?;
        Some((caller(*pair.users.get(which % 2)?)?, *pair))
    }

    /// One of those with a long history.
    pub(super) fn in_deep(&self, number: usize) -> Option<(Caller, Pair)> {
        let pair = self.deep.get(number % self.deep.len().max(1))?;
        Some((caller(*pair.users.first()?)?, *pair))
    }
}

/// More users than those of the town.
struct Others<'a> {
    seed: &'a mut Seeder,
    signer: &'a Signer,
    tag: &'a str,
}

impl Others<'_> {
    async fn users(&mut self, kind: &str, count: usize) -> Result<Vec<UserId>, String> {
        let emails: Vec<Email> = (0..count)
            .filter_map(|n| Email::parse(&format!("{kind}{n}.{}@bench.invalid", self.tag)))
            .collect();
        let users: Vec<UserId> = emails.iter().map(UserId::of).collect();
        let rows: Vec<_> = emails
            .into_iter()
            .zip(
                users
                    .iter()
                    .filter_map(|user| caller(*user))
                    .map(|caller| caller.station),
            )
            .collect();
        self.seed
            .users(&rows, &self.signer.key.public_key()?)
            .await
            .map_err(|error| error.to_string())?;
        Ok(users)
    }

    async fn lists(
        &mut self,
        kind: &str,
        (length, count): (usize, usize),
        friends: &[UserId],
        instance: &Instance,
        bytes: usize,
    ) -> Result<Vec<Caller>, String> {
        let users = self.users(kind, count).await?;
        let pairs: Vec<Pair> = users
            .iter()
            .flat_map(|user| {
                friends
                    .iter()
                    .take(length)
                    .map(|friend| Pair::of(*user, *friend))
            })
            .collect();
        self.seed
            .conversations(&pairs, instance, 1, bytes)
            .await
            .map_err(|error| error.to_string())?;
        Ok(users.into_iter().filter_map(caller).collect())
    }
}

/// The user at their station, which has the same number.
pub(super) fn caller(user: UserId) -> Option<Caller> {
    Some(Caller {
        user,
        station: StationId::parse(&user.to_string())?,
    })
}

/// Conversations, spread evenly: each user's are with those who follow in a ring.
fn town(users: &[UserId], conversations: usize) -> Vec<Pair> {
    let ring = users.iter().cycle();
    let distances = 1..=users.len().saturating_sub(1) / 2;
    distances
        .flat_map(|distance| {
            users
                .iter()
                .zip(ring.clone().skip(distance))
                .map(|(one, other)| Pair::of(*one, *other))
        })
        .take(conversations)
        .collect()
}
