//! Identifies the person at the command line, for the audit log.

use nix::unistd::{Uid, User, gethostname};

use crate::store::audit::Actor;

/// The operating system's user, and this host.
pub(super) fn actor() -> Actor {
    let uid = Uid::current();
    let name = match User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        // A container may have no entry for it.
        _ => format!("uid {uid}"),
    };
    let host = gethostname()
        .ok()
        .and_then(|host| host.into_string().ok())
        .unwrap_or_else(|| "an unknown host".into());
    Actor {
        // A hint only, as any program can set it; but it tells apart the people who share root.
        name: match std::env::var("SUDO_USER") {
            Ok(caller) if uid.is_root() => format!("{name} (sudo by {caller})"),
            _ => name,
        },
        origin: format!("command line on {host}"),
    }
}
