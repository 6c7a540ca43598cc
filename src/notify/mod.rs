//! Notifications: announces changes to the stations that they concern, on this node and on others.
//!
//! A rule reports what happened as an [`event::Event`]. After the commit, the event is announced
//! twice: to this node's [`registry`], which holds the pending notifications of each station, and
//! over the [`bus`] to the other nodes. All of this is a cache: whatever may have been lost is made
//! up for by a [`resync`].

pub(crate) mod bus;
pub(crate) mod event;
pub(crate) mod nodes;
pub(crate) mod push;
pub(crate) mod registry;
pub(crate) mod resync;
