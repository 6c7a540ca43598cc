//! The chain of docs/transcript.md, computed by separate code.

use aws_lc_rs::digest::{Context, SHA256};

use super::form::Id;

pub(super) type Hash = [u8; 32];

/// The SHA-256 of several parts, concatenated.
pub(super) fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = Hash::default();
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// The beginning of a conversation's chain.
pub(super) fn beginning(conversation: Id, instance: &str) -> Hash {
    sha256(&[&conversation.to_be_bytes(), instance.as_bytes()])
}

/// The chain with one more message.
// Not the code of `parlance-wire`, which the server uses: a mistake in that would agree with itself.
pub(super) fn link(before: &Hash, seq: i64, message: Id, data_hash: &Hash) -> Hash {
    sha256(&[
        before,
        &seq.to_be_bytes(),
        &message.to_be_bytes(),
        data_hash,
    ])
}

/// Reads 64 hex digits.
pub(super) fn read(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    hex::decode_to_slice(text, &mut hash).ok()?;
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selftest::form::{read_dashed, read_plain};

    #[test]
    fn the_documented_vector_comes_out() {
        let document = include_str!("../../docs/transcript.md");
        let shown = |hash: &Hash| document.contains(&format!("`{}`", hex::encode(hash)));
        let mut chain = beginning(
            read_plain("8ca16186c36a4e0a1ef2096e6c60b613").unwrap(),
            "PqjfKSn7V8",
        );
        assert!(shown(&chain));
        for (seq, id, data) in [
            (1, "fc2515cb-e483-4f64-936b-98f680565c96", "SGVsbG8="),
            (3, "e64fa984-9b2c-4d32-a965-a1faca1d5b83", "V29ybGQ="),
        ] {
            chain = link(
                &chain,
                seq,
                read_dashed(id).unwrap(),
                &sha256(&[data.as_bytes()]),
            );
            assert!(shown(&chain));
        }
    }
}
