//! The WebSocket: committed changes are pushed at once, and unwanted frames are refused.

mod availability;
mod confirm;
mod end;
mod frames;
mod handshake;
mod push;
mod version4;
