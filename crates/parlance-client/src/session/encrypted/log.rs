//! Fetches and follows the key log.

use base64::{Engine, engine::general_purpose::STANDARD};
use parlance_wire::e2ee::{LOG_ENTRY_LEN, SignKey, SignedLogHead};

use crate::{
    e2ee::{KeyLog, OwnCards, State},
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
