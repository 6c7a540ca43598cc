//! Everything that must hold, through the real wire and a real PostgreSQL. One binary: one
//! PostgreSQL, one link.
#![allow(
    missing_docs,
    clippy::cloned_ref_to_slice_refs,
    clippy::needless_range_loop,
    reason = "a test's name is its claim; and reads best plain"
)]

mod availability;
mod backup;
mod blocklist;
mod broken;
mod cli;
mod conversation;
mod cursor;
mod doctor;
mod embedded;
mod friends;
mod fuzz;
mod golden;
mod group;
mod hostile;
mod house;
mod identity;
mod live;
mod login;
mod measure;
mod message;
mod model;
mod nodes;
mod notification;
mod plans;
mod pool;
mod presets;
mod proxy;
mod purge;
mod readme;
mod ready;
mod recent;
mod report;
mod serve;
mod settings;
mod transcript;
mod upgrade;
mod workspace;
mod world;
mod writer;
