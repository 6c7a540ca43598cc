//! Parlance: a self-hosted chat server that speaks the public Ozeki Chat API.
//!
//! The house, in reading order. Each floor uses only the ones below it:
//!
//! | floor | what it is for |
//! | --- | --- |
//! | [`cli`] | the command line |
//! | [`selftest`] | proves the promises, over the wire |
//! | [`bench`] | measures a server, over the wire |
//! | [`server`] | HTTP: a request comes in, an answer goes out, what happened is announced |
//! | [`api`] | the wire: actions in, views and error codes out |
//! | [`chat`] | the rules: who may do what, who hears of it |
//! | [`notify`] | what happened is announced: pending notifications, the bus |
//! | [`store`] | PostgreSQL: the only floor with SQL |
//! | [`settings`], [`telemetry`] | the operator's choices; the log |
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod api;
mod bench;
pub mod chat;
pub mod cli;
mod notify;
mod selftest;
pub mod server;
pub mod settings;
pub mod store;
mod telemetry;
pub mod timings;
