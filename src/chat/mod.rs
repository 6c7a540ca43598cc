//! The rules: who may do what, and who has to hear of it. A rule takes the call first, writes through the store, and puts what
//! happened into the call's outbox, which is announced only after the commit.

pub(crate) mod account;
pub(crate) mod conversation;
pub(crate) mod error;
pub(crate) mod friend;
pub(crate) mod group;
pub(crate) mod history;
pub(crate) mod invite;
pub(crate) mod message;
pub(crate) mod name_cache;
pub(crate) mod page_cache;
pub(crate) mod presence;
pub(crate) mod quota;
pub(crate) mod report;
pub(crate) mod user;

use chrono::TimeDelta;
use parlance_wire::{
    id::{StationId, UserId},
    time::Timestamp,
    version::ClientVersion,
};

use crate::{
    notify::event::Event,
    settings::{Invites, Registration, Settings},
    store::{Db, batcher::Batcher, report::NewReport, rows::NewMessage},
};

/// What the rules work with: the database, the two batchers, the caches, and the operator's policy. One per node.
#[derive(Debug)]
pub(crate) struct Services {
    pub db: Db,
    /// Messages on their way to the database.
    pub messages: Batcher<NewMessage>,
    /// Reports on their way to the database.
    pub reports: Batcher<NewReport>,
    pub names: name_cache::NameCache,
    pub pages: page_cache::PageCache,
    pub policy: Policy,
}

/// What the operator has decided about users and messages.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub registration: Registration,
    pub invites: Invites,
    /// The address that clients are told.
    pub public_url: String,
    /// How long a message without a `ValidUntil` is wanted.
    pub message_lifetime: TimeDelta,
    /// How long after its `ValidUntil` a message is kept.
    pub expiry_grace: TimeDelta,
    /// Maximum bytes of a message's `Data`.
    pub max_message_bytes: usize,
    pub conversations_per_user: u32,
    /// Maximum conversations that a user may create in a day (UTC).
    pub new_conversations_per_day: u32,
}

impl Services {
    /// Services on this database, with empty caches and nothing queued.
    #[must_use]
    pub(crate) fn new(db: Db, settings: &Settings) -> Self {
        Self {
            messages: Batcher::new(db.clone()),
            reports: Batcher::new(db.clone()),
            names: name_cache::NameCache::default(),
            pages: page_cache::PageCache::default(),
            policy: Policy {
                registration: settings.registration,
                invites: settings.invites,
                public_url: settings.public_url.clone(),
                message_lifetime: settings.message_lifetime,
                expiry_grace: settings.expiry_grace,
                max_message_bytes: settings.max_message_bytes,
                conversations_per_user: settings.conversations_per_user,
                new_conversations_per_day: settings.new_conversations_per_day,
            },
            db,
        }
    }
}

/// One request of a user whose signature was checked: all that a rule may know of it.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub user: UserId,
    pub station: StationId,
    pub version: ClientVersion,
    /// The moment of the request, read once.
    pub now: Timestamp,
    pub services: &'a Services,
    /// What happened in this call, to be announced after its commit.
    pub outbox: Vec<Event>,
}
