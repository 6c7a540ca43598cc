//! How a person reads a conversation: everything from the server is checked.

use std::collections::{BTreeMap, BTreeSet};

use parlance_client::{
    ConversationId, Error, UserId, answer,
    e2ee::{
        Announcement, Content, Envelope, Epoch, EpochSecret, Epochs, Kind, Opened, Reading, Sealed,
        View, check_older, open_secret,
    },
};
use parlance_wire::chain::Chain;

use super::person::{Channel, Person};

/// A message that was read and verified.
pub(crate) struct Read {
    pub epoch: Epoch,
    pub text: String,
    pub sealed: Sealed,
}

impl Person {
    /// The epochs up to the newest that was followed, with the secrets that this person has.
    pub(crate) async fn epochs(
        &self,
        id: ConversationId,
    ) -> Result<Vec<(Announcement, Option<EpochSecret>)>, Error> {
        let page = self.session.epochs(id, None).await?;
        assert!(!page.hasmore);
        let newest: &Epochs = &self.state.epochs[&id];
        let rows: Vec<answer::Epoch> = page
            .epochs
            .into_iter()
            .filter(|one| one.epoch <= newest.newest().epoch().get())
            .collect();
        let older: Vec<_> = rows[1..]
            .iter()
            .map(|one| one.announcement.clone())
            .collect();
        assert_eq!(rows[0].announcement.announcement, *newest.newest());
        check_older(newest.newest(), &older)?;
        rows.into_iter()
            .map(|row| {
                let announcement = row.announcement.announcement;
                let pair = &self.session.identity().pair;
                let secret = (!row.secret.as_str().is_empty())
                    .then(|| open_secret(&announcement, row.secret.as_str(), pair))
                    .transpose()?;
                Ok((announcement, secret))
            })
            .collect()
    }

    /// Reads all messages, with all checks of a reader.
    pub(crate) async fn reads(&self, channel: &Channel) -> Result<Vec<Read>, Error> {
        let (conversation, mut reading) = (&channel.conversation, Reading::default());
        let (id, instance) = (conversation.id, &conversation.instance);
        let epochs = self.epochs(id).await?;
        let page = self
            .session
            .download_before(id, instance, None, None, 500)
            .await?;
        let (mut chains, mut read) = (BTreeMap::new(), vec![]);
        for message in page.messages {
            let envelope = Envelope {
                conversation: id,
                instance,
                id: message.id,
                user: message.user,
                station: message.station,
                r#type: &message.r#type,
            };
            let sealed = Sealed::message(message.data.as_str())?;
            let (announcement, secret) = epochs
                .iter()
                .find(|(announcement, _)| announcement.epoch() == sealed.epoch())
                .expect("an epoch that was followed");
            let secret = secret.as_ref().expect("the secret of what was said");
            let cards = self.state.pins.cards(message.user);
            let opened = sealed.open(&envelope, secret, cards)?;
            let view = View {
                seq: message.seq,
                chain_at: &|seq| chains.get(&seq).copied(),
                known_from: 0,
                announcement,
                log: &self.state.log,
                has_all: true,
            };
            reading.check(&envelope, &opened, &view)?;
            chains.insert(message.seq, Chain::parse(&message.chain).unwrap());
            read.push(Read {
                epoch: sealed.epoch(),
                text: text(&opened),
                sealed,
            });
        }
        Ok(read)
    }

    /// The texts of all messages.
    pub(crate) async fn hears(&self, channel: &Channel) -> Result<Vec<String>, Error> {
        let read = self.reads(channel).await?;
        Ok(read.into_iter().map(|message| message.text).collect())
    }
}

fn text(opened: &Opened) -> String {
    match &opened.body.content {
        Content::Known(Kind::Text { text, .. }) => text.clone(),
        other => panic!("{other:?}"),
    }
}

/// The participants of each epoch, from the first on, according to the announcements (newest
/// first).
pub(crate) fn rosters(
    epochs: &[(Announcement, Option<EpochSecret>)],
) -> BTreeMap<Epoch, BTreeSet<UserId>> {
    let mut members = BTreeSet::new();
    epochs
        .iter()
        .rev()
        .map(|(announcement, _)| {
            members.retain(|user| !announcement.removed().contains(user));
            members.extend(announcement.added());
            (announcement.epoch(), members.clone())
        })
        .collect()
}
