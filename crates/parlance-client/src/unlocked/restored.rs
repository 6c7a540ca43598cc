//! The vault on a server whose database was restored from a backup.

use std::collections::BTreeSet;

use parlance_wire::id::UserId;

use super::{Unlocked, vault::is_late};
use crate::{e2ee::State, error::Error, retry::Attempts};

impl Unlocked {
    /// Goes on with a server whose database was restored from an older backup, as
    /// [`Session::accept_restored`](crate::Session::accept_restored) does, and in the vault, too: it
    /// forgets how far other stations have read, which they would otherwise find missing for ever,
    /// and the cards that were lost. A contact whose card was lost is to be accepted first
    /// ([`Pins::accept`](crate::e2ee::Pins::accept)). Only for a user who has heard of it from the
    /// server's operator, and at each of their stations. One that starts after the loss calls
    /// [`unlock`](crate::Server::unlock) without a version that it has seen: the vault is from the
    /// backup, too.
    ///
    /// # Errors
    /// As for [`Session::accept_restored`](crate::Session::accept_restored); `Relabelled`: the vault is
    /// not the user's, and the state stays as it was. As for [`load_from_vault`](Self::load_from_vault): the log was accepted,
    /// and the vault was not changed; call this again.
    pub async fn accept_restored(&mut self, state: &mut State) -> Result<(), Error> {
        let mut attempts = Attempts::default();
        loop {
            let accepted = self.accept_once(state).await;
            if !attempts.goes_on(&accepted, is_late) {
                return accepted;
            }
        }
    }

    async fn accept_once(&mut self, state: &mut State) -> Result<(), Error> {
        // Whatever version this station has seen: that one may be lost.
        let (vault, mut contents) = self.stored(0).await?;
        self.session.accept_restored(state).await?;
        let mut lost = BTreeSet::<UserId>::new();
        for (user, pin) in &contents.pins {
            // Number 0 has a public key, and no card that could be in the log.
            if pin.1 > 0 && !state.log.cards(*user)?.contains(&pin.0) {
                lost.insert(*user);
            }
        }
        contents.pins.retain(|user, _| !lost.contains(user));
        contents.heads.clear();
        (self.vault, self.contents) = (vault, contents);
        self.merge_contents(state).await?;
        self.session.meet(state, &lost).await?;
        for user in lost {
            state.pins.doubt(user);
        }
        let mut contents = self.contents_now(state).await?;
        let (vault, rsakey) = self.fit(&mut contents)?;
        self.write(state, vault, rsakey, contents).await
    }
}
