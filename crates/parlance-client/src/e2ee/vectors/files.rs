//! Files: their records and digests, and everything that must not be taken for one.

use base64::{Engine, engine::general_purpose::STANDARD};
use parlance_wire::{
    e2ee::sha256,
    id::FileId,
    request::file::{FileDigest, RECORD},
};
use serde_json::{Value, json};

use super::case;
use crate::e2ee::{
    Error, FileReference,
    file::{FileKey, Opener, RECORD_CONTENT, padded, seal_as},
};

/// The sealed records of a case: content is byte i = i · step modulo 251, and zeros as padding.
fn seal(case: &Value, key: &FileKey) -> Vec<Vec<u8>> {
    let number = |name: &str| usize::try_from(case[name].as_u64().unwrap()).unwrap();
    let (length, step) = (number("length"), number("step"));
    let mut content: Vec<u8> = (0..length)
        .map(|i| u8::try_from(i * step % 251).unwrap())
        .collect();
    if case["padded"] == true {
        content.resize(usize::try_from(padded(length as u64)).unwrap(), 0);
    }
    let mut records: Vec<Vec<u8>> = content.chunks(RECORD_CONTENT).map(<[u8]>::to_vec).collect();
    if records.is_empty() {
        records.push(vec![]);
    }
    let count = records.len();
    for (number, record) in records.iter_mut().enumerate() {
        // Sealed as the last one, although it is not.
        let is_last = number + 1 == count || case["lasttoo"] == number;
        seal_as(key, u32::try_from(number).unwrap(), is_last, record).unwrap();
    }
    records
}

fn check(case: &Value) -> Result<Value, Error> {
    let mut key = [0; 32];
    hex::decode_to_slice(case["key"].as_str().unwrap(), &mut key).unwrap();
    let records = seal(case, &FileKey::from_bytes(&key));
    let hashes: Vec<[u8; 32]> = records.iter().map(|record| sha256(&[record])).collect();
    let digest = FileDigest::of(&hashes.concat());
    if let Some(openkey) = case.get("openkey") {
        hex::decode_to_slice(openkey.as_str().unwrap(), &mut key).unwrap();
    }
    let reference = FileReference {
        id: FileId::random(),
        name: "a file".into(),
        mime: "application/octet-stream".into(),
        size: case
            .get("size")
            .unwrap_or(&case["length"])
            .as_u64()
            .unwrap(),
        records: records.len() as u64,
        key: STANDARD.encode(key),
        digest: case
            .get("digest")
            .map_or_else(|| digest.to_string(), |text| text.as_str().unwrap().into()),
        w: None,
        h: None,
        ms: None,
        thumb: None,
        wave: None,
    };
    let stored: usize = records.iter().map(Vec::len).sum();
    // What a server hands out.
    let order: Vec<usize> = case.get("order").map_or_else(
        || (0..records.len()).collect(),
        |order| serde_json::from_value(order.clone()).unwrap(),
    );
    let mut served: Vec<Vec<u8>> = order.iter().map(|n| records[*n].clone()).collect();
    if let Some(flipped) = case.get("flipped") {
        let [record, byte]: [usize; 2] = serde_json::from_value(flipped.clone()).unwrap();
        served[record][byte] ^= 1;
    }
    let total: usize = served.iter().map(Vec::len).sum();
    let mut opener = Opener::new(&reference, total as u64)?;
    let mut content = vec![];
    for mut record in served {
        opener.open(&mut record)?;
        content.extend(record);
    }
    opener.finish()?;
    Ok(json!({
        "records": records.len(),
        "stored": stored,
        "hashes": hashes.iter().map(hex::encode).collect::<Vec<_>>(),
        "digest": digest,
        "content": hex::encode(sha256(&[&content])),
    }))
}

pub(super) fn cases() -> Value {
    let key: String = hex::encode((0..32).collect::<Vec<u8>>());
    let of = |length: usize, step: usize, padded: bool, more: Value| {
        let mut case = json!({ "key": key, "length": length, "step": step, "padded": padded });
        case.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        case
    };
    let two = 300_000;
    let full = 2 * RECORD_CONTENT;
    let none = || json!({});
    let cases = [
        ("good: an empty file", of(0, 0, true, none())),
        ("good: zeros, without padding", of(two, 0, false, none())),
        ("good: with padding", of(two, 1, true, none())),
        ("good: a byte", of(1, 1, true, none())),
        ("good: a whole record", of(RECORD_CONTENT, 1, false, none())),
        (
            "good: a byte more than a record",
            of(RECORD_CONTENT + 1, 1, false, none()),
        ),
        ("good: two whole records", of(full, 3, false, none())),
        (
            "good: a size below the content's, which is zeros",
            of(two, 0, false, json!({ "size": 100 })),
        ),
        (
            "the last record is missing",
            of(full, 1, false, json!({ "order": [0] })),
        ),
        (
            "two records swapped",
            of(full, 1, false, json!({ "order": [1, 0] })),
        ),
        (
            "a record in the place of another",
            of(full, 1, false, json!({ "order": [0, 0] })),
        ),
        (
            "a record twice",
            of(full, 1, false, json!({ "order": [0, 0, 1] })),
        ),
        (
            "a record that is not the last one says that it is",
            of(full, 1, false, json!({ "lasttoo": 0 })),
        ),
        (
            "a bit of the content flipped",
            of(two, 1, true, json!({ "flipped": [1, 5] })),
        ),
        (
            "a bit of a tag flipped",
            of(two, 1, true, json!({ "flipped": [0, RECORD - 1] })),
        ),
        (
            "another key",
            of(two, 1, true, json!({ "openkey": "ff".repeat(32) })),
        ),
        (
            "another digest",
            of(two, 1, true, json!({ "digest": "ff".repeat(32) })),
        ),
        (
            "a size beyond the content",
            of(two, 1, false, json!({ "size": two + 1 })),
        ),
        (
            "padding that is not zeros",
            of(two, 1, false, json!({ "size": two - 1 })),
        ),
    ];
    let cases = cases.map(|(name, input)| case(check, name, &input));
    json!({
        "about": "Files. Content is byte i = i · step modulo 251, length bytes, with padding if padded says so. The sealed records, and what a reader makes of them: \
                  order: the records that a server hands out; flipped: a record and a byte whose lowest bit is changed; lasttoo: this record is sealed with the last one's flag, too; \
                  openkey, size, digest: what the message says instead. content: SHA-256 of what is read.",
        "cases": cases,
    })
}
