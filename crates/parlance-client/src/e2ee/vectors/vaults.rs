//! The vault: opened with the password or the recovery key, and everything that must not open it.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use parlance_wire::{e2ee::canonical, id::UserId, text::EncryptedKey};
use serde_json::{Value, json};

use super::{
    case,
    check::field,
    people::{conversation, people, server},
};
use crate::{
    e2ee::{Contents, Error, Kdf, Mark, Master, Owner, RecoveryKey, Root, Slot, Vault, VaultPin},
    keys::KeyPair,
};

/// Begins with full-width letters, which NFKC maps to `correct`.
const PASSWORD: &str = "ｃｏｒｒｅｃｔ horse battery staple ﬁ";

fn check(case: &Value) -> Result<Value, Error> {
    let owner = Owner {
        server: field(case, "server")?,
        user: field(case, "user")?,
    };
    let mut root = [0; 32];
    let (slot, root) = match (case.get("recovery"), case.get("password"), case.get("root")) {
        (Some(recovery), ..) => (
            Slot::Recovery,
            RecoveryKey::parse(recovery.as_str().unwrap())?.root(),
        ),
        (_, Some(password), _) => {
            let kdf: Kdf = field(case, "kdf")?;
            let root = Root::of_password(password.as_str().unwrap(), &kdf)?;
            (Slot::Password, root)
        }
        (.., root_hex) => {
            hex::decode_to_slice(root_hex.unwrap().as_str().unwrap(), &mut root).unwrap();
            (Slot::Password, Root::from_bytes(&root))
        }
    };
    let key = EncryptedKey::parse(case["rsakey"].as_str().unwrap()).unwrap();
    let vault = Vault::parse(&key)?;
    let master = vault.master(&owner, slot, &root)?;
    let contents = vault.open(&owner, &master, field(case, "seen")?)?;
    Ok(json!({
        "apikey": root.apikey(&owner)?.reveal(),
        "version": vault.version(),
        "sign": contents.sign.public(),
        "publickey": contents.rsa.public_key(),
        "pins": contents.pins,
        "heads": contents.heads,
    }))
}

