//! The WebSocket: what is committed is on the other screen at once; what is not wanted is refused.

mod availability;
mod confirm;
mod end;
mod frames;
mod handshake;
mod push;
mod version4;
