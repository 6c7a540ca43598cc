//! A server: its address, registration and login.

use std::{fmt, sync::Arc};

use parlance_wire::{
    id::{StationId, UserId},
    kdf::Kdf,
    key::{Credential, PublicKey},
    request::{
        Api,
        login::{Action, ClientAction, Register},
    },
    text::{Email, FullName, Nick},
};
use url::Url;

use crate::{
    answer,
    call::Call,
    error::Error,
    keys::{self, Account, KeyPair},
    retry::Retry,
    session::Session,
    signing::Identity,
};

/// A server: its address, connections and retries. Clones share their connections.
#[derive(Clone)]
pub struct Server {
    pub(crate) http: reqwest::Client,
    pub(crate) url: Url,
    pub(crate) retry: Retry,
}

/// A user to register.
#[derive(Debug, Clone)]
pub struct NewUser<'a> {
    /// Their e-mail address, from which their id is derived.
    pub email: &'a str,
    /// Their full name.
    pub fullname: &'a str,
    /// The short name that others see.
    pub nick: &'a str,
    /// An invitation's code, if the operator requires one.
    pub invite: Option<&'a str>,
}

impl Server {
    /// The server at this address, with the default retries.
    ///
    /// # Errors
    /// `Invalid`, if it is not an address of `http` or `https`.
    pub fn new(url: &str) -> Result<Self, Error> {
        Self::with_retry(url, Retry::default())
    }

    /// The server at this address.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn with_retry(url: &str, retry: Retry) -> Result<Self, Error> {
        let url = Url::parse(url).map_err(|_| Error::Invalid("the server's address"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::Invalid("the server's address"));
        }
        let http = reqwest::Client::builder()
            // Per attempt, not for the whole call.
            .timeout(retry.timeout)
            // A redirected request would have the wrong signature.
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { http, url, retry })
    }

    /// Registers a person with a password, and generates their keys. Takes a second, as generating and encrypting
    /// keys is slow.
    pub async fn register(&self, user: &NewUser<'_>, password: &str) -> Result<UserId, Error> {
        let email = Email::parse(user.email).ok_or(Error::Invalid("the e-mail address"))?;
        let account = Account::of_person(&email, password)?;
        self.register_account(user, account).await
    }

    /// Registers a user with existing keys.
    pub async fn register_account(
        &self,
        user: &NewUser<'_>,
        account: Account,
    ) -> Result<UserId, Error> {
        let invite = user
            .invite
            .map(|code| Credential::new(code.to_owned()).ok_or(Error::Invalid("the invitation")))
            .transpose()?;
        let register = Register {
            email: Email::parse(user.email).ok_or(Error::Invalid("the e-mail address"))?,
            fullname: FullName::parse(user.fullname).ok_or(Error::Invalid("the full name"))?,
            nick: Nick::parse(user.nick).ok_or(Error::Invalid("the short name"))?,
            publickey: PublicKey::parse(account.pair.public_key())
                .ok_or(Error::Invalid("the public key"))?,
            apikey: account.apikey,
            rsakey: account.encrypted_private_key,
            invite,
            kdf: Kdf::Pbkdf2,
            recoverykey: None,
            card: None,
        };
        self.send_register(register).await
    }

    pub(crate) async fn send_register(
        &self,
        register: Register<Credential>,
    ) -> Result<UserId, Error> {
        let action = Action::Register(Box::new(register));
        // Not repeated if the answer is lost: the second attempt would find the address taken.
        let answer: answer::Registered = Call::new(self, Api::Login, &action).once().send().await?;
        Ok(answer.userid)
    }

    /// How the password of the user with this address is turned into a key. The server also answers
    /// for addresses without a user.
    pub async fn prelogin(&self, email: &str) -> Result<answer::Prelogin, Error> {
        self.send_prelogin(email, None).await
    }

    /// With the station, the server answers a known one although others at the same address have
    /// asked too often.
    pub(crate) async fn send_prelogin(
        &self,
        email: &str,
        station: Option<StationId>,
    ) -> Result<answer::Prelogin, Error> {
        let email = Email::parse(email).ok_or(Error::Invalid("the e-mail address"))?;
        let action: ClientAction = Action::Prelogin { email };
        let call = Call::new(self, Api::Login, &action);
        match station {
            Some(station) => call.station(station).send().await,
            None => call.send().await,
        }
    }

    /// Logs a person in at a station. The password is enough: everything else is derived from it or comes from the
    /// server.
    pub async fn login(
        &self,
        email: &str,
        password: &str,
        station: StationId,
    ) -> Result<Session, Error> {
        let email = Email::parse(email).ok_or(Error::Invalid("the e-mail address"))?;
        // On this thread: it takes a tenth of a second, once per login.
        let apikey = keys::apikey(&email, password);
        let user = Some(UserId::of(&email));
        self.log_in(apikey, password, user, station).await
    }

    /// Logs a service in. Its apikey also decrypts its private key.
    pub async fn login_service(&self, apikey: &str, station: StationId) -> Result<Session, Error> {
        self.log_in(apikey.to_owned(), apikey, None, station).await
    }

    async fn log_in(
        &self,
        apikey: String,
        password: &str,
        user: Option<UserId>,
        station: StationId,
    ) -> Result<Session, Error> {
        let apikey = Credential::new(apikey).ok_or(Error::Invalid("the apikey"))?;
        let login = self.send_login(apikey, user, station).await?;
        let pair = KeyPair::decrypt(&login.rsakey, password)?;
        let identity = Identity {
            user: login.userid,
            station,
            pair: Arc::new(pair),
        };
        Ok(Session::new(self.clone(), identity, login))
    }

    /// Logs in with an apikey. With the user, the server counts wrong ones in that user's name, and
    /// lets a known station in although others have guessed.
    pub(crate) async fn send_login(
        &self,
        apikey: Credential,
        user: Option<UserId>,
        station: StationId,
    ) -> Result<answer::Login, Error> {
        let action = Action::Login {
            apikey,
            stationname: None,
        };
        // Safe to repeat: a second login binds the same station again.
        let call = Call::new(self, Api::Login, &action).station(station);
        match user {
            Some(user) => call.user(user).send().await,
            None => call.send().await,
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.url)
    }
}
