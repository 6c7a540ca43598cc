//! Accounts with a vault: a password or a recovery key opens them, and everything else comes from
//! the server (docs/e2ee.md, Vault).

mod replace;
mod restored;
mod vault;

use std::{collections::BTreeMap, fmt, sync::Arc};

use aws_lc_rs::rand;
use parlance_wire::{
    id::{StationId, UserId},
    kdf,
    key::{Credential, PublicKey},
    request::login::Register,
    text::{Email, FullName, Nick},
};

use crate::{
    e2ee::{
        self, Contents, Kdf, Master, Owner, RecoveryKey, Root, SigningKey, Slot, State, Vault,
        first_card,
    },
    error::{Error, ErrorCode},
    keys::{KeyError, KeyPair},
    server::{NewUser, Server},
    session::Session,
};

/// What opens an account with a vault.
#[derive(Clone, Copy)]
pub enum Unlock<'a> {
    /// The user's password.
    Password(&'a str),
    /// The printed key, if the password is lost. It is replaced together with the password
    /// ([`Unlocked::replace_password`]).
    Recovery(&'a RecoveryKey),
}

/// A user of an account with a vault, logged in at a station. `Debug` does not show the keys.
///
/// ```no_run
/// use parlance_client::{Server, StationId, Unlock, e2ee::State};
///
/// # async fn run(server: Server, station: StationId) -> Result<(), Box<dyn std::error::Error>> {
/// let file = "state.json".as_ref();
/// let known = State::load(file)?;
/// let seen = known.as_ref().map_or(0, |state| state.vault_version);
/// let key = Unlock::Password("a long password");
/// let mut ann = server.unlock("ann@example.org", key, station, seen).await?;
/// let mut state = match known {
///     Some(state) => state,
///     None => ann.begin_state().await?,
/// };
/// // What other stations know of contacts, and how far they have read; and what this one does.
/// ann.save_to_vault(&mut state).await?;
/// state.save(file)?;
/// # Ok(())
/// # }
/// ```
pub struct Unlocked {
    /// The session, which signs with the keys of the vault.
    pub session: Session,
    /// The key that signs cards, epochs and messages.
    pub sign: SigningKey,
    owner: Owner,
    vault: Vault,
    master: Master,
    contents: Contents,
}

impl fmt::Debug for Unlock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the password.
        f.write_str(match self {
            Self::Password(_) => "Password",
            Self::Recovery(_) => "Recovery",
        })
    }
}

impl fmt::Debug for Unlocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unlocked({:?})", self.session)
    }
}

/// Accounts with a vault.
impl Server {
    /// Registers a person with a password, new keys in a vault, and their first card. Returns the
    /// recovery key, to be printed: the only other way in, if the password is lost. Takes some
    /// seconds, as generating keys and hashing passwords is slow.
    ///
    /// # Errors
    /// `AlreadyExists`; `LoginFailed`: the invitation is not valid.
    pub async fn register_with_vault(
        &self,
        user: &NewUser<'_>,
        password: &str,
    ) -> Result<RecoveryKey, Error> {
        let email = Email::parse(user.email).ok_or(Error::Invalid("the e-mail address"))?;
        // Asked first, as keys and the vault are bound to the server's id.
        let owner = Owner {
            server: self.prelogin(user.email).await?.server,
            user: UserId::of(&email),
        };
        let (pair, sign) = (KeyPair::generate_3072()?, SigningKey::generate()?);
        let contents = Contents {
            rsa: copy(&pair)?,
            earlier: vec![],
            sign: SigningKey::from_seed(sign.seed())?,
            pins: BTreeMap::new(),
            heads: BTreeMap::new(),
        };
        let (kdf, root) = new_password(password)?;
        let recovery = RecoveryKey::generate()?;
        let master = Master::generate()?;
        let vault = Vault::new(&owner, &master, &root, &recovery.root(), &contents)?;
        // Somebody may have had the address before: their last card is followed.
        let mut before = None;
        loop {
            let invite = user
                .invite
                .map(|code| {
                    Credential::new(code.to_owned()).ok_or(Error::Invalid("the invitation"))
                })
                .transpose()?;
            let register = Register {
                email: email.clone(),
                fullname: FullName::parse(user.fullname).ok_or(Error::Invalid("the full name"))?,
                nick: Nick::parse(user.nick).ok_or(Error::Invalid("the short name"))?,
                apikey: root.apikey(&owner)?,
                publickey: PublicKey::parse(pair.public_key())
                    .ok_or(Error::Invalid("the public key"))?,
                rsakey: vault.to_key()?,
                kdf: kdf.clone(),
                recoverykey: Some(recovery.root().apikey(&owner)?),
                card: Some(first_card(
                    email.clone(),
                    owner.server,
                    &sign,
                    &pair,
                    before,
                )?),
                invite,
            };
            match self.send_register(register).await {
                // Once: a server could name another card for ever.
                Err(Error::Refused(refusal))
                    if refusal.code == ErrorCode::StaleCard
                        && before.is_none()
                        && refusal.card.is_some() =>
                {
                    before = refusal.card.map(|card| *card);
                }
                done => return done.map(|_| recovery),
            }
        }
    }

