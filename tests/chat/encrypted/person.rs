//! A person with a client of version 4, who checks whatever the server hands out.

use std::collections::{BTreeMap, BTreeSet};

use parlance_client::{
    ConversationId, Draft, Error, MessageId, Met, NewUser, NextEpoch, Server, Session, StationId,
    Timestamp, UserId,
    answer::{self, Conversation},
    e2ee::{
        Announcement, Body, Content, Envelope, Epoch, EpochSecret, Epochs, Head, Kind, Maker,
        Members, NewEpoch, Opened, Reading, Sealed, SigningKey, State, View, check_older,
        first_card, first_epoch, next_card, open_secret, seal_name,
    },
};
use parlance_wire::{chain::Chain, text::Email};

use crate::world::World;

pub(super) const PASSWORD: &str = "a long password";

/// A person at one station.
pub(super) struct Person {
    pub email: String,
    pub session: Session,
    pub sign: SigningKey,
    pub state: State,
    /// How many messages were sent from here.
    sent: u64,
}

/// A conversation, as far as a person followed it.
pub(super) struct Talk {
    pub conversation: Conversation,
    pub secret: EpochSecret,
}

/// A message that was read, and checked.
pub(super) struct Read {
    pub epoch: Epoch,
    pub text: String,
    pub sealed: Sealed,
}

impl Person {
    /// Someone new, with a card.
    pub(super) async fn new(world: &World, name: &str) -> Self {
        let server = Server::new(&world.url).unwrap();
        let email = format!("{}@example.org", name.to_lowercase());
        let new = NewUser {
            email: &email,
            fullname: name,
            nick: name,
            invite: None,
        };
        server.register(&new, PASSWORD).await.unwrap();
        let session = server.login(&email, PASSWORD, StationId::random()).await;
        let session = session.unwrap();
        let mut person = Self {
            state: session.begin_key_log().await.unwrap(),
            sign: SigningKey::generate().unwrap(),
            email,
            session,
            sent: 0,
        };
        person.publishes_first_card().await;
        person
    }

    async fn publishes_first_card(&mut self) {
        let before = self.state.log.newest(self.user()).unwrap();
        let email = Email::parse(&self.email).unwrap();
        let (server, pair) = (self.state.pins.server(), &self.session.identity().pair);
        let card = first_card(email, server, &self.sign, pair, before).unwrap();
        self.session.publish_card(card.clone()).await.unwrap();
        // Again, as after a lost answer.
        self.session.publish_card(card.clone()).await.unwrap();
        self.state.own_cards.insert(card.card.n(), card.card.hash());
        self.meets(&[self.user()]).await.unwrap();
    }

    /// Another device of the same person, which knows what this one knows.
    pub(super) async fn second_device(&self, world: &World) -> Self {
        let server = Server::new(&world.url).unwrap();
        let station = StationId::random();
        Self {
            email: self.email.clone(),
            session: server.login(&self.email, PASSWORD, station).await.unwrap(),
            sign: SigningKey::from_seed(self.sign.seed()).unwrap(),
            state: self.state.clone(),
            sent: 0,
        }
    }

    /// Renews the signing key.
    pub(super) async fn renews(&mut self) {
        let before = self.state.pins.cards(self.user()).last().unwrap();
        let (sign, pair) = (
            SigningKey::generate().unwrap(),
            &self.session.identity().pair,
        );
        let card = next_card(before, &sign, pair, Some(&self.sign)).unwrap();
        self.session.publish_card(card.clone()).await.unwrap();
        self.state.own_cards.insert(card.card.n(), card.card.hash());
        self.sign = sign;
        self.meets(&[self.user()]).await.unwrap();
    }

    pub(super) fn user(&self) -> UserId {
        self.session.user()
    }

    /// Becomes a friend of another one.
    pub(super) async fn befriends(&self, other: &Self) {
        self.session.add_friend(&other.email).await.unwrap();
        other.session.accept_friend(self.user()).await.unwrap();
    }

    pub(super) async fn meets(&mut self, users: &[UserId]) -> Result<Met, Error> {
        let users = users.iter().copied().collect();
        self.session.meet(&mut self.state, &users).await
    }

    /// The first epoch of a conversation of these users, who are met.
    async fn first_epoch(
        &mut self,
        id: ConversationId,
        users: &[UserId],
        admins: &[UserId],
    ) -> (NewEpoch, Met) {
        let met = self.meets(users).await.unwrap();
        let member = |user: &UserId| (*user, self.state.pins.member(*user, None).unwrap());
        let members: Members = users.iter().map(member).collect();
        let head = Head {
            seq: 0,
            chain: None,
        };
        let maker = Maker {
            user: self.user(),
            key: &self.sign,
        };
        let admins = admins.iter().copied().collect();
        (first_epoch(maker, id, members, admins, head).unwrap(), met)
    }

