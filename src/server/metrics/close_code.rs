//! The label of a socket's end: the code of the server's close frame.

use actix_ws::{CloseCode, CloseReason};

/// All labels. A peer that closed the socket, or was gone, gets no close frame.
pub(super) const ALL: [&str; 13] = [
    "none", "1001", "1002", "1003", "1007", "1008", "1009", "1012", "4401", "4403", "4409", "4429",
    "other",
];

/// The label of this close frame.
pub(super) fn label(frame: Option<&CloseReason>) -> &'static str {
    match frame.map(|frame| frame.code) {
        None => "none",
        Some(CloseCode::Away) => "1001",
        Some(CloseCode::Protocol) => "1002",
        Some(CloseCode::Unsupported) => "1003",
        Some(CloseCode::Invalid) => "1007",
        Some(CloseCode::Policy) => "1008",
        Some(CloseCode::Size) => "1009",
        Some(CloseCode::Restart) => "1012",
        // Our own codes, which `live/socket.rs` sends.
        Some(CloseCode::Other(4401)) => "4401",
        Some(CloseCode::Other(4403)) => "4403",
        Some(CloseCode::Other(4409)) => "4409",
        Some(CloseCode::Other(4429)) => "4429",
        Some(_) => "other",
    }
}
