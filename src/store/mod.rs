//! PostgreSQL: the only layer with SQL. Every statement is checked at build time, and every read
//! names its reader. Statements of more than 25 lines are in `sql/`, except for those that share
//! text, which are macros.

mod admission;
pub mod audit;
pub mod backup;
pub(crate) mod batcher;
pub(crate) mod block;
pub(crate) mod card;
pub(crate) mod conversation;
pub mod credential;
mod db;
pub mod deletion;
pub mod doctor;
pub mod embedded;
pub(crate) mod epoch;
pub(crate) mod erase;
pub mod erasure;
pub mod error;
pub(crate) mod export;
pub mod file;
pub(crate) mod friend;
pub(crate) mod group;
pub(crate) mod history;
pub(crate) mod invitation;
pub mod invite;
pub(crate) mod key_log;
pub mod list;
pub(crate) mod message;
mod migration;
pub mod notice;
pub mod oversight;
pub(crate) mod participant;
pub mod presence;
pub mod probe;
pub(crate) mod profile;
pub mod purge;
pub(crate) mod push;
pub(crate) mod quota;
pub mod registration;
pub(crate) mod report;
pub(crate) mod reset;
mod retire;
pub(crate) mod rows;
pub mod seed;
mod sqlstate;
pub(crate) mod station;
pub(crate) mod transcript;
pub mod usage;
pub mod user;
pub mod user_limits;
pub mod user_list;
pub(crate) mod vault;
pub(crate) mod workspace;

pub use self::{
    db::{COMMIT_SETTLED_AFTER, Db, End, session_options},
    migration::{MIGRATIONS, MigrationError, Schema, is_current, migrate, schema},
};