    /// Creates the direct conversation with a friend.
    pub(super) async fn creates(&mut self, friend: UserId) -> Talk {
        let id = ConversationId::between(self.user(), friend);
        let users = [self.user(), friend];
        let (epoch, met) = self.first_epoch(id, &users, &[]).await;
        let by = (self.user(), &self.sign);
        let name = seal_name(id, Epoch::FIRST, &epoch.secret, by, "The two").unwrap();
        let names = users.map(|user| (user, name.clone()));
        let created = self
            .session
            .create_encrypted(friend, &epoch, &met.keys, names.into());
        let conversation = created.await.unwrap();
        self.state.epochs.insert(id, epoch.accepted());
        Talk {
            conversation,
            secret: epoch.secret,
        }
    }

    /// Creates a group with friends.
    pub(super) async fn creates_group(&mut self, friends: &[UserId]) -> Talk {
        let id = ConversationId::random();
        let users: Vec<UserId> = friends.iter().copied().chain([self.user()]).collect();
        let (epoch, met) = self.first_epoch(id, &users, &[self.user()]).await;
        let by = (self.user(), &self.sign);
        let name = seal_name(id, Epoch::FIRST, &epoch.secret, by, "A group").unwrap();
        let created = self
            .session
            .create_encrypted_group(&epoch, &met.keys, name)
            .await;
        self.state.epochs.insert(id, epoch.accepted());
        Talk {
            conversation: created.unwrap().conversation,
            secret: epoch.secret,
        }
    }

    /// The one conversation that there is, followed to its newest epoch.
    pub(super) async fn follows(&mut self) -> Result<Talk, Error> {
        let listed = self.session.list().await?.into_iter().next();
        let mut conversation = listed.ok_or(Error::NotAParticipant)?;
        let followed = self
            .session
            .follow_epochs(&mut self.state, &mut conversation);
        Ok(Talk {
            secret: followed.await?,
            conversation,
        })
    }

    /// Begins the next epoch, also with other participants.
    pub(super) async fn rekeys(
        &mut self,
        talk: &mut Talk,
        add: &[UserId],
        remove: &[UserId],
    ) -> Result<(), Error> {
        let next = NextEpoch {
            add: add.iter().copied().collect(),
            remove: remove.iter().copied().collect(),
            head: self.head(talk).await?,
            name: Some("Another name"),
        };
        let conversation = &mut talk.conversation;
        let rekeyed = self
            .session
            .rekey(&mut self.state, &self.sign, conversation, &next);
        talk.secret = rekeyed.await?;
        Ok(())
    }

    /// The newest message.
    async fn head(&self, talk: &Talk) -> Result<Head, Error> {
        let (id, instance) = (talk.conversation.id, &talk.conversation.instance);
        let newest = self
            .session
            .download_before(id, instance, None, None, 1)
            .await?;
        Ok(match newest.messages.last() {
            Some(message) => Head {
                seq: message.seq,
                chain: Chain::parse(&message.chain),
            },
            None => Head {
                seq: 0,
                chain: Some(Chain::beginning(id, instance)),
            },
        })
    }

    /// Sends a text, in the newest epoch that is known; if there is another by now, in that. Returns its id.
    pub(super) async fn says(&mut self, text: &str, talk: &mut Talk) -> Result<MessageId, Error> {
        let draft = Draft {
            id: MessageId::random(),
            created: Timestamp::now(),
            body: Body {
                at: Timestamp::now().whole_seconds(),
                until: None,
                n: self.sent + 1,
                head: self.head(talk).await?,
                ep: None,
                log: Some(self.state.log.mark()),
                content: Content::Known(Kind::Text {
                    text: text.to_owned(),
                    reply: None,
                    mentions: vec![],
                }),
            },
        };
        let sent = self.session.add_sealed(
            &mut self.state,
            &self.sign,
            &mut talk.secret,
            &mut talk.conversation,
            &draft,
        );
        let stored = sent.await?;
        assert_eq!(stored.id, draft.id);
        self.sent += 1;
        Ok(draft.id)
    }

    /// The epochs that lead to the newest one that was followed, with the secrets of those that this person has.
    pub(super) async fn epochs(
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

    /// Reads all messages, with everything that a reader checks.
    pub(super) async fn reads(&self, talk: &Talk) -> Result<Vec<Read>, Error> {
        let (conversation, mut reading) = (&talk.conversation, Reading::default());
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
    pub(super) async fn hears(&self, talk: &Talk) -> Result<Vec<String>, Error> {
        let read = self.reads(talk).await?;
        Ok(read.into_iter().map(|message| message.text).collect())
    }
}

fn text(opened: &Opened) -> String {
    match &opened.body.content {
        Content::Known(Kind::Text { text, .. }) => text.clone(),
        other => panic!("{other:?}"),
    }
}

/// Who is in each epoch, from the first on: what the announcements, the newest first, say of it.
pub(super) fn rosters(
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
