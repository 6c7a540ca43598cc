//! `srv=chatserver&api=chatlogin`: the one API that needs no signature.
//!
//! Its types are generic over what they hold of a secret: a client sends a [`Credential`], and of that
//! the server parses a [`SecretHash`], so that no code of the server ever sees the secret itself.

use serde::{Deserialize, Serialize};

use super::field::given;
use crate::{
    key::{Credential, PublicKey, SecretHash},
    text::{Email, EncryptedKey, FullName, Nick},
};

/// The actions of this API.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action<Secret = SecretHash> {
    /// Page "Login": lets a user in and binds the station to them.
    Login {
        /// The user's apikey.
        apikey: Secret,
    },
    /// Ours: a new user, where the operator lets people register.
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
    /// An invitation's code, where the operator asks for one.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub invite: Option<Secret>,
}
