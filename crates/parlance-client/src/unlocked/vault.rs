//! The vault while a station is logged in: pins and heads go into it, and those that other stations
//! have written come out of it.

use std::collections::BTreeMap;

use parlance_wire::{
    chain::Chain,
    e2ee::Head,
    id::{ConversationId, UserId},
    request::account::VaultVersion,
    text::EncryptedKey,
};

use super::{Unlocked, copy};
use crate::{
    e2ee::{self, Card, Contents, SigningKey, State, Vault, VaultPin},
    error::{Error, ErrorCode},
    retry::Attempts,
};

/// Bytes of a vault on a server that does not tell its limit.
const USUAL_BYTES: usize = 16 << 10;
/// Bytes that a pin or a head takes in a vault, at least and usually: it is in base64 twice.
const ENTRY_BYTES: usize = 180;
const USUAL_ENTRY_BYTES: usize = 240;

impl Unlocked {
    /// Writes into the vault what this station knows of contacts, and how far it has read each
    /// conversation, so that a new station does not begin with trust on first use, and none is shown
    /// less than another. At first it does what [`load_from_vault`](Self::load_from_vault) does. To be called after
    /// contacts were met, compared or accepted, and once a day for what was read. What does not fit
    /// into a vault is dropped: heads before pins, and contacts who were only seen first.
    ///
    /// # Errors
    /// As for [`load_from_vault`](Self::load_from_vault). `DifferentTranscript`: the server does not have a message any more
    /// that was read here. Nothing is written then.
    pub async fn save_to_vault(&mut self, state: &mut State) -> Result<(), Error> {
        let mut attempts = Attempts::default();
        loop {
            let saved = self.save_once(state).await;
            if !attempts.goes_on(&saved, is_late) {
                return saved;
            }
        }
    }

    async fn save_once(&mut self, state: &mut State) -> Result<(), Error> {
        self.load_from_vault(state).await?;
        let mut contents = self.contents_now(state).await?;
        let (vault, rsakey) = self.fit(&mut contents)?;
        let before = &self.contents;
        if contents.pins == before.pins && contents.heads == before.heads {
            return Ok(());
        }
        self.write(state, vault, rsakey, contents).await
    }

    /// What is known here and in the vault together.
    pub(super) async fn contents_now(&self, state: &State) -> Result<Contents, Error> {
        let before = &self.contents;
        Ok(Contents {
            rsa: copy(&before.rsa)?,
            earlier: before.earlier.iter().map(copy).collect::<Result<_, _>>()?,
            sign: SigningKey::from_seed(before.sign.seed())?,
            pins: state.pins.with_vault(&before.pins, self.owner.user),
            heads: self.heads_now(state).await?,
        })
    }

    /// How far the conversations were read, here or elsewhere. The server has to have what was read
    /// here: after a restored backup, a message that it lost would keep every station from reading
    /// that conversation.
    async fn heads_now(
        &self,
        state: &State,
    ) -> Result<BTreeMap<ConversationId, (i64, String)>, Error> {
        let mut heads = self.contents.heads.clone();
        let newer: Vec<_> = state
            .heads
            .iter()
            .filter_map(|(id, (instance, head))| {
                let is_newest = heads.get(id).is_none_or(|(seq, _)| *seq < head.seq);
                let chain = head.chain.filter(|_| is_newest && head.seq > 0)?;
                Some((*id, instance, head.seq, chain))
            })
            .collect();
        if newer.is_empty() {
            return Ok(heads);
        }
        let listed = self.session.list().await?;
        let listed: BTreeMap<_, _> = listed.iter().map(|one| (one.id, one)).collect();
        for (id, instance, seq, chain) in newer {
            // Of one that was left or cleared, there is nothing to be read.
            let present = listed.get(&id).filter(|one| one.instance == *instance);
            let Some(conversation) = present else {
                continue;
            };
            let is_newest = Chain::parse(&conversation.chain) == Some(chain);
            if !is_newest && self.session.chain_at(conversation, seq).await? != Some(chain) {
                return Err(e2ee::Error::DifferentTranscript.into());
            }
            heads.insert(id, (seq, format!("{chain:?}")));
        }
        Ok(heads)
    }

    /// Stores the next vault, with these contents.
    pub(super) async fn write(
        &mut self,
        state: &mut State,
        vault: Vault,
        rsakey: EncryptedKey,
        contents: Contents,
    ) -> Result<(), Error> {
        self.session
            .change_vault(rsakey, version_of(&vault)?)
            .await?;
        state.vault_version = vault.version();
        (self.vault, self.contents) = (vault, contents);
        Ok(())
    }

