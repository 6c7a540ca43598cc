//! The rules: who may do what, and who has to hear of it. A rule takes the call first, writes
//! through the store, and puts what happened into the call's outbox; it is announced only after
//! the commit.

pub mod changes;
pub mod conversation;
pub mod error;
pub mod event;
pub mod friend;
pub mod group;
pub mod message;
pub mod name;
pub mod notifications;
pub mod presence;
pub mod quota;
pub mod recent;
pub mod report;
pub mod user;

use crate::{
    model::{
        id::{StationId, UserId},
        rows::NewMessage,
        time::Timestamp,
    },
    settings::Settings,
    store::{Db, report::NewReport, writer::Writer},
};

/// One request of someone whose signature was checked: all that a rule may know.
#[derive(Debug)]
pub struct Call<'a> {
    /// Who asks.
    pub user: UserId,
    /// From which station.
    pub station: StationId,
    /// Whether their client takes the fields of version 4.
    pub is_v4: bool,
    /// The moment of the request, read once.
    pub now: Timestamp,
    /// The truth.
    pub db: &'a Db,
    /// Where messages go.
    pub messages: &'a Writer<NewMessage>,
    /// Where reports go.
    pub reports: &'a Writer<NewReport>,
    /// What users are called.
    pub names: &'a name::Names,
    /// What was read lately.
    pub recent: &'a recent::Recent,
    /// The operator's choices.
    pub settings: &'a Settings,
    /// What stations have yet to be told.
    pub notifications: &'a notifications::Notifications,
    /// What happened in this call, to be announced after its commit.
    pub outbox: Vec<event::Event>,
}
