//! Text that the server does not interpret.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

/// Text of at most `MAX` bytes that only clients interpret: ciphertext and wrapped secrets. It is
/// printable ASCII, like base64, because other characters may take six bytes in JSON.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Opaque<const MAX: usize>(String);

/// A conversation's secret, wrapped for one participant: RSA-OAEP with an 8192-bit key is 1,368
/// bytes.
pub type Secret = Opaque<4096>;
/// A conversation's name, encrypted for one participant.
pub type DisplayName = Opaque<4096>;
/// A message's ciphertext. Its maximum size is a setting.
pub type Data = Opaque<{ usize::MAX }>;

impl<const MAX: usize> Opaque<MAX> {
    /// Checks size and form. Returns `None` for text that is too long or not printable ASCII.
    #[must_use]
    // Takes the string, so that a message's content is not copied.
    pub fn parse(text: String) -> Option<Self> {
        (text.len() <= MAX && is_printable(text.as_bytes())).then_some(Self(text))
    }

    /// The text, unchanged.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns `true` if all are printable ASCII.
// Without an early end: the compiler then compares many bytes at once.
fn is_printable(bytes: &[u8]) -> bool {
    let printable = |byte: &u8| (b' '..=b'~').contains(byte);
    bytes.iter().fold(true, |all, byte| all & printable(byte))
}

impl<const MAX: usize> From<Opaque<MAX>> for String {
    fn from(text: Opaque<MAX>) -> Self {
        text.0
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Opaque<MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(String::deserialize(from)?).ok_or_else(|| match MAX {
            usize::MAX => de::Error::custom("expected printable ASCII characters"),
            max => de::Error::custom(format_args!(
                "expected at most {max} printable ASCII characters"
            )),
        })
    }
}

impl<const MAX: usize> fmt::Debug for Opaque<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Only its size, because logs should not contain messages or secrets, even encrypted ones.
        write!(f, "Opaque({} bytes)", self.0.len())
    }
}
