//! Data that a server, or a participant of a conversation, may send to a client: it is either
//! refused or parsed correctly, and never causes a panic.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use parlance_client::e2ee::{
    Announcement, Body, Card, Code, Envelope, EpochSecret, FileReference, Invitation, KeyLog,
    Owner, RecoveryKey, Root, Sealed, ServerId, SignKey, SignedAnnouncement, SignedCard,
    SigningKey, Slot, Vault, file::Opener, open_published,
};
use parlance_wire::{
    e2ee::{LOG_ENTRY_LEN, LogEntry, LogHead, SignedLogHead, Tree, lp},
    id::{ConversationId, MessageId, StationId, UserId},
    text::{EncryptedKey, Instance},
    time::Timestamp,
};
use url::Url;

const SECRET: [u8; 32] = [0x20; 32];

/// A card, alone or with its signatures.
pub(super) fn card(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(card) = Card::parse(text) {
        assert_eq!(card.text(), text);
        let next = card.next(card.sign(), card.rsa()).expect("a next card");
        assert_eq!((next.prev(), next.user()), (Some(card.hash()), card.user()));
    }
    if let Ok(signed) = serde_json::from_str::<SignedCard>(text) {
        let _ = signed.verify_sign();
        let again = serde_json::to_string(&signed).expect("JSON");
        assert_eq!(
            serde_json::from_str::<SignedCard>(&again).expect("a card"),
            signed
        );
    }
    assert!(Code::parse(text).is_none_or(|code| code.to_text() == text));
}

/// An announcement of an epoch, alone or with its signature; or a head of the key log.
pub(super) fn announcement(data: &[u8]) {
    let server_key = SignKey::from_bytes(&[2; 32]).expect("a key");
    let user = UserId::parse("d574638619cbff603bf857164c47e850").expect("an id");
    let server = ServerId::parse("000102030405060708090a0b0c0d0e0f").expect("an id");
    let mut log = KeyLog::new(server, server_key);
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(announcement) = Announcement::parse(text) {
            assert_eq!(announcement.text(), text);
            assert!(!announcement.follows(&announcement));
        }
        if let Ok(signed) = serde_json::from_str::<SignedAnnouncement>(text) {
            assert_eq!(
                Announcement::parse(signed.announcement.text()).expect("one"),
                signed.announcement
            );
        }
        if let Ok(head) = LogHead::parse(text) {
            assert_eq!(head.text(), text);
        }
        if let Ok(head) = serde_json::from_str::<SignedLogHead>(text) {
            // The fuzzer does not have the private key.
            assert!(log.follow(&[], &head, user, &[].into()).is_err());
        }
    }
}

/// A message or a name: as text, as the plaintext by a writer who has the secret, and as a body.
pub(super) fn message(data: &[u8]) {
    let instance = Instance::parse("PqjfKSn7V8").expect("an instance");
    let envelope = Envelope {
        conversation: ConversationId::parse("8ca16186c36a4e0a1ef2096e6c60b613").expect("an id"),
        instance: &instance,
        id: MessageId::parse("fc2515cb-e483-4f64-936b-98f680565c96").expect("an id"),
        user: UserId::parse("d574638619cbff603bf857164c47e850").expect("an id"),
        station: StationId::parse("0123456789abcdef0123456789abcdef").expect("an id"),
        r#type: "Message",
    };
    let secret = EpochSecret::from_bytes(&SECRET);
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(open_published(&envelope, &secret, text).is_err());
        if let Ok(sealed) = Sealed::message(text) {
            assert!(sealed.open(&envelope, &secret, &[]).is_err());
        }
        if let Ok(sealed) = Sealed::name(text) {
            assert!(
                sealed
                    .open_name(envelope.conversation, &secret, |_| &[])
                    .is_err()
            );
        }
        if let Ok(body) = Body::parse(text)
            && let Ok(again) = body.to_text()
        {
            // Only unknown fields are gone.
            assert_eq!(Body::parse(&again).expect("a body"), body);
        }
    }
    let sealed = Sealed::message(&sealed(&envelope, &secret, data));
    assert!(sealed.is_err() || sealed.is_ok_and(|one| one.open(&envelope, &secret, &[]).is_err()));
}

