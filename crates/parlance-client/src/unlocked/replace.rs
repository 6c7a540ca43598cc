//! Replaces the password, the recovery key, and the keys.

use parlance_wire::request::account::ChangePassword;

use super::{Unlocked, copy, new_password, vault::version_of};
use crate::{
    e2ee::{self, Contents, Master, RecoveryKey, SigningKey, State, next_card},
    error::Error,
    keys::KeyPair,
};

impl Unlocked {
    /// Replaces the password, the recovery key and the vault's master key, and ends all other
    /// stations. Returns the new recovery key, to be printed. What the old ones opened, they still
    /// open in an old copy of the vault, and in no later one: after a theft, call this after
    /// [`replace_keys`](Self::replace_keys).
    ///
    /// # Errors
    /// `StaleVersion`: another station has changed the vault: unlock it again. If the answer is lost,
    /// it may have been done: unlock with the new password and call this once more, as nobody has
    /// the recovery key that the first call made.
    pub async fn replace_password(&mut self, password: &str) -> Result<RecoveryKey, Error> {
        let (kdf, root) = new_password(password)?;
        let recovery = RecoveryKey::generate()?;
        let (owner, contents) = (&self.owner, &self.contents);
        let master = Master::generate()?;
        let vault = self
            .vault
            .renew(owner, &master, &root, &recovery.root(), contents)?;
        self.session
            .change_password(ChangePassword {
                apikey: root.apikey(owner)?,
                kdf,
                rsakey: vault.to_key()?,
                version: version_of(&vault)?,
                recoverykey: Some(recovery.root().apikey(owner)?),
                card: None,
                signout: true,
            })
            .await?;
        // Not before the server has it: a refused change must not become the base of the next one.
        (self.vault, self.master) = (vault, master);
        Ok(recovery)
    }
}

/// The earlier pairs that a vault keeps.
// Each takes the room of 20 contacts, and what it opens becomes less with the time.
const MAX_EARLIER: usize = 2;

impl Unlocked {
    /// Replaces the RSA pair and the signing key, and ends all other stations: after a theft. The
    /// old signing key signs the card of the new ones, so that contacts need not compare again, and
    /// the user's other stations take it over once they have unlocked the vault. The vault keeps the
    /// two pairs before, which open the secrets of older epochs, and for them leaves out heads and
    /// pins, where there is no room. Afterwards this session signs with a pair that is not valid any
    /// more: [`unlock`](crate::Server::unlock) again.
    ///
    /// # Errors
    /// `StaleVersion`: another station has changed the vault. As for [`Session::meet`](crate::Session::meet).
    pub async fn replace_keys(&mut self, state: &mut State) -> Result<(), Error> {
        let me = self.owner.user;
        self.session.meet(state, &[me].into()).await?;
        let before = state.pins.cards(me).last();
        let before = before.ok_or(e2ee::Error::UnknownSigner(me))?;
        let (pair, sign) = (KeyPair::generate_3072()?, SigningKey::generate()?);
        let card = next_card(before, &sign, &pair, Some(&self.sign))?;
        let earlier = std::iter::once(&self.contents.rsa).chain(&self.contents.earlier);
        // Beside the present ones: refused keys must not get into the vault by a later change.
        let mut contents = Contents {
            rsa: copy(&pair)?,
            earlier: earlier
                .take(MAX_EARLIER)
                .map(copy)
                .collect::<Result<_, _>>()?,
            sign,
            pins: self.contents.pins.clone(),
            heads: self.contents.heads.clone(),
        };
        let (vault, rsakey) = self.fit(&mut contents)?;
        let version = version_of(&vault)?;
        // Before the call: if its answer is lost, the card may be in the log all the same.
        state.own_cards.insert(card.card.n(), card.card.hash());
        self.session
            .change_keys(&pair, Some(card), rsakey, version)
            .await?;
        state.vault_version = vault.version();
        (self.vault, self.contents) = (vault, contents);
        Ok(())
    }
}