    /// Logs in at a station with the password or the recovery key, and opens the vault. `seen` is
    /// the highest version of it that this station has seen ([`Unlocked::vault_version`]), or 0.
    ///
    /// # Errors
    /// `LoginFailed`: another password, or a recovery key that was replaced. `Encryption`: the
    /// vault is not the user's; `OldVault`. `Malformed`: an account of the published form.
    pub async fn unlock(
        &self,
        email: &str,
        key: Unlock<'_>,
        station: StationId,
        seen: u64,
    ) -> Result<Unlocked, Error> {
        let before = self.send_prelogin(email, Some(station)).await?;
        let email = Email::parse(email).ok_or(Error::Invalid("the e-mail address"))?;
        let owner = Owner {
            server: before.server,
            user: UserId::of(&email),
        };
        let (slot, root) = match key {
            Unlock::Password(password) => (
                Slot::Password,
                Root::of_password(password, &kdf_of(&before.kdf))?,
            ),
            Unlock::Recovery(key) => (Slot::Recovery, key.root()),
        };
        let login = self
            .send_login(root.apikey(&owner)?, Some(owner.user), station)
            .await?;
        let vault = Vault::parse(&login.rsakey)?;
        let master = vault.master(&owner, slot, &root)?;
        let contents = vault.open(&owner, &master, seen)?;
        let earlier = contents.earlier.iter().map(copy);
        let session = Session::new(
            self.clone(),
            crate::signing::Identity {
                // By the address that was typed in, and not by what the server answers.
                user: owner.user,
                station,
                pair: Arc::new(copy(&contents.rsa)?),
            },
            login,
        )
        .with_vault(earlier.collect::<Result<_, _>>()?, contents.sign.public());
        Ok(Unlocked {
            session,
            sign: SigningKey::from_seed(contents.sign.seed())?,
            owner,
            vault,
            master,
            contents,
        })
    }
}

impl Unlocked {
    /// The state of a station that has none yet. The server's key is trusted on first use, and
    /// contacts are as the vault marks them, also those who have renewed their keys since; one who has
    /// another identity is to be accepted first ([`Pins::accept`](e2ee::Pins::accept)). Of one whose account was deleted,
    /// nothing is known. The next [`read`](Session::read) of each conversation has to come to the
    /// message that the vault names. Afterwards, [`save_to_vault`](Self::save_to_vault) writes the vault.
    ///
    /// # Errors
    /// `Encryption`: the log is not valid; `NotMyCard`: the newest card of the user's is not of
    /// these keys; `UnknownSigner`: the server shows none; `DifferentCard`: a contact's card is not
    /// the one in the vault, or its successor.
    pub async fn begin_state(&self) -> Result<State, Error> {
        let mut state = self.session.begin_key_log().await?;
        state.vault_version = self.vault.version();
        self.session
            .meet(&mut state, &[self.owner.user].into())
            .await?;
        let own = state.pins.cards(self.owner.user).last();
        let own = own.ok_or(e2ee::Error::UnknownSigner(self.owner.user))?;
        let pair = e2ee::public_key(&self.contents.rsa)?.hash();
        if own.sign() != self.sign.public() || own.rsa() != pair {
            return Err(e2ee::Error::NotMyCard(own.n()).into());
        }
        self.merge_contents(&mut state).await?;
        Ok(state)
    }

    /// The version of the vault as this station knows it, for the next
    /// [`unlock`](Server::unlock): an older one is refused then.
    #[must_use]
    pub fn vault_version(&self) -> u64 {
        self.vault.version()
    }
}

/// A copy of a pair, because each owner keeps its own.
fn copy(pair: &KeyPair) -> Result<KeyPair, KeyError> {
    KeyPair::from_pkcs8(pair.to_pkcs8()?.as_ref())
}

/// How a new password is hashed, and the result.
fn new_password(password: &str) -> Result<(kdf::Kdf, Root), Error> {
    let mut salt = [0; kdf::SALT_BYTES];
    rand::fill(&mut salt).map_err(|_| KeyError::Random)?;
    let invalid = || Error::Invalid("the cost of the password's hash");
    let kdf = kdf::Kdf::Argon2id {
        m: kdf::Memory::new(65_536).ok_or_else(invalid)?,
        t: kdf::Passes::new(3).ok_or_else(invalid)?,
        p: kdf::Lanes::new(1).ok_or_else(invalid)?,
        salt: kdf::Salt::new(salt),
    };
    let root = Root::of_password(password, &kdf_of(&kdf))?;
    Ok((kdf, root))
}

fn kdf_of(kdf: &kdf::Kdf) -> Kdf {
    match kdf {
        kdf::Kdf::Pbkdf2 => Kdf::Pbkdf2,
        kdf::Kdf::Argon2id { m, t, p, salt } => Kdf::Argon2id {
            m: m.get(),
            t: t.get(),
            p: p.get(),
            salt: format!("{salt:?}"),
        },
    }
}
