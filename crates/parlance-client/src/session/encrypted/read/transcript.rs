//! Follows the transcript through the rows that are read.

use parlance_wire::chain::{Chain, DataHash};

use super::Reader;
use crate::{
    answer::{Conversation, Message},
    e2ee::{self, State},
    error::Error,
    session::Session,
};

impl Session {
    pub(super) async fn verify_transcript(
        &self,
        state: &State,
        conversation: &Conversation,
        reader: &mut Reader,
        rows: &[Message],
    ) -> Result<(), Error> {
        let known = state.heads.get(&conversation.id);
        let known = known.filter(|(instance, _)| *instance == conversation.instance);
        let known = known.and_then(|(_, head)| Some((head.seq, head.chain?)));
        let kept = state.readings.get(&conversation.id);
        let kept = kept.filter(|(instance, _)| *instance == conversation.instance);
        // Where its place is not known, nothing follows from its absence.
        reader.awaited = kept
            .filter(|_| known.is_some() || !reader.begins_late)
            .and_then(|(_, reading)| reading.stored());
        let vault = state.vault_heads.get(&conversation.id);
        let vault = vault.and_then(|head| Some((head.seq, head.chain?)));
        let older = match (known, vault) {
            (None, Some(head)) if is_before(reader, rows, head) => {
                Some(self.older_head(conversation, head).await?)
            }
            _ => None,
        };
        let mut last = beginning(conversation, reader, rows, known.or(older));
        for row in rows {
            reader.awaited.take_if(|awaited| *awaited == row.id);
            let told = Chain::parse(&row.chain).ok_or(e2ee::Error::BrokenTranscript(row.seq))?;
            let Some((seq, chain)) = last else {
                // The oldest one that is read: those before it are not known.
                reader.chains.insert(row.seq, told);
                last = Some((row.seq, told));
                continue;
            };
            let data = DataHash::of(row.data.as_str());
            let mut before = chain;
            if before.link(row.seq, row.id, data) != told {
                // Contents between the two were deleted: their links remain.
                before = self
                    .links(conversation, reader, (seq, chain), row.seq)
                    .await?;
                reader.gaps.insert(row.seq);
            }
            if row.seq <= seq || before.link(row.seq, row.id, data) != told {
                return Err(e2ee::Error::BrokenTranscript(row.seq).into());
            }
            let followed = reader.chains.insert(row.seq, told);
            if followed.is_some_and(|followed| followed != told) {
                return Err(e2ee::Error::DifferentTranscript.into());
            }
            last = Some((row.seq, told));
        }
        let (seq, chain) = last.unwrap_or((0, beginning_of(conversation)));
        // The list may be older than the rows: then it names one of them.
        let listed = Chain::parse(&conversation.chain);
        if listed.is_some_and(|listed| {
            listed != chain && reader.chains.values().all(|chain| *chain != listed)
        }) {
            // Unless the newest messages were erased.
            self.links_to_end(conversation, reader, (seq, chain))
                .await?;
            if reader.chains.values().all(|chain| Some(*chain) != listed) {
                return Err(e2ee::Error::DifferentTranscript.into());
            }
        }
        // The newest message of an earlier reading must still be there, as it was, and the newest
        // one from here.
        let known = known.filter(|(seq, _)| *seq > 0);
        let has_known = |reader: &Reader| {
            known.is_none_or(|(seq, chain)| reader.chains.get(&seq) == Some(&chain))
        };
        if !has_known(reader) || reader.awaited.is_some() {
            // They may have been erased after the list was made.
            self.links_to_end(conversation, reader, (seq, chain))
                .await?;
        }
        if !has_known(reader) {
            return Err(e2ee::Error::DifferentTranscript.into());
        }
        if let Some(lost) = reader.awaited {
            return Err(e2ee::Error::LostMessage(lost).into());
        }
        // So must the one that another station has read. If all messages are later ones, the
        // conversation was cleared since; and if there are none, nothing was said since then.
        if let Some((seq, chain)) = vault
            && reader.chains.range(1..=seq).next().is_some()
            && reader.chains.get(&seq) != Some(&chain)
        {
            return Err(e2ee::Error::DifferentTranscript.into());
        }
        Ok(())
    }

