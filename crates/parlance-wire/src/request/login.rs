//! `srv=chatserver&api=chatlogin`, the requests without a signature; for the others see
//! [`account`](super::account).
//!
//! The types are generic over the representation of a secret: a client sends a [`Credential`], and
//! the server parses it as a [`SecretHash`], so that the secret itself never reaches its code.

use serde::{Deserialize, Serialize};

use super::field::given;
use crate::{
    e2ee::SignedCard,
    kdf::Kdf,
    key::{Credential, PublicKey, SecretHash},
    text::{Email, EncryptedKey, FullName, Nick, StationName},
};

/// Fields that older clients do not know. Their requests are read without them.
pub(super) const V4_FIELDS: [&str; 4] = ["stationname", "kdf", "recoverykey", "card"];

/// The actions of this API.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action<Secret = SecretHash> {
    /// Page "Login": logs a user in and binds the station to them.
    Login {
        /// The user's apikey.
        apikey: Secret,
        /// Ours, for v4 clients: the user's name for the station.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        stationname: Option<StationName>,
    },
    /// Ours, for v4 clients: returns how the password of the user with this address is turned into
    /// a key.
    Prelogin {
        /// The address, which need not belong to a user.
        email: Email,
    },
    /// Ours: registers a new user, if the operator allows registration.
    #[serde(bound(deserialize = "Secret: Deserialize<'de>"))]
    Register(Box<Register<Secret>>),
}

/// The actions as a client sends them.
pub type ClientAction = Action<Credential>;

/// The fields of `register`.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(bound(deserialize = "Secret: Deserialize<'de>"))]
pub struct Register<Secret = SecretHash> {
    /// The address, from which the user's id is derived.
    pub email: Email,
    /// The user's full name.
    pub fullname: FullName,
    /// The short name that others see.
    pub nick: Nick,
    /// The key that the user will log in with.
    pub apikey: Secret,
    /// The key that verifies the user's signatures.
    pub publickey: PublicKey,
    /// The private key, encrypted under the user's password.
    pub rsakey: EncryptedKey,
    /// How the apikey is derived from the password; absent for the published way. For v4 clients.
    #[serde(default)]
    pub kdf: Kdf,
    /// The key for logging in after the password was lost. For v4 clients.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub recoverykey: Option<Secret>,
    /// The user's first card. For v4 clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<SignedCard>,
    /// An invitation's code, if the operator requires one.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub invite: Option<Secret>,
}
