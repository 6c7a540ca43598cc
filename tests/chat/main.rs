//! The integration tests, through the real wire and a real PostgreSQL. All of them are one binary,
//! so that they are linked once and share a PostgreSQL.
#![allow(
    missing_docs,
    clippy::cloned_ref_to_slice_refs,
    clippy::needless_range_loop,
    reason = "a test's name is its claim; and reads best plain"
)]

mod account;
mod architecture;
mod availability;
mod backup;
mod balancer;
mod batcher;
mod blocklist;
mod broken;
mod cli;
mod client;
mod clock;
mod conversation;
mod cursor;
mod delivery;
mod doctor;
mod embedded;
mod encrypted;
mod epoch;
mod file;
mod friends;
mod fuzz;
mod golden;
mod group;
mod group_locks;
mod hostile;
mod identity;
mod invitation;
mod keys;
mod limits;
mod live;
mod load;
mod log;
mod login;
mod measure;
mod message;
mod metrics;
mod migration;
mod model;
mod nodes;
mod notification;
mod page_cache;
mod plans;
mod pool;
mod presence;
mod presets;
mod proxy;
mod purge;
mod push;
mod query_data;
mod quota;
mod readme;
mod ready;
mod report;
mod selftest;
mod serve;
mod settings;
mod tls;
mod transaction;
mod transcript;
mod upgrade;
mod web_client;
mod workspace;
mod world;
