//! Identifiers. Each has a type of its own, so that they cannot be confused. In PostgreSQL all are
//! `uuid`; on the wire each has its published form.

use std::fmt;

use md5::{Digest, Md5};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use super::text::Email;

/// Bytes that are zero at the beginning of a group's id.
const GROUP_ZEROS: usize = 4;

/// Defines an id: its name, its form on the wire, and the form in errors.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $form:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type))]
        #[cfg_attr(feature = "sqlx", sqlx(transparent))]
        pub struct $name(Uuid);

        impl $name {
            /// Parses the wire's form, in either case, with or without dashes. Returns `None` for
            /// any other text.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                // `Uuid` also accepts braces and URNs.
                let form = match text.len() { 32 => true, 36 => text.as_bytes().get(8) == Some(&b'-'), _ => false };
                if form { Uuid::try_parse(text).ok().map(Self) } else { None }
            }

            /// Its 16 bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.$form().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let mut buffer = Uuid::encode_buffer();
                to.serialize_str(self.0.$form().encode_lower(&mut buffer))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }
                    // From borrowed text, as a request may contain thousands of ids.
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::parse(text).ok_or_else(|| E::custom(concat!("expected ", $expected)))
                    }
                }
                from.deserialize_str(Visitor)
            }
        }
    };
}

id!(
    /// A user: the MD5 of their e-mail address. 32 hex digits on the wire.
    UserId, simple, "32 hexadecimal digits"
);
id!(
    /// The answer to a poll, which the station's next poll may acknowledge. 32 hex digits on the
    /// wire.
    Receipt, simple, "32 hexadecimal digits"
);
id!(
    /// A station (device), chosen by its client once per installation. 32 hex digits on the wire.
    StationId, simple, "32 hexadecimal digits"
);
id!(
    /// An invitation to register, for listing and revoking it; its code is separate. 32 hex digits
    /// on the wire.
    InviteId, simple, "32 hexadecimal digits"
);
id!(
    /// The id of a credential that opens a user's login, chosen by the server. 32 hex digits on the
    /// wire.
    CredentialId, simple, "32 hexadecimal digits"
);
id!(
    /// A conversation. 32 hex digits on the wire.
    ConversationId, simple, "32 hexadecimal digits"
);
id!(
    /// A message, chosen by its sender's client. A UUID with dashes on the wire.
    MessageId, hyphenated, "a UUID"
);
id!(
    /// A file, chosen by its uploader's client. A UUID with dashes on the wire.
    FileId, hyphenated, "a UUID"
);
id!(
    /// A server: a random id, created once with its database. Unlike its host name, it never
    /// changes. 32 hex digits on the wire.
    ServerId, simple, "32 hexadecimal digits"
);
id!(
    /// A report, chosen by the server. A UUID with dashes on the wire.
    ReportId, hyphenated, "a UUID"
);

impl UserId {
    /// The id of the user with this e-mail address (docs/api.md, Identifiers).
    #[must_use]
    pub fn of(email: &Email) -> Self {
        Self(md5(email.as_str()))
    }
}

impl ConversationId {
    /// The direct conversation of two users: the MD5 of both ids, sorted and joined by `;`. So it
    /// can only exist once, even if several clients create it at the same moment (docs/api.md,
    /// Identifiers).
    #[must_use]
    pub fn between(one: UserId, other: UserId) -> Self {
        let (first, second) = if one < other {
            (one, other)
        } else {
            (other, one)
        };
        Self(md5(&format!("{first};{second}")))
    }
}

impl ConversationId {
    /// A new group's id. It begins with 32 zero bits, unlike practically all direct conversations':
    /// otherwise somebody who may choose a group's id could take the one that two others will need.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = Uuid::new_v4().into_bytes();
        for byte in bytes.iter_mut().take(GROUP_ZEROS) {
            *byte = 0;
        }
        Self(Uuid::from_bytes(bytes))
    }

    /// Returns `true` if it has the form of a group's id.
    #[must_use]
    pub fn may_be_group(&self) -> bool {
        self.as_bytes()
            .iter()
            .take(GROUP_ZEROS)
            .all(|byte| *byte == 0)
    }
}

impl Receipt {
    /// A new receipt, different from all others on all nodes.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl StationId {
    /// A new station's id, as its client chooses it.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl MessageId {
    /// A new message's id, as its sender chooses it.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl FileId {
    /// A new file's id, as its uploader chooses it.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl ServerId {
    /// A new server's id.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl ReportId {
    /// A new report's id.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

fn md5(text: &str) -> Uuid {
    // MD5, as published. Nobody gains from two addresses with the same id, as the second one cannot
    // be registered (`users_key`).
    Uuid::from_bytes(Md5::digest(text).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_match_the_published_examples() {
        let admin = UserId::of(&Email::parse(" Admin@Ozeki.hu ").unwrap());
        assert_eq!(admin.to_string(), "d574638619cbff603bf857164c47e850");
        let alice = UserId::parse("aa68d2204cb2bb85f2de3b9aad0d86d7").unwrap();
        let direct = "8ca16186c36a4e0a1ef2096e6c60b613";
        assert_eq!(ConversationId::between(alice, admin).to_string(), direct);
        assert_eq!(ConversationId::between(admin, alice).to_string(), direct);
    }

    #[test]
    fn an_id_is_hex_with_or_without_dashes_and_nothing_else() {
        let dashed = "fc2515cb-e483-4f64-936b-98f680565c96";
        assert_eq!(MessageId::parse(dashed).unwrap().to_string(), dashed);
        assert_eq!(
            MessageId::parse(&dashed.replace('-', ""))
                .unwrap()
                .to_string(),
            dashed
        );
        assert_eq!(
            MessageId::parse(&dashed.to_uppercase())
                .unwrap()
                .to_string(),
            dashed
        );
        for wrong in [
            "",
            "1",
            "{fc2515cb-e483-4f64-936b-98f680565c96}",
            "urn:uuid:fc2515cb-e483-4f64-936b-98f680565c96",
            "gc2515cb-e483-4f64-936b-98f680565c96",
            "éééééééééééééééé",
        ] {
            assert!(MessageId::parse(wrong).is_none(), "{wrong}");
        }
    }
}
