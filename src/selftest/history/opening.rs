//! Opens a reader's encrypted messages, with only what the server gave to that reader.

use parlance_client::e2ee::{Envelope, View};
use parlance_wire::chain::Chain;

use super::Held;
use crate::selftest::{
    findings::{Findings, Kind},
    form::{self, Id, dashed, plain},
    keyring::{Directory, Key, Keyring, kind_of},
    ledger::Ledger,
    rows::Message,
};

/// The part of a reader that concerns encrypted messages.
pub(in crate::selftest) struct Reader<'a> {
    pub user: Id,
    pub keyring: &'a Keyring,
    pub directory: &'a Directory,
    /// Whether the keyring is newer than the newest row. Messages that it does not open then stay
    /// closed.
    pub is_fresh: bool,
}

impl Held {
    /// Opens and checks new messages in order. Returns `true` if the reader has to follow the
    /// epochs first.
    pub(in crate::selftest) fn open(
        &mut self,
        reader: &Reader<'_>,
        ledger: &Ledger,
        findings: &Findings,
    ) -> bool {
        while let Some(row) = self.unread.pop_front() {
            let Some(sealed) = &row.sealed else { continue };
            let (kid, number) = (sealed.kid(), sealed.epoch().get());
            let key = reader.keyring.key(self.conversation, kid);
            if key.is_none() && !reader.is_fresh {
                self.unread.push_front(row);
                return true;
            }
            let sent = ledger.sent.get(&(self.conversation, row.id));
            if let Some(sent) = sent {
                ledger.check_epoch(sent, kid, self.newest_epoch, findings);
            }
            self.newest_epoch = self.newest_epoch.max(number);
            let wrong = if let Some(key) = key {
                self.check_opened(&row, key, reader.directory).err()
            } else {
                // Later messages are not counted from the first one any more.
                self.has_all = false;
                sent.is_some_and(|sent| ledger.may_open(sent, reader.user, kid))
                    .then(|| (Kind::Undecryptable, "its secret was not given".to_owned()))
            };
            if let Some((kind, wrong)) = wrong {
                findings.add(kind, || {
                    format!(
                        "message {} in {}, held by {}: {wrong}",
                        dashed(row.id),
                        plain(self.conversation),
                        self.holder
                    )
                });
            }
        }
        false
    }

    /// Opens a message, and checks its writer's statements about other messages.
    fn check_opened(
        &mut self,
        row: &Message,
        key: &Key,
        directory: &Directory,
    ) -> Result<(), (Kind, String)> {
        let unreadable = || (Kind::Altered, "its ids are none".to_owned());
        let (Some(v4), Some(sealed)) = (&row.v4, &row.sealed) else {
            return Err(unreadable());
        };
        if key.announcement.epoch() != sealed.epoch() {
            let says = format!(
                "it names epoch {}, and not that of its secret",
                sealed.epoch()
            );
            return Err((Kind::WrongEpoch, says));
        }
        let instance = form::instance(&self.instance).ok_or_else(unreadable)?;
        let user = form::user(v4.sender.user).ok_or_else(unreadable)?;
        let envelope = Envelope {
            conversation: form::conversation(self.conversation).ok_or_else(unreadable)?,
            instance: &instance,
            id: form::message(row.id).ok_or_else(unreadable)?,
            user,
            station: form::station(v4.sender.station).ok_or_else(unreadable)?,
            r#type: &row.kind,
        };
        let wrong = |error: parlance_client::e2ee::Error| (kind_of(&error), error.to_string());
        let opened = sealed
            .open(&envelope, &key.secret, directory.cards(user))
            .map_err(wrong)?;
        let chains = &self.chains;
        let view = View {
            seq: v4.seq,
            chain_at: &|seq| Chain::parse(&hex::encode(chains.get(&seq)?)),
            known_from: 0,
            announcement: &key.announcement,
            log: &directory.log,
            has_all: self.has_all,
        };
        self.reading.check(&envelope, &opened, &view).map_err(wrong)
    }
}
