//! Notifications: changes are announced to the stations that they concern, here and on other nodes.
//!
//! A rule says what happened as an [`event::Event`], and after its commit the event is announced twice: to the
//! [`registry`] of this node, which holds the pending notifications of each station, and over the [`bus`] to the other
//! nodes. All of this is a cache. What may have been lost is made up for by a [`resync`], never guessed.

pub(crate) mod bus;
pub(crate) mod changes;
pub(crate) mod event;
pub(crate) mod nodes;
pub(crate) mod registry;
pub(crate) mod resync;
