//! Who is there, and chance.

use std::collections::HashMap;

use crate::{
    bench::{
        place::Place,
        requests::{Caller, Signer},
    },
    model::{
        id::{ConversationId, StationId, UserId},
        text::{Email, Instance},
    },
    store::scenery::{Pair, Scenery},
};

/// How many users there are.
const USERS: usize = 20;
/// How many of them have a reader.
const READERS: usize = 12;

/// Users and conversations.
pub struct Scene {
    /// Signs for everyone.
    pub signer: Signer,
    /// The life that all conversations are in.
    pub instance: Instance,
    users: Vec<UserId>,
    talks: HashMap<UserId, Vec<ConversationId>>,
    stations: HashMap<UserId, [StationId; 2]>,
    /// All of them.
    pub conversations: Vec<Pair>,
}

impl Scene {
    /// Sets the scene in a scratch database.
    pub async fn set(place: &Place, conversations: usize, dice: &mut Dice) -> Result<Self, String> {
        let failed = |error: sqlx::Error| format!("the scene could not be set: {error}");
        let signer = Signer::new(&place.host)?;
        let emails: Vec<Email> = (0..USERS).filter_map(|n| Email::parse(&format!("{n}@selftest.invalid"))).collect();
        let users: Vec<UserId> = emails.iter().map(UserId::of).collect();
        // One to write from, and one to read at.
        let stations: HashMap<_, _> = users.iter().map(|user| (*user, [StationId::random(), StationId::random()])).collect();
        let mut scenery = Scenery::begin(&place.db).await.map_err(failed)?;
        let first: Vec<_> = emails.into_iter().filter_map(|email| Some((email.clone(), stations.get(&UserId::of(&email))?[0]))).collect();
        scenery.users(&first, &signer.public_key()?).await.map_err(failed)?;
        let second: Vec<_> = stations.iter().map(|(user, [_, second])| (*user, *second)).collect();
        scenery.stations(&second).await.map_err(failed)?;
        let mut all: Vec<Pair> =
            users.iter().enumerate().flat_map(|(n, one)| users.iter().skip(n + 1).map(|other| Pair::of(*one, *other))).collect();
        dice.shuffle(&mut all);
        all.truncate(conversations.max(1));
        let instance = Instance::random();
        scenery.conversations(&all, &instance, 0, 0).await.map_err(failed)?;
        let mut talks = HashMap::<_, Vec<_>>::new();
        for pair in &all {
            for user in pair.users {
                talks.entry(user).or_default().push(pair.conversation_id);
            }
        }
        let users = users.into_iter().filter(|user| talks.contains_key(user)).collect();
        Ok(Self { signer, instance, users, talks, stations, conversations: all })
    }

    /// How many readers there are.
    pub fn readers(&self) -> usize {
        self.users.len().min(READERS)
    }

    /// A user at the first or the second of their stations.
    pub fn caller(&self, number: usize, station: usize) -> Option<Caller> {
        let user = *self.users.get(number % self.users.len().max(1))?;
        self.caller_of(user, station)
    }

    /// This user at the first or the second of their stations.
    pub fn caller_of(&self, user: UserId, station: usize) -> Option<Caller> {
        Some(Caller { user, station: *self.stations.get(&user)?.get(station)? })
    }

    /// The conversations of a user.
    pub fn talks(&self, of: UserId) -> &[ConversationId] {
        self.talks.get(&of).map_or(&[], Vec::as_slice)
    }
}

/// Chance that can be repeated (SplitMix64, <https://prng.di.unimi.it/splitmix64.c>).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Decided by a number.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Others that go their own way.
    pub fn fork(&mut self) -> Self {
        Self(self.roll())
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to one less than this.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(end.max(1)).unwrap_or(1)).unwrap_or(0)
    }

    /// A number from 0 to 1.
    pub fn share(&mut self) -> f64 {
        f64::from(u32::try_from(self.roll() >> 32).unwrap_or(0)) / f64::from(u32::MAX)
    }

    /// Another order.
    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for place in (1..all.len()).rev() {
            all.swap(place, self.below(place + 1));
        }
    }
}
