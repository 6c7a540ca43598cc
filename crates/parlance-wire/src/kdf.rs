//! How a client stretches a password: the parameters that a server keeps for it, and tells before the login.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bytes of a salt.
pub const SALT_BYTES: usize = 16;

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Whole<const MIN: i32, const MAX: i32>(i32);

impl<const MIN: i32, const MAX: i32> Whole<MIN, MAX> {
    /// Checks the number. Returns `None` outside of the range.
    #[must_use]
    pub fn new(number: i32) -> Option<Self> {
        (MIN..=MAX).contains(&number).then_some(Self(number))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> i32 {
        self.0
    }
}

impl<const MIN: i32, const MAX: i32> Serialize for Whole<MIN, MAX> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i32(self.0)
    }
}

impl<'de, const MIN: i32, const MAX: i32> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = serde_json::Value::deserialize(from)?.as_i64();
        number
            .and_then(|number| Self::new(number.try_into().ok()?))
            .ok_or_else(|| {
                de::Error::custom(format_args!("expected a whole number from {MIN} to {MAX}"))
            })
    }
}

/// A password's salt; base64 of 16 bytes on the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; SALT_BYTES]);

impl Salt {
    /// What it must be, for the sentence of an error.
    pub const EXPECTED: &'static str = "base64 of 16 bytes";

    /// Reads the wire's form. Returns `None` for any other.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// The salt of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; SALT_BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; SALT_BYTES] {
        &self.0
    }
}

impl fmt::Display for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Salt {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Salt {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text)
            .ok_or_else(|| de::Error::custom(format_args!("expected {}", Self::EXPECTED)))
    }
}

/// Says which function the parameters beside it are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Argon2idName {
    #[serde(rename = "argon2id")]
    Argon2id,
}

/// Parameters of argon2id (RFC 9106), within what a phone can bear and what makes guessing dear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argon2id {
    kdf: Argon2idName,
    /// Memory, in KiB.
    pub m: Whole<19456, 1_048_576>,
    /// Passes over it.
    pub t: Whole<1, 16>,
    /// Lanes.
    pub p: Whole<1, 16>,
    /// The salt.
    pub salt: Salt,
}

impl Argon2id {
    /// What new accounts should use: 64 MiB, 3 passes, 1 lane. What an address without a user is answered, too.
    #[must_use]
    pub fn recommended(salt: Salt) -> Self {
        Self {
            kdf: Argon2idName::Argon2id,
            m: Whole(65_536),
            t: Whole(3),
            p: Whole(1),
            salt,
        }
    }

    /// Parameters that are kept as numbers. Returns `None` for what this type does not allow.
    #[must_use]
    pub fn of_numbers(m: i32, t: i32, p: i32, salt: &str) -> Option<Self> {
        Some(Self {
            kdf: Argon2idName::Argon2id,
            m: Whole::new(m)?,
            t: Whole::new(t)?,
            p: Whole::new(p)?,
            salt: Salt::parse(salt)?,
        })
    }
}

/// Says which function the parameters beside it are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Pbkdf2Name {
    #[serde(rename = "pbkdf2-sha256")]
    Pbkdf2,
}

/// What accounts of the published form use: PBKDF2-HMAC-SHA256 (docs/api.md, End-to-end encryption).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pbkdf2 {
    kdf: Pbkdf2Name,
    /// Iterations.
    pub rounds: u32,
    /// The salt, as text.
    pub salt: String,
}

impl Pbkdf2 {
    /// The parameters of the user with this address.
    #[must_use]
    pub fn of(email: &crate::text::Email) -> Self {
        Self {
            kdf: Pbkdf2Name::Pbkdf2,
            rounds: 600_000,
            salt: format!("parlance:{}", email.as_str()),
        }
    }
}

/// How the password of an account is stretched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Kdf {
    /// Of a new account, or of none.
    Argon2id(Argon2id),
    /// Of an account of the published form.
    Pbkdf2(Pbkdf2),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Email;

    #[test]
    fn parameters_are_read_as_they_are_written_and_no_others() {
        let salt = Salt::new([7; SALT_BYTES]);
        let text = r#"{"kdf":"argon2id","m":65536,"t":3,"p":1,"salt":"BwcHBwcHBwcHBwcHBwcHBw=="}"#;
        let argon2id = Argon2id::recommended(salt);
        assert_eq!(serde_json::to_string(&argon2id).unwrap(), text);
        assert_eq!(
            serde_json::from_str::<Kdf>(text).unwrap(),
            Kdf::Argon2id(argon2id)
        );
        for (good, wrong) in [
            ("argon2id", "argon2i"),
            ("65536", "19455"),
            ("65536", "1048577"),
            ("\"t\":3", "\"t\":17"),
            ("\"t\":3", "\"t\":0"),
            ("\"p\":1", "\"p\":1.5"),
            ("BwcHBwcHBwcHBwcHBwcHBw==", "BwcHBwcHBwcHBwcHBwcH"),
            ("BwcHBwcHBwcHBwcHBwcHBw==", "x"),
        ] {
            let wrong = text.replace(good, wrong);
            assert!(serde_json::from_str::<Argon2id>(&wrong).is_err(), "{wrong}");
        }
        let ann = Pbkdf2::of(&Email::parse("ann@example.org").unwrap());
        let text = serde_json::to_string(&ann).unwrap();
        assert_eq!(
            text,
            r#"{"kdf":"pbkdf2-sha256","rounds":600000,"salt":"parlance:ann@example.org"}"#
        );
        assert_eq!(
            serde_json::from_str::<Kdf>(&text).unwrap(),
            Kdf::Pbkdf2(ann)
        );
    }
}
