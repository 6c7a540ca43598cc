//! The fixture: the users, conversations and histories that workloads use.

use super::{
    options::Bench,
    requests::{Caller, Signer},
};
use crate::store::{
    Db,
    seed::{Pair, Seeder},
};
use parlance_wire::{
    id::{StationId, UserId},
    text::{Email, Instance},
};

/// Number of conversations in a short and in a long list, and of users with such a list.
const SHORT_LISTS: (usize, usize) = (50, 64);
const LONG_LISTS: (usize, usize) = (1000, 16);
/// Number of conversations with a long history, and the maximum number of messages in all of them.
const LONG: usize = 16;
const MAX_LONG_MESSAGES: usize = 1_000_000;

/// The data that workloads use.
#[derive(Debug)]
pub(super) struct Fixture {
    /// The instance of all conversations.
    pub instance: Instance,
    pub users: Vec<UserId>,
    /// Many conversations with a short history, spread evenly over the users.
    pub many: Vec<Pair>,
    /// Initial number of messages in each of them.
    pub messages: usize,
    /// Conversations with a long history.
    pub long: Vec<Pair>,
    /// Messages in each of them.
    pub long_messages: usize,
    /// Users with 50 conversations.
    pub short_lists: Vec<Caller>,
    /// Users with 1,000.
    pub long_lists: Vec<Caller>,
}

/// The parts of a fixture that take long, and are made only if a workload needs them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needs {
    pub long: bool,
    pub short_lists: bool,
    pub long_lists: bool,
}

impl Fixture {
    /// Creates what the workloads need.
    pub(super) async fn create(
        db: &Db,
        bench: &Bench,
        needs: Needs,
        signer: &Signer,
    ) -> Result<Self, String> {
        // With --database, users of an earlier run may still exist.
        let tag = uuid::Uuid::new_v4().simple().to_string();
        let failed = |error: sqlx::Error| format!("the fixture could not be made: {error}");
        // A list of a thousand conversations needs a thousand other users.
        let people = bench.users.max(if needs.long_lists {
            LONG_LISTS.0 + LONG_LISTS.1
        } else {
            SHORT_LISTS.0 + SHORT_LISTS.1
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

        let mut fixture = Self {
            instance: Instance::random(),
            many: in_a_ring(&users, bench.conversations),
            messages: bench.messages,
            long: vec![],
            long_messages: bench.depth,
            short_lists: vec![],
            long_lists: vec![],
            users,
        };
        let mut seed = Seeder::connect(db).await.map_err(failed)?;
        seed.users(&with_stations, signer.key.public_key())
            .await
            .map_err(failed)?;
        let bytes = bench.bytes;
        seed.conversations(&fixture.many, &fixture.instance, fixture.messages, bytes)
            .await
            .map_err(failed)?;
        // Separate users, so that no conversation is created twice.
        let mut others = Others {
            seed: &mut seed,
            signer,
            tag: &tag,
        };
        if needs.long {
            let count = (MAX_LONG_MESSAGES / fixture.long_messages.max(1)).clamp(1, LONG);
            let pairs = others.users("d", 2 * count).await?;
            fixture.long = pairs
                .chunks_exact(2)
                .filter_map(|two| Some(Pair::of(*two.first()?, *two.last()?)))
                .collect();
            others
                .seed
                .conversations(
                    &fixture.long,
                    &fixture.instance,
                    fixture.long_messages,
                    bytes,
                )
                .await
                .map_err(failed)?;
        }
        if needs.short_lists {
            fixture.short_lists = others
                .lists("s", SHORT_LISTS, &fixture.users, &fixture.instance, bytes)
                .await?;
        }
        if needs.long_lists {
            fixture.long_lists = others
                .lists("l", LONG_LISTS, &fixture.users, &fixture.instance, bytes)
                .await?;
        }
        // Done now, so that PostgreSQL does not start either by itself in the middle of a run.
        seed.vacuum_and_checkpoint().await.map_err(failed)?;
        Ok(fixture)
    }

    /// One of the many conversations, and one of its two users.
    pub(super) fn of_many(&self, number: usize, which: usize) -> Option<(Caller, Pair)> {
        let pair = self.many.get(number % self.many.len().max(1))?;
        Some((caller(*pair.users.get(which % 2)?)?, *pair))
    }

    /// A conversation with a long history, and one of its users.
    pub(super) fn of_long(&self, number: usize) -> Option<(Caller, Pair)> {
        let pair = self.long.get(number % self.long.len().max(1))?;
        Some((caller(*pair.users.first()?)?, *pair))
    }
}

/// Creates users beside those of the many conversations.
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
            .users(&rows, self.signer.key.public_key())
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

/// The user, at the station with the same number.
pub(super) fn caller(user: UserId) -> Option<Caller> {
    Some(Caller {
        user,
        station: StationId::parse(&user.to_string())?,
    })
}

/// Spreads conversations evenly: each user has them with the users that follow in a ring.
fn in_a_ring(users: &[UserId], conversations: usize) -> Vec<Pair> {
    // Not at random: no pair may occur twice, and every user must have the same number of
    // conversations.
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