/// These bytes as the plaintext of a message.
fn sealed(envelope: &Envelope<'_>, secret: &EpochSecret, plaintext: &[u8]) -> String {
    let instance = envelope.instance.as_str().as_bytes();
    let salt = [envelope.conversation.as_bytes().as_slice(), instance].concat();
    let mut key = [0; 32];
    Salt::new(HKDF_SHA256, &salt)
        .extract(secret.as_bytes())
        .expand(
            &[
                b"parlance message key 1\n",
                envelope.user.as_bytes(),
                envelope.station.as_bytes(),
            ],
            HKDF_SHA256,
        )
        .and_then(|okm| okm.fill(&mut key))
        .expect("a key");
    let epoch = 1_u32.to_be_bytes();
    let parts = lp(&[
        envelope.conversation.as_bytes(),
        instance,
        envelope.id.as_bytes(),
        envelope.user.as_bytes(),
        envelope.station.as_bytes(),
        envelope.r#type.as_bytes(),
        &epoch,
        &secret.kid(),
    ])
    .expect("short parts");
    let aad = [b"parlance message 1\n".as_slice(), &parts].concat();
    let mut ciphertext = plaintext.to_vec();
    // Padded to the next valid size of a plaintext.
    ciphertext.resize(plaintext.len().max(256).next_power_of_two(), 0);
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).expect("a key"))
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key([0; 12]),
            Aad::from(aad),
            &mut ciphertext,
        )
        .expect("a ciphertext");
    STANDARD.encode(
        [
            b"P\x01".as_slice(),
            &epoch,
            &secret.kid(),
            &[0; 12],
            &ciphertext,
        ]
        .concat(),
    )
}

/// A vault from the server; or a recovery key that someone has typed.
pub(super) fn vault(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let owner = Owner {
        server: ServerId::parse("000102030405060708090a0b0c0d0e0f").expect("an id"),
        user: UserId::parse("d574638619cbff603bf857164c47e850").expect("an id"),
    };
    if let Some(key) = EncryptedKey::parse(text)
        && let Ok(vault) = Vault::parse(&key)
    {
        assert_eq!(vault.to_key().expect("a vault"), key);
        let root = Root::from_bytes(&SECRET);
        for slot in [Slot::Password, Slot::Recovery] {
            assert!(vault.master(&owner, slot, &root).is_err());
        }
    }
    if let Ok(key) = RecoveryKey::parse(text) {
        let again = RecoveryKey::parse(&key.to_text()).expect("a key");
        assert_eq!(*again.to_text(), *key.to_text());
    }
}

/// The entries of a key log, whose head the server has signed.
pub(super) fn log(data: &[u8]) {
    let server = ServerId::parse("000102030405060708090a0b0c0d0e0f").expect("an id");
    let user = UserId::parse("d574638619cbff603bf857164c47e850").expect("an id");
    let key = SigningKey::from_seed(&SECRET).expect("a key");
    let mut tree = Tree::default();
    for entry in data.as_chunks::<LOG_ENTRY_LEN>().0 {
        tree.append(LogEntry::from_bytes(entry).leaf());
    }
    let time = Timestamp::parse("2026-11-24 12:00:00").expect("a time");
    let head = LogHead::new(server, &tree, time).expect("a head");
    let signature = key.sign(&head.signed_text()).expect("a signature");
    let head = SignedLogHead { head, signature };
    let mut log = KeyLog::new(server, key.public());
    if log.follow(data, &head, user, &[].into()).is_err() {
        assert_eq!(log, KeyLog::new(server, key.public()));
        return;
    }
    let entries: Vec<u8> = log.entries().iter().flat_map(LogEntry::to_bytes).collect();
    assert_eq!(entries, data);
    let kept = serde_json::to_string(&log).expect("JSON");
    assert_eq!(serde_json::from_str::<KeyLog>(&kept).expect("a log"), log);
}

/// A message's reference to a file, on the first line, the bytes that a server says it has of it, on
/// the second one, and its first record.
pub(super) fn file(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let (reference, stored, record) = (part(), part(), part());
    let (Ok(reference), Ok(stored)) = (
        serde_json::from_slice::<FileReference>(reference),
        serde_json::from_slice(stored),
    ) else {
        return;
    };
    let Ok(mut opener) = Opener::new(&reference, stored) else {
        return;
    };
    assert!(reference.size <= stored);
    let mut record = record.to_vec();
    if opener.open(&mut record).is_ok() {
        assert!(record.len() as u64 <= reference.size);
    }
    let _ = opener.finish();
}

/// The link of an invitation.
pub(super) fn link(data: &[u8]) {
    let text = std::str::from_utf8(data).unwrap_or_default();
    let Ok(link) = Url::parse(text) else {
        return;
    };
    if let Ok(invitation) = Invitation::parse(&link) {
        let again = Invitation::parse(&invitation.link(&link)).expect("a link");
        assert_eq!(again.secret(), invitation.secret());
        assert_eq!((again.from, again.card), (invitation.from, invitation.card));
        assert_eq!(again.name, invitation.name);
        assert_eq!(again.code.reveal(), invitation.code.reveal());
    }
}
