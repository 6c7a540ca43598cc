//! Checked text: each form of a string on the wire has a type with a single constructor, which
//! checks it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};
use uuid::Uuid;

/// Implements what all checked texts share: they are shown as they are, and checked when they are
/// deserialized.
macro_rules! text_form {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                // A visitor, so that the text is copied only once it is checked.
                struct Visitor;
                impl de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($name::EXPECTED)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::parse(text)
                            .ok_or_else(|| E::custom(format_args!("expected {}", $name::EXPECTED)))
                    }
                }
                from.deserialize_str(Visitor)
            }
        }
    };
}

// After the macro, which they use.
mod email;
mod endpoint;
mod name;
mod opaque;

pub use self::{
    email::Email,
    endpoint::PushEndpoint,
    name::{FullName, Nick, StationName, skeleton},
    opaque::{Data, DisplayName, Opaque, Secret},
};

/// Defines a checked text: its name, the required form (for errors), and its check.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
        #[cfg_attr(feature = "sqlx", derive(sqlx::Type))]
        #[serde(transparent)]
        #[cfg_attr(feature = "sqlx", sqlx(transparent))]
        pub struct $name(String);

        impl $name {
            /// The required form, for errors.
            pub const EXPECTED: &'static str = $expected;

            /// Checks the form. Returns `None` for any other text.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let check: fn(&str) -> bool = $check;
                check(text).then(|| Self(text.to_owned()))
            }

            /// The text, as given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        text_form!($name);
    };
}

text!(
    /// An instance of a conversation's content. `clear` begins the next one.
    Instance, "10 letters or digits",
    |text| text.len() == 10 && text.bytes().all(|b| b.is_ascii_alphanumeric())
);
text!(
    /// The background color of a list item, as given.
    Color, "a color like `#rrggbb`",
    // `[1..]` cannot split a character: the first one is `#`.
    |text| text.len() == 7 && text.starts_with('#') && text[1..].bytes().all(|b| b.is_ascii_hexdigit())
);
text!(
    /// The instances that a user has hidden, each followed by `;`. Kept as given.
    HideId, "at most 256 letters, digits and `;`",
    |text| text.len() <= 256 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b';')
);
text!(
    /// A message's type. The server does not interpret it.
    MessageType, "1 to 32 letters, digits, `.`, `_` or `-`",
    |text| (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
);
text!(
    /// A workspace's host name, in lower case.
    WorkspaceName, "a host name in lower case, at most 253 characters (an international one as punycode)",
    // Lower case only: host names compare without case, and two users must not own the same one.
    |text| email::is_host(text) && !text.bytes().any(|b| b.is_ascii_uppercase())
);
text!(
    /// A private key, encrypted with its owner's password, as PEM: an 8192-bit one is about 6,500
    /// bytes; or a vault. U+0000 is refused, because PostgreSQL cannot store it.
    EncryptedKey, "at most 262144 bytes of text without U+0000",
    |text| text.len() <= EncryptedKey::MAX_BYTES && !text.contains('\0')
);

impl EncryptedKey {
    /// Maximum bytes that a server takes.
    // A vault's box is in base64 twice, so that a pin takes about 210 bytes: this holds three pairs of
    // 3072 bits, the pins of 1,000 contacts, and the heads of 150 conversations.
    pub const MAX_BYTES: usize = 262_144;
}

impl Instance {
    /// A new instance of a conversation's content: 10 random characters of `[A-Za-z0-9]`.
    #[must_use]
    pub fn random() -> Self {
        const ALPHABET: &[u8; 62] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        // 122 random bits for 60: the remainder's bias is below one in 10^18.
        let mut bits = Uuid::new_v4().as_u128();
        let text = (0..10).map(|_| {
            let letter = ALPHABET.get(usize::try_from(bits % 62).unwrap_or_default());
            bits /= 62;
            letter.copied().map_or('A', char::from)
        });
        Self(text.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_accepts_the_published_examples_and_refuses_similar_text() {
        assert!(Instance::parse("PqjfKSn7V8").is_some());
        assert!(Instance::parse("PqjfKSn7V").is_none() && Instance::parse("PqjfKSn7V;").is_none());
        assert!(Color::parse("#bae1ff").is_some() && Color::parse("#BAE1FF").is_some());
        assert!(
            Color::parse("bae1ff0").is_none()
                && Color::parse("#bae1fg").is_none()
                && Color::parse("#bé1ff").is_none()
        );
        assert!(
            HideId::parse("7sSwU2VoFM;").is_some() && HideId::parse(&"a".repeat(257)).is_none()
        );
        assert!(
            MessageType::parse("Message").is_some()
                && MessageType::parse("").is_none()
                && MessageType::parse("a b").is_none()
        );
        assert!(
            WorkspaceName::parse("alice.ozeki.chat").is_some()
                && WorkspaceName::parse("a..b").is_none()
                && WorkspaceName::parse("-a.b").is_none()
        );
        // As the host of an address: neither an IPv4 address, nor punycode that is none, or that is another
        // name's.
        assert!(WorkspaceName::parse("xn--bcher-kva.example").is_some());
        for wrong in ["192.0.2.1", "a.1", "xn--a", "A.b"] {
            assert!(WorkspaceName::parse(wrong).is_none(), "{wrong}");
        }
        assert!(
            Secret::parse("uwR...A==".into()).is_some()
                && Secret::parse(String::new()).is_some()
                && Secret::parse("a".repeat(4097)).is_none()
        );
        assert!(Data::parse((b' '..=b'~').map(char::from).collect()).is_some());
        assert!(
            ["a\0b", "a\u{1}", "a\n", "a\u{7f}", "é", "\u{202e}"]
                .iter()
                .all(|text| Data::parse((*text).into()).is_none())
        );
        assert!(
            EncryptedKey::parse("-----BEGIN\n").is_some() && EncryptedKey::parse("a\0b").is_none()
        );
    }

    #[test]
    fn a_random_instance_has_the_published_form_and_does_not_come_twice() {
        let many: std::collections::HashSet<String> =
            (0..1000).map(|_| Instance::random().to_string()).collect();
        assert_eq!(many.len(), 1000);
        assert!(many.iter().all(|text| Instance::parse(text).is_some()));
    }

    #[test]
    fn each_form_accepts_up_to_its_limit() {
        let is_taken = |parse: &dyn Fn(&str) -> bool, letter: &str, most: usize| {
            assert!(
                parse(&letter.repeat(most)) && !parse(&letter.repeat(most + 1)),
                "{letter} {most}"
            );
        };
        is_taken(&|text| MessageType::parse(text).is_some(), "a", 32);
        is_taken(&|text| HideId::parse(text).is_some(), "a", 256);
        is_taken(&|text| WorkspaceName::parse(text).is_some(), "a", 63);
        is_taken(
            &|text| WorkspaceName::parse(&format!("a.{text}")).is_some(),
            "a",
            63,
        );
        is_taken(
            &|text| WorkspaceName::parse(text.trim_end_matches('.')).is_some(),
            "a.",
            127,
        );
        // Bytes, because the limit protects the database.
        is_taken(&|text| Secret::parse(text.into()).is_some(), "a", 4096);
        is_taken(&|text| EncryptedKey::parse(text).is_some(), "a", 262_144);
    }
}
