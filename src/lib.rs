//! Parlance: a self-hosted chat server that speaks the public Ozeki Chat API.
//!
//! The layers, from the top. Each uses only those below it (ARCHITECTURE.md):
//!
//! | module | purpose |
//! | --- | --- |
//! | [`cli`] | the command line |
//! | `selftest` | proves the guarantees, over the wire |
//! | `bench` | measures a server, over the wire |
//! | [`server`] | HTTP: requests and answers, and announcing events after the commit |
//! | [`api`] | the wire: actions in, answers and error codes out |
//! | [`chat`] | the rules: permissions and notifications |
//! | `notify` | announces events: pending notifications, the bus between nodes |
//! | [`store`] | PostgreSQL: the only layer with SQL |
//! | [`settings`], [`timings`], [`clock`] | the operator's choices; intervals and time limits; the clock |
//!
//! The crate `parlance-wire` has the types that server and clients share: ids, times, checked text,
//! keys.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod api;
mod bench;
mod chat;
pub mod cli;
pub mod clock;
mod counters;
mod notify;
mod selftest;
pub mod server;
pub mod settings;
pub mod store;
mod telemetry;
pub mod timings;
