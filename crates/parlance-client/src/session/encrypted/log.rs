//! Fetches and follows the key log.

use base64::{Engine, engine::general_purpose::STANDARD};
use parlance_wire::e2ee::{LOG_ENTRY_LEN, SignKey, SignedLogHead};

use crate::{
    e2ee::{self, KeyLog, OwnCards, State},
    error::Error,
    session::Session,
};

/// The server's answer: the entries after those that are known.
struct Rest {
    entries: Vec<u8>,
    head: SignedLogHead,
    key: SignKey,
}

/// The key log.
impl Session {
    /// The state of a new account's first client, before it publishes a card: it has no contacts,
    /// and trusts the server's key on first use.
    ///
    /// # Errors
    /// `Encryption`: the log is invalid.
    pub async fn begin_key_log(&self) -> Result<State, Error> {
        let rest = self.key_log_after(0).await?;
        let (log, own_cards) = KeyLog::begin(rest.key, &rest.entries, &rest.head, self.user())?;
        Ok(State {
            own_cards,
            ..State::new(log)
        })
    }

    /// Follows the key log to its present end. `own` are all cards that the user ever published.
    ///
    /// # Errors
    /// `Encryption`: the log is invalid, and `log` stays as it was.
    pub async fn follow_key_log(&self, log: &mut KeyLog, own: &OwnCards) -> Result<(), Error> {
        let rest = self.key_log_after(log.size()).await?;
        Ok(log.follow(&rest.entries, &rest.head, self.user(), own)?)
    }

    /// Goes on with a server whose database was restored from an older backup
    /// ([`State::accept_restored`]). Only for a user who has heard of it from its operator, and not
    /// from the server: a server that lies looks exactly like this. Whoever has published a card
    /// since the backup publishes it again. For an account with a vault there is
    /// `Unlocked::accept_restored` instead.
    ///
    /// # Errors
    /// `Encryption`: the log is invalid, signed by another key, or has a card in the user's name
    /// that is not theirs; the state stays as it was.
    pub async fn accept_restored(&self, state: &mut State) -> Result<(), Error> {
        let rest = self.key_log_after(0).await?;
        let (me, own) = (self.user(), &state.own_cards);
        let log = state.log.restored(&rest.entries, &rest.head, me, own)?;
        state.accept_restored(log);
        // The user's own, which only they lose.
        if let Some(card) = state.pins.cards(me).last().map(e2ee::Card::hash) {
            state.pins.accept(me, card)?;
        }
        Ok(())
    }

    async fn key_log_after(&self, size: u64) -> Result<Rest, Error> {
        let mut entries: Vec<u8> = vec![];
        loop {
            let after = u64::try_from(entries.len() / LOG_ENTRY_LEN)
                .ok()
                .and_then(|read| u32::try_from(size.checked_add(read)?).ok())
                .ok_or(Error::Invalid("the size of the key log"))?;
            let page = self.key_log(after).await?;
            let more = STANDARD
                .decode(&page.entries)
                .map_err(|_| Error::Invalid("a page of the key log"))?;
            let is_last = !page.hasmore || more.is_empty();
            entries.extend(more);
            // The head of the last page: the log may have grown since the first one was read.
            if is_last {
                return Ok(Rest {
                    entries,
                    head: SignedLogHead {
                        head: page.head,
                        signature: page.signature,
                    },
                    key: page.key,
                });
            }
        }
    }
}
