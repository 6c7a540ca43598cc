//! The recovery key: printed, for when the password is lost.

use zeroize::Zeroizing;

use super::{Error, Root, cipher::secret_key};

/// The alphabet of a recovery key: RFC 4648, section 6, without padding.
// It has no 0 and no 1, which people read as letters.
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Its length: 256 bits, 5 per letter.
const RECOVERY_LEN: usize = 52;

secret_key!(
    random
    /// A printed key for when the password is lost.
    RecoveryKey
);

impl RecoveryKey {
    /// Its 52 letters and digits, in groups of four, for printing.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(RECOVERY_LEN + RECOVERY_LEN / 4));
        let bit = |at: usize| {
            // 52 letters have 260 bits, the key 256: the last four are zeros.
            let byte = self.0.get(at / 8).copied().unwrap_or(0);
            usize::from(byte >> (7 - at % 8) & 1)
        };
        for letter in 0..RECOVERY_LEN {
            if letter > 0 && letter % 4 == 0 {
                text.push(' ');
            }
            let value = (0..5).fold(0, |value, place| value << 1 | bit(letter * 5 + place));
            text.push(LETTERS.get(value).copied().map_or('A', char::from));
        }
        text
    }

    /// Parses a printed key, in either case, ignoring spaces and dashes.
    ///
    /// # Errors
    /// `Malformed`: not 52 letters and digits, or not the canonical text of a key.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let malformed = || Error::Malformed("the recovery key");
        let mut bytes = Zeroizing::new([0; 32]);
        let mut letters = 0;
        for letter in text
            .bytes()
            .filter(|letter| !letter.is_ascii_whitespace() && *letter != b'-')
        {
            let letter = letter.to_ascii_uppercase();
            let value = LETTERS
                .iter()
                .position(|known| *known == letter)
                .ok_or_else(malformed)?;
            for place in 0..5 {
                if value >> (4 - place) & 1 == 1 {
                    let at = letters * 5 + place;
                    // Beyond the end: 52 letters have four bits to spare, which are not set.
                    let byte = bytes.get_mut(at / 8).ok_or_else(malformed)?;
                    *byte |= 1 << (7 - at % 8);
                }
            }
            letters += 1;
        }
        if letters == RECOVERY_LEN {
            Ok(Self(bytes))
        } else {
            Err(malformed())
        }
    }

    /// The root of a vault's slot. 256 random bits need no slow hash.
    #[must_use]
    pub fn root(&self) -> Root {
        Root::from_bytes(&self.0)
    }
}