    /// Where the transcript of older messages begins to be known, according to a head of the vault:
    /// there or, if that message is not of this instance, at the beginning of the instance, from which
    /// all links are followed then.
    async fn older_head(
        &self,
        conversation: &Conversation,
        (seq, chain): (i64, Chain),
    ) -> Result<(i64, Chain), Error> {
        Ok(match self.chain_at(conversation, seq).await? {
            Some(_) => (seq, chain),
            None => (0, beginning_of(conversation)),
        })
    }

    /// The hash at the message with this number, if the conversation's instance has it.
    pub(crate) async fn chain_at(
        &self,
        conversation: &Conversation,
        seq: i64,
    ) -> Result<Option<Chain>, Error> {
        let (id, instance) = (conversation.id, &conversation.instance);
        // After the number before, so that the page begins with this link.
        let page = self.transcript(id, instance, seq.saturating_sub(1)).await?;
        let link = page.transcript.first().filter(|link| link.seq == seq);
        link.map(|link| Chain::parse(&link.chain).ok_or(e2ee::Error::BrokenTranscript(seq).into()))
            .transpose()
    }

    /// Follows the links after the newest message that is known, which is this one if there are no
    /// others.
    async fn links_to_end(
        &self,
        conversation: &Conversation,
        reader: &mut Reader,
        last: (i64, Chain),
    ) -> Result<(), Error> {
        let newest = reader.chains.last_key_value();
        let last = newest.map_or(last, |(seq, chain)| (*seq, *chain));
        self.links(conversation, reader, last, i64::MAX).await?;
        let newest = reader.chains.last_key_value().map(|(newest, _)| *newest);
        reader.gaps.extend(newest.filter(|newest| *newest > last.0));
        Ok(())
    }

    /// Follows the links after a message, as far as the one with the number `until`. Returns the
    /// last one's hash.
    async fn links(
        &self,
        conversation: &Conversation,
        reader: &mut Reader,
        (mut seq, mut chain): (i64, Chain),
        until: i64,
    ) -> Result<Chain, Error> {
        loop {
            let (id, instance) = (conversation.id, &conversation.instance);
            let page = self.transcript(id, instance, seq).await?;
            for link in &page.transcript {
                if link.seq >= until {
                    return Ok(chain);
                }
                let broken = || e2ee::Error::BrokenTranscript(link.seq);
                let data = DataHash::parse(&link.data_hash).ok_or_else(broken)?;
                let next = chain.link(link.seq, link.id, data);
                if link.seq <= seq || Chain::parse(&link.chain) != Some(next) {
                    return Err(broken().into());
                }
                (seq, chain) = (link.seq, next);
                reader.chains.insert(seq, chain);
                reader.awaited.take_if(|awaited| *awaited == link.id);
            }
            if !page.hasmore || page.transcript.is_empty() {
                return Ok(chain);
            }
        }
    }
}

fn beginning_of(conversation: &Conversation) -> Chain {
    Chain::beginning(conversation.id, &conversation.instance)
}

/// Returns `true` if a head is older than the rows, which are not those from the first on.
fn is_before(reader: &Reader, rows: &[Message], (seq, _): (i64, Chain)) -> bool {
    let is_older = rows.first().is_some_and(|row| seq < row.seq);
    reader.chains.is_empty() && reader.begins_late && is_older
}

/// Where the transcript of these rows begins, unless it is not known.
fn beginning(
    conversation: &Conversation,
    reader: &mut Reader,
    rows: &[Message],
    known: Option<(i64, Chain)>,
) -> Option<(i64, Chain)> {
    // A link may be of a message that came after the rows were read: then it is the first one now.
    let first = rows.first().map_or(i64::MAX, |row| row.seq);
    if let Some((seq, chain)) = reader.chains.range(..first).next_back() {
        return Some((*seq, *chain));
    }
    if !reader.begins_late {
        return Some((0, beginning_of(conversation)));
    }
    let (seq, chain) = known.filter(|(seq, _)| rows.first().is_some_and(|row| *seq < row.seq))?;
    reader.chains.insert(seq, chain);
    Some((seq, chain))
}
