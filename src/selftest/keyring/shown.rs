//! An epoch's form on the wire.

use parlance_client::e2ee::{Announcement, SignedAnnouncement};
use serde_json::Value;

/// An epoch on the wire.
#[derive(Debug)]
pub(in crate::selftest) struct Shown {
    pub announcement: SignedAnnouncement,
    /// The reader's copy of its secret, or empty.
    pub secret: String,
}

impl Shown {
    pub(super) fn read(row: &Value) -> Option<Self> {
        let announcement = SignedAnnouncement {
            announcement: Announcement::parse(row.get("announcement")?.as_str()?).ok()?,
            signature: serde_json::from_value(row.get("signature")?.clone()).ok()?,
        };
        // The number beside it has to be the announcement's.
        let number = row.get("epoch")?.as_u64()?;
        (number == u64::from(announcement.announcement.epoch().get())).then_some(())?;
        Some(Self {
            announcement,
            secret: row.get("secret")?.as_str()?.to_owned(),
        })
    }

    pub(super) fn number(&self) -> u32 {
        self.announcement.announcement.epoch().get()
    }
}
