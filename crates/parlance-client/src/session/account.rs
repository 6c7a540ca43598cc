//! The user's stations and credentials.

use parlance_wire::{
    id::{CredentialId, StationId},
    key::{Credential, PublicKey},
    request::{
        Api, Signed,
        account::{self, ChangeKeys, ChangePassword, ChangeRecovery, VaultVersion},
    },
    text::EncryptedKey,
};

use crate::{answer, call::Call, error::Error, keys::KeyPair, session::Session};

/// Stations, credentials.
impl Session {
    /// The user's stations, the one seen last first.
    pub async fn stations(&self) -> Result<Vec<answer::StationInfo>, Error> {
        let answer: answer::Stations = self
            .call(Signed::Account(account::Action::Stations))
            .await?;
        Ok(answer.stations)
    }

    /// Ends a station, which has to log in again. Returns whether it was there.
    pub async fn sign_out(&self, stationid: StationId) -> Result<bool, Error> {
        let ended = self.sign_out_with(Some(stationid), false).await?;
        Ok(ended > 0)
    }

    /// Ends all stations but this one. Returns how many there were.
    pub async fn sign_out_others(&self) -> Result<u64, Error> {
        self.sign_out_with(None, true).await
    }

    async fn sign_out_with(
        &self,
        stationid: Option<StationId>,
        others: bool,
    ) -> Result<u64, Error> {
        let action = account::Action::SignOut { stationid, others };
        let answer: answer::SignedOut = self.call(Signed::Account(action)).await?;
        Ok(answer.signedout)
    }

    /// The credentials that open the user's login, the oldest first.
    pub async fn credentials(&self) -> Result<Vec<answer::CredentialInfo>, Error> {
        let answer: answer::Keys = self.call(Signed::Account(account::Action::Keys)).await?;
        Ok(answer.keys)
    }

    /// Replaces the password, and the vault that it opens. The caller makes both.
    pub async fn change_password(&self, new: ChangePassword<Credential>) -> Result<(), Error> {
        self.done(Signed::Account(account::Action::ChangePassword(Box::new(
            new,
        ))))
        .await
    }

    /// Replaces the recovery key, and the vault that it opens: the old one is of no use any more.
    pub async fn change_recovery(&self, new: ChangeRecovery<Credential>) -> Result<(), Error> {
        self.done(Signed::Account(account::Action::ChangeRecovery(Box::new(
            new,
        ))))
        .await
    }

    /// Replaces the key pair, and ends all other stations. `rsakey` is the vault that holds `pair`, and `version` its
    /// version. This session still signs with the old pair: log in again.
    pub async fn change_keys(
        &self,
        pair: &KeyPair,
        rsakey: EncryptedKey,
        version: VaultVersion,
    ) -> Result<(), Error> {
        let publickey =
            PublicKey::parse(pair.public_key()).ok_or(Error::Invalid("the public key"))?;
        let proof = pair.sign(&account::proof_text(self.user(), &publickey))?;
        let new = ChangeKeys {
            publickey,
            proof,
            rsakey,
            version,
        };
        // Sent again, it would be signed with the old pair, which the server has perhaps forgotten.
        let action = account::Action::<Credential>::ChangeKeys(Box::new(new));
        let answer::Done {} = Call::new(&self.server, Api::Login, &action)
            .signed(&self.identity)
            .once()
            .send()
            .await?;
        Ok(())
    }

    /// Deletes an apikey, and ends the stations that logged in with it.
    pub async fn revoke(&self, keyid: CredentialId) -> Result<(), Error> {
        self.done(Signed::Account(account::Action::Revoke { keyid }))
            .await
    }
}
