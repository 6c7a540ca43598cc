//! The user's own account, stations, credentials and keys, and invitations to the server.

use parlance_wire::{
    e2ee::SignedCard,
    id::{CredentialId, InviteId, StationId},
    key::{Credential, PublicKey},
    request::{
        PageSize, Signed,
        account::{self, Action, ChangeKeys, ChangePassword, ChangeRecovery, VaultVersion},
    },
    text::{Email, EncryptedKey, FullName, Nick, PushEndpoint},
    time::Timestamp,
};

use crate::{answer, error::Error, keys::KeyPair, session::Session};

/// Invitations to the server.
impl Session {
    /// Creates an invitation for 1 to 100 people, or for one address. Everyone who uses it becomes
    /// a friend.
    pub async fn invite(
        &self,
        email: Option<&str>,
        uses: usize,
        expires: Option<Timestamp>,
    ) -> Result<answer::NewInvite, Error> {
        let email = email
            .map(|email| Email::parse(email).ok_or(Error::Invalid("the e-mail address")))
            .transpose()?;
        self.call(Signed::Account(Action::Invite {
            email,
            uses: PageSize(Some(uses)),
            expires,
        }))
        .await
    }

    /// The user's newest invitations.
    pub async fn invites(&self) -> Result<answer::Invites, Error> {
        self.call(Signed::Account(Action::Invites)).await
    }

    /// Revokes an invitation. Users who have registered with it stay.
    pub async fn revoke_invite(&self, inviteid: InviteId) -> Result<(), Error> {
        self.done(Signed::Account(Action::RevokeInvite { inviteid }))
            .await
    }
}

/// The user's own account.
impl Session {
    /// Changes the user's names; `None` leaves a name unchanged.
    pub async fn change_names(
        &self,
        fullname: Option<&str>,
        nick: Option<&str>,
    ) -> Result<answer::Profile, Error> {
        let fullname = fullname
            .map(|name| FullName::parse(name).ok_or(Error::Invalid("the full name")))
            .transpose()?;
        let nick = nick
            .map(|name| Nick::parse(name).ok_or(Error::Invalid("the short name")))
            .transpose()?;
        self.call(Signed::Account(Action::Profile { fullname, nick }))
            .await
    }

    /// Exports everything that the server has of the user, in the server's form (docs/api.md). It
    /// may be long.
    pub async fn export(&self) -> Result<serde_json::Value, Error> {
        self.call(Signed::Account(Action::Export)).await
    }

    /// Deletes the user's account permanently, with one of its apikeys.
    pub async fn delete_account(&self, apikey: &str) -> Result<(), Error> {
        let apikey = Credential::new(apikey.to_owned()).ok_or(Error::Invalid("the apikey"))?;
        self.done(Signed::Account(Action::Delete { apikey })).await
    }
}

/// The user's stations and credentials.
impl Session {
    /// The user's stations; the one that was seen last comes first.
    pub async fn stations(&self) -> Result<Vec<answer::StationInfo>, Error> {
        let answer: answer::Stations = self.call(Signed::Account(Action::Stations)).await?;
        Ok(answer.stations)
    }

    /// Ends a station, which then has to log in again. Returns `true` if there was such a station.
    pub async fn sign_out(&self, stationid: StationId) -> Result<bool, Error> {
        Ok(self.sign_out_with(Some(stationid), false).await? > 0)
    }

    /// Ends all other stations. Returns their number.
    pub async fn sign_out_others(&self) -> Result<u64, Error> {
        self.sign_out_with(None, true).await
    }

    async fn sign_out_with(
        &self,
        stationid: Option<StationId>,
        others: bool,
    ) -> Result<u64, Error> {
        let action = Action::SignOut { stationid, others };
        let answer: answer::SignedOut = self.call(Signed::Account(action)).await?;
        Ok(answer.signedout)
    }

    /// The server's key for pushes, and this station's push endpoint.
    pub async fn push(&self) -> Result<answer::Push, Error> {
        self.call(Signed::Account(Action::Push)).await
    }

    /// Enables Web Push for this station, for messages that arrive while it has no socket open.
    pub async fn enable_push(&self, endpoint: &str) -> Result<(), Error> {
        let endpoint =
            PushEndpoint::parse(endpoint).ok_or(Error::Invalid("the address for pushes"))?;
        self.done(Signed::Account(Action::EnablePush { endpoint }))
            .await
    }

    /// Disables Web Push for this station.
    pub async fn disable_push(&self) -> Result<(), Error> {
        self.done(Signed::Account(Action::DisablePush)).await
    }

    /// Tells the server that this station was woken by a push. Call it before fetching, so that
    /// later messages are pushed again.
    pub async fn ack_push(&self) -> Result<(), Error> {
        self.done(Signed::Account(Action::AckPush)).await
    }

    /// The credentials that open the user's login, oldest first.
    pub async fn credentials(&self) -> Result<Vec<answer::CredentialInfo>, Error> {
        let answer: answer::Keys = self.call(Signed::Account(Action::Keys)).await?;
        Ok(answer.keys)
    }

    /// Deletes an apikey, and ends the stations that logged in with it.
    pub async fn revoke(&self, keyid: CredentialId) -> Result<(), Error> {
        self.done(Signed::Account(Action::Revoke { keyid })).await
    }
}

/// The user's password, recovery key and key pair, and the vault. The caller creates the new ones.
impl Session {
    /// The present vault.
    pub async fn vault(&self) -> Result<answer::Vault, Error> {
        self.call(Signed::Account(Action::Vault)).await
    }

    /// Replaces only the vault.
    pub async fn change_vault(
        &self,
        rsakey: EncryptedKey,
        version: VaultVersion,
    ) -> Result<(), Error> {
        self.done(Signed::Account(Action::ChangeVault { rsakey, version }))
            .await
    }

    /// Replaces the password, and the vault that it opens.
    pub async fn change_password(&self, new: ChangePassword<Credential>) -> Result<(), Error> {
        self.done(Signed::Account(Action::ChangePassword(Box::new(new))))
            .await
    }

    /// Replaces the recovery key, and the vault that it opens. The old key stops working.
    pub async fn change_recovery(&self, new: ChangeRecovery<Credential>) -> Result<(), Error> {
        self.done(Signed::Account(Action::ChangeRecovery(Box::new(new))))
            .await
    }

    /// Replaces the key pair, and ends all other stations. `card` names the new pair, if the user
    /// has cards. `rsakey` is the vault with the new pair, and `version` its version. This session
    /// still signs with the old pair: log in again.
    pub async fn change_keys(
        &self,
        pair: &KeyPair,
        card: Option<SignedCard>,
        rsakey: EncryptedKey,
        version: VaultVersion,
    ) -> Result<(), Error> {
        let publickey =
            PublicKey::parse(pair.public_key()).ok_or(Error::Invalid("the public key"))?;
        let proof = pair.sign(&account::proof_text(self.user(), &publickey))?;
        let action = Action::ChangeKeys(Box::new(ChangeKeys {
            publickey,
            proof,
            card,
            rsakey,
            version,
        }));
        self.done(Signed::Account(action)).await
    }
}
