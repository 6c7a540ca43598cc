//! The rules: who may do what, and who is notified of it. A rule takes the call as its first
//! argument, writes through the store, and puts events into the call's outbox, which is announced
//! only after the commit.

pub(crate) mod account;
pub(crate) mod allowance;
pub(crate) mod buckets;
pub(crate) mod conversation;
pub(crate) mod epoch;
pub(crate) mod error;
pub(crate) mod file;
pub(crate) mod friend;
pub(crate) mod group;
pub(crate) mod history;
pub(crate) mod invite;
pub(crate) mod keys;
pub(crate) mod message;
pub(crate) mod name_cache;
pub(crate) mod presence;
pub(crate) mod push;
pub(crate) mod quota;
pub(crate) mod rates;
pub(crate) mod report;
pub(crate) mod server_identity;
pub(crate) mod usage;
pub(crate) mod user;

use std::time::Duration;

use chrono::TimeDelta;
use parlance_wire::{
    id::{StationId, UserId},
    time::Timestamp,
    version::ClientVersion,
};

use crate::{
    notify::{event::Event, push::PushQueue},
    settings::{Invites, PerUser, Registration, Settings},
    store::{Db, batcher::Batcher, report::NewReport, rows::NewMessage},
};

/// The dependencies of the rules: the database, the two batchers, the caches, and the operator's policy. One per node.
#[derive(Debug)]
pub(crate) struct Services {
    pub db: Db,
    /// This server's id and key, as named in cards and in the key log.
    pub identity: server_identity::ServerIdentity,
    /// Group commit for messages.
    pub messages: Batcher<NewMessage>,
    /// Group commit for reports.
    pub reports: Batcher<NewReport>,
    pub names: name_cache::NameCache,
    pub pages: history::PageCache,
    /// The queue of Web Pushes to stations without a socket, if the operator enabled them.
    pub push: Option<PushQueue>,
    pub told: friend::ToldRequests,
    /// The users who have reached their storage limit.
    pub full: usage::Full,
    pub files: file::Files,
    pub policy: Policy,
}

/// The operator's settings for users and messages.
// Not all of `Settings`, as no rule needs addresses, certificates or passwords.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub registration: Registration,
    pub invites: Invites,
    /// The public address, for links.
    pub public_url: String,
    /// Lifetime of a message without a `ValidUntil`.
    pub message_lifetime: TimeDelta,
    /// Maximum time until a message expires, whatever its `ValidUntil`.
    pub max_message_lifetime: TimeDelta,
    /// How long after its `ValidUntil` a message is kept.
    pub expiry_grace: TimeDelta,
    /// Maximum bytes of a message's `Data`.
    pub max_message_bytes: usize,
    /// The limits of a person, unless an operator has set others.
    pub per_user: PerUser,
}

impl Services {
    /// Services on this database, with empty caches and nothing queued.
    #[must_use]
    pub(crate) fn new(
        db: Db,
        identity: server_identity::ServerIdentity,
        settings: &Settings,
    ) -> Self {
        Self {
            messages: Batcher::new(db.clone()),
            reports: Batcher::new(db.clone()),
            names: name_cache::NameCache::default(),
            pages: history::PageCache::default(),
            push: settings.push.as_ref().map(|_| PushQueue::default()),
            told: friend::ToldRequests::new(settings.timings.request_told),
            full: usage::Full::default(),
            files: file::Files::new(settings),
            policy: Policy {
                registration: settings.registration,
                invites: settings.invites,
                public_url: settings.public_url.clone(),
                message_lifetime: settings.message_lifetime,
                max_message_lifetime: settings.max_message_lifetime,
                expiry_grace: settings.expiry_grace,
                max_message_bytes: settings.max_message_bytes,
                per_user: settings.per_user,
            },
            db,
            identity,
        }
    }

    /// The key by which push services know this server. Returns `None` if it does not send pushes.
    #[must_use]
    pub(crate) fn push_key(&self) -> Option<&str> {
        self.push.as_ref().map(|_| self.identity.push.public())
    }
}

/// A request whose signature was checked: all that a rule may know of it.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub user: UserId,
    pub station: StationId,
    pub version: ClientVersion,
    /// The limits of the user.
    pub allowed: rates::Allowed,
    /// The time of the request, read once.
    // If a rule read the clock again, one request could store two different times.
    pub now: Timestamp,
    pub services: &'a Services,
    /// The events of this call, to be announced after its commit.
    // A rule that announced by itself would do so before its commit: a station that fetches at once
    // would find the old state, and would not be notified again.
    pub outbox: Vec<Event>,
    /// Events to be announced after a delay.
    pub later: Vec<(Duration, Event)>,
}
