//! Closed sets of words: a user's availability, a participant's role, a report's type.

/// Defines an enum whose variants are words, the same on the wire and in the database.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
        pub enum $name {
            $($(#[$about])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// The word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Parses the word. Returns `None` for any other text.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words!(
    /// A user's availability.
    Availability {
        /// Online.
        Available = "available",
        /// Online, but away.
        Away = "away",
        /// Online, but busy.
        Busy = "busy",
        /// Not online, or pretending not to be.
        Offline = "offline",
    }
);
words!(
    /// The role of a participant in a group.
    Role {
        /// May do everything: rename, clear, add and remove participants, change roles.
        Admin = "admin",
        /// May read, write and leave.
        Member = "member",
    }
);
words!(
    /// The type of a report about a message.
    ReportType {
        /// It reached a station of the user's.
        Delivered = "delivered",
        /// The user saw it.
        Viewed = "viewed",
    }
);
words!(
    /// A user's role on a server.
    UserRole {
        /// Administers it.
        Admin = "admin",
        /// Uses it.
        User = "user",
    }
);
words!(
    /// The purpose of a credential.
    CredentialKind {
        /// Derived from the user's password.
        Password = "password",
        /// Derived from the recovery key, for logging in after the password was lost.
        Recovery = "recovery",
        /// Random; for a service, or an additional one of a user's.
        Apikey = "apikey",
    }
);