pub(super) fn cases() -> Value {
    let [ann, ben, _] = people();
    let owner = Owner {
        server: server(),
        user: ann.user,
    };
    let kdf = Kdf::new(&[0x5a; 16]);
    let password = Root::of_password(PASSWORD, &kdf).unwrap();
    let recovery = RecoveryKey::from_bytes(&[0xc3; 32]);
    let master = Master::from_bytes(&[0x77; 32]);
    let pin = VaultPin(ben.card.card.hash(), 1, Mark::Verified);
    let contents = Contents {
        rsa: KeyPair::from_pkcs8(ann.rsa.to_pkcs8().unwrap().as_ref()).unwrap(),
        earlier: Vec::new(),
        sign: ann.sign,
        pins: BTreeMap::from([(ben.user, pin)]),
        heads: BTreeMap::from([(conversation(), (3, "13".repeat(32)))]),
    };
    let roots = (&password, &recovery.root());
    let vault = Vault::sealed(
        &owner,
        &master,
        roots,
        &contents,
        [[1; 12], [2; 12], [3; 12]],
    )
    .unwrap();
    let rsakey = vault.to_key().unwrap();
    let earlier = Contents {
        rsa: KeyPair::from_pkcs8(ann.rsa.to_pkcs8().unwrap().as_ref()).unwrap(),
        earlier: vec![ben.rsa],
        ..contents
    };
    let earlier = Vault::sealed(
        &owner,
        &master,
        roots,
        &earlier,
        [[1; 12], [2; 12], [3; 12]],
    );
    let earlier = earlier.unwrap().to_key().unwrap();
    let root = hex::encode(password.as_bytes());
    let with = |changes: Value| {
        let mut input = json!({
            "server": owner.server, "user": owner.user, "root": root, "rsakey": rsakey.as_str(), "seen": 0,
        });
        let fields = input.as_object_mut().unwrap();
        fields.extend(changes.as_object().unwrap().clone());
        input
    };
    let tampered = |change: &dyn Fn(&mut Value)| {
        let text = rsakey.as_str().strip_prefix("parlance-vault:1:").unwrap();
        let mut value = serde_json::from_slice(&STANDARD.decode(text).unwrap()).unwrap();
        change(&mut value);
        let text = STANDARD.encode(canonical::write(&value).unwrap());
        with(json!({ "rsakey": format!("parlance-vault:1:{text}") }))
    };
    let flip = |text: &mut Value, at: usize| {
        let mut bytes = STANDARD.decode(text.as_str().unwrap()).unwrap();
        bytes[at] ^= 1;
        *text = STANDARD.encode(bytes).into();
    };
    let printed = recovery.to_text();
    let typed = printed.to_lowercase().replace(' ', "-");
    let swapped = tampered(&|vault| {
        let slots = &mut vault["slots"];
        let (password, recovery) = (slots["password"].take(), slots["recovery"].take());
        *slots = json!({ "password": recovery, "recovery": password });
    });
    let spaced = {
        let text = rsakey.as_str().strip_prefix("parlance-vault:1:").unwrap();
        let text = String::from_utf8(STANDARD.decode(text).unwrap()).unwrap();
        let text = STANDARD.encode(text.replacen(':', ": ", 1));
        with(json!({ "rsakey": format!("parlance-vault:1:{text}") }))
    };
    let by_password =
        |password: &str, kdf: Value| with(json!({ "password": password, "kdf": kdf }));
    let dear = json!(kdf);
    let mut cheap = dear.clone();
    cheap["m"] = json!(8192);
    let mut endless = dear.clone();
    endless["t"] = json!(1_000_000);
    let other = |user: UserId| with(json!({ "user": user }));
    let cases = [
        ("good: with the root", with(json!({}))),
        (
            "good: with the password",
            by_password(PASSWORD, dear.clone()),
        ),
        (
            "good: with the password as another keyboard writes it",
            by_password("correct horse battery staple fi", dear.clone()),
        ),
        (
            "good: with the recovery key, as it is typed",
            with(json!({ "recovery": typed })),
        ),
        ("good: a version that was seen", with(json!({ "seen": 1 }))),
        (
            "good: with a pair of before",
            with(json!({ "rsakey": earlier.as_str() })),
        ),
        ("another password", by_password("correct horse", dear)),
        (
            "a hash of the password that is cheap to guess",
            by_password(PASSWORD, cheap),
        ),
        (
            "a hash of the password that never ends",
            by_password(PASSWORD, endless),
        ),
        ("another root", with(json!({ "root": "00".repeat(32) }))),
        (
            "a recovery key with another letter",
            with(json!({ "recovery": printed.replacen('Y', "Z", 1) })),
        ),
        (
            "a recovery key that lacks a letter",
            with(json!({ "recovery": &printed[1..] })),
        ),
        (
            "a recovery key with bits to spare",
            with(json!({ "recovery": format!("{}B", &printed[..printed.len() - 1]) })),
        ),
        ("an old vault", with(json!({ "seen": 2 }))),
        (
            "an old vault that says it is newer",
            tampered(&|vault| vault["version"] = json!(2)),
        ),
        ("another user's", other(ben.user)),
        (
            "of another server",
            with(json!({ "server": "ff0102030405060708090a0b0c0d0e0f" })),
        ),
        ("the slots are swapped", swapped),
        (
            "a bit of the slot",
            tampered(&|vault| flip(&mut vault["slots"]["password"], 20)),
        ),
        (
            "a bit of the box",
            tampered(&|vault| flip(&mut vault["box"], 500)),
        ),
        (
            "a bit of the box's tag",
            tampered(&|vault| {
                let length = STANDARD
                    .decode(vault["box"].as_str().unwrap())
                    .unwrap()
                    .len();
                flip(&mut vault["box"], length - 1);
            }),
        ),
        (
            "a field that nobody knows",
            tampered(&|vault| vault["w"] = json!(1)),
        ),
        ("a space in it", spaced),
        (
            "a key of the published form",
            with(json!({ "rsakey": "-----BEGIN ENCRYPTED PRIVATE KEY-----" })),
        ),
    ];
    let cases = cases
        .into_iter()
        .map(|(name, input)| case(check, name, &input));
    json!({
        "about": "What the server hands out as rsakey, with what opens it: the root (hex), the password with what prelogin answered, or the recovery key. `seen` is the highest version that the station has seen. The master key is 77 32 times.",
        "cases": cases.collect::<Vec<_>>(),
    })
}
