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
            /// The word on the wire, and in the database.
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

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        // By hand: sqlx's derive takes "text" for a type of the database's own, and asks for its
        // number, which is a round trip more for each connection.
        #[cfg(feature = "sqlx")]
        impl sqlx::Type<sqlx::Postgres> for $name {
            fn type_info() -> sqlx::postgres::PgTypeInfo {
                <str as sqlx::Type<sqlx::Postgres>>::type_info()
            }

            fn compatible(ty: &sqlx::postgres::PgTypeInfo) -> bool {
                <str as sqlx::Type<sqlx::Postgres>>::compatible(ty)
            }
        }

        #[cfg(feature = "sqlx")]
        impl sqlx::Decode<'_, sqlx::Postgres> for $name {
            fn decode(
                value: sqlx::postgres::PgValueRef<'_>,
            ) -> Result<Self, sqlx::error::BoxDynError> {
                let text = <&str as sqlx::Decode<sqlx::Postgres>>::decode(value)?;
                Self::parse(text)
                    .ok_or_else(|| format!("{text:?} is no {}", stringify!($name)).into())
            }
        }
    };
}

words!(
    /// A user's availability.
    Availability {
        /// Has a socket open.
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
    /// What a user chose to be shown as. It is kept until they choose again, also while they are offline.
    ChosenAvailability {
        /// Available while online.
        Available = "available",
        /// Away while online.
        Away = "away",
        /// Busy while online.
        Busy = "busy",
        /// Offline, although they may be online.
        Invisible = "invisible",
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
        /// May invite others where `INVITES=admins`.
        Admin = "admin",
        /// Everybody else.
        User = "user",
    }
);
words!(
    /// The purpose of an invitation to register.
    InvitePurpose {
        /// A new user.
        Join = "join",
        /// The first user, who becomes an admin.
        First = "first",
        /// New keys for a user who lost theirs.
        Reset = "reset",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_the_same_in_text_and_json_and_no_other_word_is_taken_for_it() {
        for (word, purpose) in [
            ("join", InvitePurpose::Join),
            ("first", InvitePurpose::First),
            ("reset", InvitePurpose::Reset),
        ] {
            assert_eq!(purpose.to_string(), word);
            assert_eq!(InvitePurpose::parse(word), Some(purpose));
            let json = format!("{word:?}");
            assert_eq!(serde_json::to_string(&purpose).unwrap(), json);
            let read: InvitePurpose = serde_json::from_str(&json).unwrap();
            assert_eq!(read, purpose);
        }
        for other in ["", "Join", "join ", "admin"] {
            assert_eq!(InvitePurpose::parse(other), None, "{other:?}");
        }
    }
}
