//! `srv=chatserver&api=chatlogin`, the part that needs no signature; [`account`](super::account) is the other one.
//!
//! Its types are generic over what they hold of a secret: a client sends a [`Credential`], and of that
//! the server parses a [`SecretHash`], so that no code of the server ever sees the secret itself.

use serde::{Deserialize, Serialize};

use super::field::given;
use crate::{
    e2ee::SignedCard,
    kdf::Kdf,
    key::{Credential, PublicKey, SecretHash},
    text::{Email, EncryptedKey, FullName, Nick, StationName},
};

/// The fields that older clients do not know: a request of theirs is read without them, whatever they hold.
pub(super) const V4_FIELDS: [&str; 4] = ["stationname", "kdf", "recoverykey", "card"];

/// The actions of this API.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action<Secret = SecretHash> {
    /// Page "Login": lets a user in and binds the station to them.
    Login {
        /// The user's apikey.
        apikey: Secret,
        /// Ours: what the user calls the station. Of a v4 client.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        stationname: Option<StationName>,
    },
    /// Ours, for v4 clients: how the password of the user with this address is made into a key.
    Prelogin {
        /// The address, which need not be a user's.
        email: Email,
    },
    /// Ours: a new user, where the operator lets people register.
    #[serde(bound(deserialize = "Secret: Deserialize<'de>"))]
    Register(Box<Register<Secret>>),
}

/// The actions as a client sends them.
pub type ClientAction = Action<Credential>;

/// The fields of `register`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "Secret: Deserialize<'de>"))]
pub struct Register<Secret = SecretHash> {
    /// The address that the user's id is made from.
    pub email: Email,
    /// The user's full name.
    pub fullname: FullName,
    /// The short name that others see.
    pub nick: Nick,
    /// The key that the user will log in with.
    pub apikey: Secret,
    /// The key that the user's signatures are checked with.
    pub publickey: PublicKey,
    /// The private key, encrypted under the user's password.
    pub rsakey: EncryptedKey,
    /// How the apikey is made from the password; absent, as published. Of a v4 client.
    #[serde(default)]
    pub kdf: Kdf,
    /// The key that logs the user in where the password is lost. Of a v4 client.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub recoverykey: Option<Secret>,
    /// The user's first card. Of a v4 client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<SignedCard>,
    /// An invitation's code, where the operator asks for one.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub invite: Option<Secret>,
}
