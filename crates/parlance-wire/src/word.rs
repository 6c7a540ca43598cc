//! Closed sets of words: a user's availability, a participant's role, a report's type.

/// Declares an enum whose variants are words, the same on the wire and in the database.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        pub enum $name {
            $($(#[$about])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// The word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Reads the word. `None`: no such word.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words!(
    /// How available a user is.
    Availability {
        /// Online, or has said so.
        Available = "available",
        /// Online, but away.
        Away = "away",
        /// Online, but busy.
        Busy = "busy",
        /// Not online, or wants to look so.
        Offline = "offline",
    }
);
words!(
    /// What a participant of a group may do.
    Role {
        /// Everything: rename, clear, add and remove participants, change roles.
        Admin = "admin",
        /// Read, write, leave.
        Member = "member",
    }
);
words!(
    /// What a report says of a message.
    ReportType {
        /// It reached a station of the user's.
        Delivered = "delivered",
        /// The user saw it.
        Viewed = "viewed",
    }
);
words!(
    /// What a user may do on a server.
    UserRole {
        /// Administer it.
        Admin = "admin",
        /// Use it.
        User = "user",
    }
);
