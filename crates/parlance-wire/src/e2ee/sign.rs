//! Ed25519 (RFC 8032): the keys that sign cards, announcements, messages and the key log, and their signatures.

use std::fmt;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

use super::encoding::as_base64;

/// The y coordinates, little-endian, of the points whose order divides 8, beside 0 and 1: with such
/// a "key", anyone can produce valid signatures. aws-lc accepts them (it verifies as RFC 8032 does,
/// without the cofactor), so they are refused here.
const SMALL_ORDER: [[u8; 32]; 3] = [
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    MINUS_ONE,
];

/// p - 1, little-endian, where p = 2^255 - 19: the largest coordinate.
const MINUS_ONE: [u8; 32] = [
    0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
];

/// A public key for signatures. In JSON it is base64 of its 32 bytes.
///
/// Encodings of a coordinate that is not below p, and points of small order, are refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignKey([u8; 32]);

impl SignKey {
    /// Checks the form. Returns `None` for anything but 32 bytes with the canonical encoding of a
    /// coordinate, and for a point of small order.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let key: [u8; 32] = bytes.try_into().ok()?;
        // The highest bit is the sign of the other coordinate.
        let mut y = key;
        y[31] &= 0x7f;
        let is_zero_or_one = y[0] <= 1 && y[1..].iter().all(|byte| *byte == 0);
        let is_reduced = y.iter().rev().le(MINUS_ONE.iter().rev());
        (is_reduced && !is_zero_or_one && !SMALL_ORDER.contains(&y)).then_some(Self(key))
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns `true` if the key's owner signed the text.
    #[must_use]
    pub fn verifies(&self, text: &[u8], signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0)
            .verify(text, &signature.0)
            .is_ok()
    }
}

impl AsRef<[u8]> for SignKey {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SignKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

as_base64!(SignKey, "base64 of an Ed25519 public key");

/// A signature. In JSON it is base64 of its 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// From bytes. Returns `None` unless there are 64.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl AsRef<[u8]> for Signature {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

as_base64!(Signature, "base64 of an Ed25519 signature");

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        hex::decode(hex).unwrap()
    }

    #[test]
    fn a_signature_is_that_of_the_rfc() {
        // RFC 8032, section 7.1, test 2.
        let key = SignKey::from_bytes(&bytes(
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        ))
        .unwrap();
        let text = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
        let signature = Signature::from_bytes(&bytes(text)).unwrap();
        assert!(key.verifies(&[0x72], &signature));
        assert!(!key.verifies(&[0x73], &signature));
        // S + L instead of S satisfies the same equation.
        let mut malleated = bytes(text);
        let order = bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
        let mut carry = 0;
        for (byte, more) in malleated[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(more) + carry;
            *byte = u8::try_from(sum & 0xff).unwrap();
            carry = sum >> 8;
        }
        assert!(!key.verifies(&[0x72], &Signature::from_bytes(&malleated).unwrap()));
    }

    #[test]
    fn a_key_that_signs_for_everyone_is_refused() {
        let identity = {
            let mut identity = [0; 32];
            identity[0] = 1;
            identity
        };
        // R = the identity, S = 0: valid for every text under the identity, and aws-lc accepts it.
        let mut forged = [0; 64];
        forged[0] = 1;
        assert!(
            UnparsedPublicKey::new(&ED25519, &identity)
                .verify(b"anything", &forged)
                .is_ok()
        );
        let mut refused = vec![[0; 32], identity];
        refused.extend(SMALL_ORDER);
        // 0 and 1, encoded as p and p + 1, and the largest encoding.
        for last in [0xed, 0xee, 0xff] {
            let mut key = MINUS_ONE;
            key[0] = last;
            refused.push(key);
        }
        for mut key in refused {
            assert!(SignKey::from_bytes(&key).is_none(), "{key:?}");
            key[31] |= 0x80;
            assert!(SignKey::from_bytes(&key).is_none(), "{key:?}");
        }
        assert!(SignKey::from_bytes(&[2; 31]).is_none() && SignKey::from_bytes(&[2; 33]).is_none());
    }
}
