//! A person with a client of version 4, which checks everything from the server.

use std::collections::BTreeSet;

use parlance_client::{
    ConversationId, Draft, Error, MessageId, Met, NewUser, NextEpoch, Server, Session, StationId,
    Timestamp, UserId,
    answer::Conversation,
    e2ee::{
        Body, Content, Epoch, EpochSecret, Head, Kind, Maker, Members, NewEpoch, SigningKey, State,
        first_card, first_epoch, next_card, seal_name,
    },
};
use parlance_wire::{chain::Chain, text::Email};

use crate::world::World;

pub(crate) const PASSWORD: &str = "a long password";

/// A person at one station.
pub(crate) struct Person {
    pub email: String,
    pub session: Session,
    pub sign: SigningKey,
    pub state: State,
    /// Number of messages that were sent from here.
    sent: u64,
}

/// A conversation, as far as a person has followed it.
pub(crate) struct Channel {
    pub conversation: Conversation,
    pub secret: EpochSecret,
}

impl Person {
    /// A new user with a card.
    pub(crate) async fn new(world: &World, name: &str) -> Self {
        let mut person = Self::registers(world, name, None).await;
        person.publishes_first_card().await;
        person
    }

    /// A user who registers, with an invitation's code or without, and has not published a card.
    pub(crate) async fn registers(world: &World, name: &str, invite: Option<&str>) -> Self {
        let server = Server::new(&world.url).unwrap();
        let email = format!("{}@example.org", name.to_lowercase());
        let new = NewUser {
            email: &email,
            fullname: name,
            nick: name,
            invite,
        };
        server.register(&new, PASSWORD).await.unwrap();
        let session = server.login(&email, PASSWORD, StationId::random()).await;
        let session = session.unwrap();
        Self {
            state: session.begin_key_log().await.unwrap(),
            sign: SigningKey::generate().unwrap(),
            email,
            session,
            sent: 0,
        }
    }

    /// The same user, who has lost the password, and registered again with an operator's reset.
    pub(crate) async fn resets(&self, world: &World) -> Self {
        let code = "the code of a reset";
        world
            .sql(&format!(
                "insert into invites (code_hash, purpose, email, created_at, expires_at)
                values (sha256('{code}'), 'reset', '{}', now(), now() + interval '1 day')",
                self.email
            ))
            .await;
        let name = &self.session.login().nick;
        Self::registers(world, name, Some(code)).await
    }

    pub(crate) async fn publishes_first_card(&mut self) {
        let before = self.state.log.newest(self.user()).unwrap();
        let email = Email::parse(&self.email).unwrap();
        let (server, pair) = (self.state.pins.server(), &self.session.identity().pair);
        let card = first_card(email, server, &self.sign, pair, before).unwrap();
        self.session.publish_card(card.clone()).await.unwrap();
        // Repeated, as after a lost answer.
        self.session.publish_card(card.clone()).await.unwrap();
        self.state.own_cards.insert(card.card.n(), card.card.hash());
        self.meets(&[self.user()]).await.unwrap();
    }

    /// Another device of the same person, with the same state.
    pub(crate) async fn second_device(&self, world: &World) -> Self {
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
    pub(crate) async fn renews(&mut self) {
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

    pub(crate) fn user(&self) -> UserId {
        self.session.user()
    }

    /// Befriends another person.
    pub(crate) async fn befriends(&self, other: &Self) {
        self.session.add_friend(&other.email).await.unwrap();
        other.session.accept_friend(self.user()).await.unwrap();
    }

    pub(crate) async fn meets(&mut self, users: &[UserId]) -> Result<Met, Error> {
        let users = users.iter().copied().collect();
        self.session.meet(&mut self.state, &users).await
    }

    /// The first epoch of a conversation of these users, whose keys are known.
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
    pub(crate) async fn creates(&mut self, friend: UserId) -> Channel {
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
        Channel {
            conversation,
            secret: epoch.secret,
        }
    }

    /// Creates a group with friends.
    pub(crate) async fn creates_group(&mut self, friends: &[UserId]) -> Channel {
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
        Channel {
            conversation: created.unwrap().conversation,
            secret: epoch.secret,
        }
    }

    /// The only conversation, followed to its newest epoch.
    pub(crate) async fn follows(&mut self) -> Result<Channel, Error> {
        let listed = self.session.list().await?.into_iter().next();
        let mut conversation = listed.ok_or(Error::NotAParticipant)?;
        let followed = self
            .session
            .follow_epochs(&mut self.state, &mut conversation);
        Ok(Channel {
            secret: followed.await?,
            conversation,
        })
    }

    /// Begins the next epoch, also with other participants.
    pub(crate) async fn rekeys(
        &mut self,
        channel: &mut Channel,
        add: &[UserId],
        remove: &[UserId],
    ) -> Result<(), Error> {
        let next = NextEpoch {
            add: add.iter().copied().collect(),
            admins: None,
            remove: remove.iter().copied().collect(),
            head: self.head(channel).await?,
            name: Some("Another name"),
        };
        self.begins(channel, &next).await
    }

    /// Begins the next epoch, with these admins.
    pub(crate) async fn appoints(
        &mut self,
        channel: &mut Channel,
        admins: &[UserId],
    ) -> Result<(), Error> {
        let next = NextEpoch {
            add: BTreeSet::new(),
            admins: Some(admins.iter().copied().collect()),
            remove: BTreeSet::new(),
            head: self.head(channel).await?,
            name: None,
        };
        self.begins(channel, &next).await
    }

    async fn begins(&mut self, channel: &mut Channel, next: &NextEpoch<'_>) -> Result<(), Error> {
        let conversation = &mut channel.conversation;
        let rekeyed = self
            .session
            .rekey(&mut self.state, &self.sign, conversation, next);
        channel.secret = rekeyed.await?;
        Ok(())
    }

    /// The newest message.
    async fn head(&self, channel: &Channel) -> Result<Head, Error> {
        let (id, instance) = (channel.conversation.id, &channel.conversation.instance);
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

    /// Sends a text in the newest known epoch or, if there is a newer one, in that. Returns its id.
    pub(crate) async fn says(
        &mut self,
        text: &str,
        channel: &mut Channel,
    ) -> Result<MessageId, Error> {
        let draft = Draft {
            id: MessageId::random(),
            created: Timestamp::now(),
            body: Body {
                at: Timestamp::now().whole_seconds(),
                until: None,
                n: self.sent + 1,
                head: self.head(channel).await?,
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
            &mut channel.secret,
            &mut channel.conversation,
            &draft,
        );
        let stored = sent.await?;
        assert_eq!(stored.id, draft.id);
        self.sent += 1;
        Ok(draft.id)
    }
}