    /// Fetches the vault, and takes over what other stations have written into it: whom somebody
    /// has verified, and the messages to which the next [`read`](crate::Session::read) of each
    /// conversation has to come. A contact who was only seen first here, and has another identity in
    /// the vault, is to be accepted first ([`Pins::accept`](crate::e2ee::Pins::accept)).
    ///
    /// # Errors
    /// `Encryption`: as for [`Session::meet`](crate::Session::meet); `OldVault`: this station has seen
    /// a newer one. `Relabelled`: it is another one, or another station has replaced the password.
    /// `DifferentCard`: a contact's card is not the one in the vault, or its successor.
    pub async fn load_from_vault(&mut self, state: &mut State) -> Result<(), Error> {
        let (vault, contents) = self.stored(state.vault_version).await?;
        state.vault_version = vault.version();
        (self.vault, self.contents) = (vault, contents);
        self.merge_contents(state).await
    }

    /// The vault as the server has it, which must not be older than the version `seen`.
    pub(super) async fn stored(&self, seen: u64) -> Result<(Vault, Contents), Error> {
        let vault = Vault::parse(&self.session.vault().await?.rsakey)?;
        let contents = vault.open(&self.owner, &self.master, seen)?;
        Ok((vault, contents))
    }

    pub(super) async fn merge_contents(&self, state: &mut State) -> Result<(), Error> {
        let known = |state: &State, user: UserId| state.pins.cards(user).last().map(Card::n);
        let others = self.contents.pins.iter();
        let others = others.filter(|(user, _)| **user != self.owner.user);
        let others: Vec<_> = others
            .map(|(user, pin)| (*user, pin, known(state, *user)))
            .collect();
        let behind = others.iter().filter(|(_, pin, n)| *n < Some(pin.1));
        let behind = behind.map(|(user, ..)| *user).collect();
        self.session.meet(state, &behind).await?;
        for (user, pin, _) in others {
            take_pin(state, user, pin)?;
        }
        for (id, (seq, chain)) in &self.contents.heads {
            let known = state.heads.get(id).map_or(0, |(_, head)| head.seq);
            if *seq > known
                && let Some(chain) = Chain::parse(chain)
            {
                let head = Head {
                    seq: *seq,
                    chain: Some(chain),
                };
                state.vault_heads.insert(*id, head);
            }
        }
        Ok(())
    }

    /// The next vault, with as much of these contents as it has room for.
    pub(super) fn fit(&self, contents: &mut Contents) -> Result<(Vault, EncryptedKey), Error> {
        let limits = self.session.login().limits.as_ref();
        let room = limits.map_or(USUAL_BYTES, |limits| limits.rsakeybytes);
        let room = room.min(EncryptedKey::MAX_BYTES);
        let entries = |contents: &Contents| contents.pins.len() + contents.heads.len();
        while entries(contents) > room / ENTRY_BYTES && contents.shorten() {}
        loop {
            let vault = self.vault.update(&self.owner, &self.master, contents)?;
            let length = vault.length()?;
            let excess = length.saturating_sub(room).div_ceil(USUAL_ENTRY_BYTES);
            if excess == 0 {
                let rsakey = vault.to_key()?;
                return Ok((vault, rsakey));
            }
            for _ in 0..excess {
                // Keys alone, and too many of them for this server.
                if !contents.shorten() {
                    return Err(e2ee::Error::TooLong.into());
                }
            }
        }
    }
}

/// Takes over what the vault says of a contact.
fn take_pin(state: &mut State, user: UserId, pin: &VaultPin) -> Result<(), Error> {
    let cards = state.pins.cards(user);
    // Of a deleted account only the log has the cards, also if somebody else has the address.
    let is_known = cards.iter().any(|card| pin.is_of(card))
        || state.log.cards(user)?.contains(&pin.0)
        || pin.1 == 0 && cards.is_empty();
    if !is_known {
        return Err(e2ee::Error::DifferentCard.into());
    }
    state.pins.take(user, pin);
    Ok(())
}

/// Another station has changed the vault meanwhile.
pub(super) fn is_late(error: &Error) -> bool {
    error.code() == Some(ErrorCode::StaleVersion)
}

pub(super) fn version_of(vault: &Vault) -> Result<VaultVersion, Error> {
    let version = u32::try_from(vault.version()).ok();
    version
        .and_then(VaultVersion::new)
        .ok_or(Error::Invalid("the version of the vault"))
}
