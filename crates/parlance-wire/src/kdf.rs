//! How a client turns a password into a key. The server stores these parameters, and returns them
//! before the login.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bytes of a salt.
pub const SALT_BYTES: usize = 16;

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Whole<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Whole<MIN, MAX> {
    /// Checks the number. Returns `None` if it is out of range.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        (MIN..=MAX).contains(&number).then_some(Self(number))
    }

    /// The number, which is within the bounds.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> Serialize for Whole<MIN, MAX> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u32(self.0)
    }
}

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // Read as any value, so that the error states the bounds whatever was sent.
        let number = serde_json::Value::deserialize(from)?.as_u64();
        number
            .and_then(|number| Self::new(number.try_into().ok()?))
            .ok_or_else(|| {
                de::Error::custom(format_args!("expected a whole number from {MIN} to {MAX}"))
            })
    }
}

/// A password's salt. 32 hex digits on the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; SALT_BYTES]);

impl Salt {
    /// The salt of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; SALT_BYTES]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Serialize for Salt {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Salt {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let mut bytes = [0; SALT_BYTES];
        // Only lower case: each salt has a single text, and clients hash the text.
        hex::decode_to_slice(&text, &mut bytes)
            .ok()
            .filter(|()| text == hex::encode(bytes))
            .ok_or_else(|| {
                de::Error::custom("expected 16 bytes, as 32 hexadecimal digits in lower case")
            })?;
        Ok(Self(bytes))
    }
}

/// KiB of memory.
// At least what new accounts have, as a cheap hash would give the password away, and at most 16
// times as much, so that a server cannot keep its clients busy for ever.
pub type Memory = Whole<65_536, 1_048_576>;
/// Passes over the memory.
pub type Passes = Whole<3, 48>;
/// Parts of the memory that can be filled at the same time.
pub type Lanes = Whole<1, 16>;

/// How the password of an account is turned into its keys (docs/e2ee.md, Vault).
// Clients refuse to hash a password outside these bounds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
// `Fields` is how it is read, not how it looks.
#[cfg_attr(any(test, feature = "schema"), schemars(!try_from))]
#[serde(tag = "kdf", try_from = "Fields")]
pub enum Kdf {
    /// argon2id (RFC 9106), for accounts with a vault.
    #[serde(rename = "argon2id")]
    Argon2id {
        /// Memory, in KiB.
        m: Memory,
        /// Passes over the memory.
        t: Passes,
        /// Parts of the memory that can be filled at the same time.
        p: Lanes,
        /// The salt, different for each account, so that equal passwords give different keys.
        salt: Salt,
    },
    /// PBKDF2, for accounts of the published form (docs/api.md, End-to-end encryption).
    // A published client's request names no function.
    #[default]
    #[serde(rename = "pbkdf2-sha256")]
    Pbkdf2,
}

/// The fields of a [`Kdf`] as read. Unlike in an enum with a tag, errors name the field.
#[derive(Deserialize)]
struct Fields {
    kdf: Name,
    m: Option<Memory>,
    t: Option<Passes>,
    p: Option<Lanes>,
    salt: Option<Salt>,
}

#[derive(Deserialize)]
enum Name {
    #[serde(rename = "argon2id")]
    Argon2id,
    #[serde(rename = "pbkdf2-sha256")]
    Pbkdf2,
}

impl TryFrom<Fields> for Kdf {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        match fields {
            Fields {
                kdf: Name::Argon2id,
                m: Some(m),
                t: Some(t),
                p: Some(p),
                salt: Some(salt),
            } => Ok(Self::Argon2id { m, t, p, salt }),
            Fields {
                kdf: Name::Argon2id,
                ..
            } => Err("expected m, t, p and salt"),
            Fields {
                kdf: Name::Pbkdf2, ..
            } => Ok(Self::Pbkdf2),
        }
    }
}

impl Kdf {
    /// The parameters for new accounts: 64 MiB, 3 passes, 1 lane.
    #[must_use]
    pub fn recommended(salt: Salt) -> Self {
        Self::Argon2id {
            m: Whole(65_536),
            t: Whole(3),
            p: Whole(1),
            salt,
        }
    }

    /// The same function with another salt, if it has one.
    #[must_use]
    pub fn with_salt(self, salt: Salt) -> Self {
        match self {
            Self::Argon2id { m, t, p, salt: _ } => Self::Argon2id { m, t, p, salt },
            Self::Pbkdf2 => Self::Pbkdf2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_as_they_are_written_and_no_others() {
        let salt = "07".repeat(16);
        let text = format!(r#"{{"kdf":"argon2id","m":65536,"t":3,"p":1,"salt":"{salt}"}}"#);
        let kdf = Kdf::recommended(Salt::new([7; SALT_BYTES]));
        assert_eq!(serde_json::to_string(&kdf).unwrap(), text);
        assert_eq!(serde_json::from_str::<Kdf>(&text).unwrap(), kdf);
        for (good, wrong) in [
            ("argon2id", "argon2i"),
            ("65536", "65535"),
            ("65536", "1048577"),
            ("\"t\":3", "\"t\":49"),
            ("\"t\":3", "\"t\":2"),
            ("\"p\":1", "\"p\":1.5"),
            ("0707", "07"),
            ("0707", "0G07"),
            ("0707", "0A07"),
        ] {
            let wrong = text.replacen(good, wrong, 1);
            assert!(serde_json::from_str::<Kdf>(&wrong).is_err(), "{wrong}");
        }
        let text = r#"{"kdf":"pbkdf2-sha256"}"#;
        assert_eq!(serde_json::to_string(&Kdf::Pbkdf2).unwrap(), text);
        assert_eq!(serde_json::from_str::<Kdf>(text).unwrap(), Kdf::Pbkdf2);
    }
}
