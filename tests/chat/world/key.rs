//! Keys and signatures.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex},
};

use parlance_client::keys::KeyPair;

pub(crate) fn sign(key: &KeyPair, text: &str) -> String {
    key.sign(text.as_bytes()).unwrap()
}

/// The key of the person with this name, generated once.
pub(crate) fn key(name: &str) -> Arc<KeyPair> {
    static KEYS: LazyLock<Mutex<HashMap<String, Arc<KeyPair>>>> = LazyLock::new(Mutex::default);
    let mut keys = KEYS.lock().unwrap();
    keys.entry(name.to_owned())
        .or_insert_with(|| Arc::new(KeyPair::generate().unwrap()))
        .clone()
}

pub(crate) fn public_key(key: &KeyPair) -> String {
    key.public_key().to_owned()
}
