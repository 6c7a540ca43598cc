//! End-to-end encryption, from client to client, through a real server: and a server that changes what it keeps.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use parlance_client::{
    ErrorCode, MessageId, NewUser, Server, Session, StationId, Timestamp, UserId,
    answer::Conversation,
    e2ee::{
        Body, Content, Envelope, EpochSecret, Epochs, Error, Head, Kind, Maker, Members, NewEpoch,
        Opened, Reading, Sealed, SigningKey, State, View, first_card, first_epoch, next_card, seal,
        seal_name,
    },
};
use parlance_wire::{
    chain::Chain,
    key::PublicKey,
    request::conversation::SentMessage,
    text::{Email, MessageType},
};

use crate::world::World;

const PASSWORD: &str = "a long password";

/// A person with a client of version 4.
struct Person {
    session: Session,
    sign: SigningKey,
    state: State,
    keys: BTreeMap<UserId, PublicKey>,
}

impl Person {
    async fn new(world: &World, name: &str) -> Self {
        let server = Server::new(&world.url).unwrap();
        let email = format!("{}@example.org", name.to_lowercase());
        let new = NewUser {
            email: &email,
            fullname: name,
            nick: name,
            invite: None,
        };
        server.register(&new, PASSWORD).await.unwrap();
        let station = StationId::random();
        let session = server.login(&email, PASSWORD, station).await.unwrap();
        let log = session.key_log(0).await.unwrap();
        let mut state = State::new(log.head.server(), log.key);
        let sign = SigningKey::generate().unwrap();
        let email = Email::parse(&email).unwrap();
        let pair = &session.identity().pair;
        let card = first_card(email, state.pins.server(), &sign, pair).unwrap();
        session.publish_card(card.clone()).await.unwrap();
        // Again, as after a lost answer.
        session.publish_card(card.clone()).await.unwrap();
        let own = PublicKey::parse(pair.public_key()).unwrap();
        state.own_cards.insert(1, card.card.hash());
        state.pins.offer(session.user(), &[card], &own).unwrap();
        Self {
            keys: BTreeMap::from([(session.user(), own)]),
            session,
            sign,
            state,
        }
    }

    fn user(&self) -> UserId {
        self.session.user()
    }

    fn maker(&self) -> Maker<'_> {
        Maker {
            user: self.session.user(),
            key: &self.sign,
        }
    }

    /// Fetches the cards of all friends, and the key log, and compares them.
    async fn meets(&mut self) {
        for friend in self.session.friends().await.unwrap().friends {
            let key = PublicKey::parse(&friend.publickey).unwrap();
            let asked = BTreeSet::from([friend.friendid]);
            let answer = self.session.cards(asked, BTreeMap::new()).await.unwrap();
            let cards = &answer.cards[&friend.friendid];
            self.state.pins.offer(friend.friendid, cards, &key).unwrap();
            self.keys.insert(friend.friendid, key);
        }
        let State {
            log,
            own_cards,
            pins,
            ..
        } = &mut self.state;
        self.session.follow_key_log(log, own_cards).await.unwrap();
        for user in self.keys.keys() {
            log.check_card(pins.get(*user).unwrap().card().unwrap())
                .unwrap();
        }
    }

    fn members(&self, users: &[UserId]) -> Members {
        let member = |user: &UserId| (*user, self.state.pins.member(*user, None).unwrap());
        users.iter().map(member).collect()
    }

    async fn conversation(&self) -> Conversation {
        self.session
            .list()
            .await
            .unwrap()
            .into_iter()
            .next()
            .unwrap()
    }

    /// What the server shows of its newest epoch, believed as far as it can be.
    async fn follows(&mut self) -> Result<NewestEpoch, Error> {
        let conversation = self.conversation().await;
        let newest = conversation.epochs.first().expect("an epoch");
        let pins = &self.state.pins;
        let epochs = match self.state.epochs.get(&conversation.id) {
            None => Epochs::begin(
                conversation.id,
                &newest.announcement,
                self.members(&conversation.participantids),
                |user| pins.cards(user),
            )?,
            Some(known) => {
                let mut epochs = known.clone();
                let page = self.session.epochs(conversation.id, None).await.unwrap();
                let mut news: Vec<_> = page
                    .epochs
                    .into_iter()
                    .map(|one| one.announcement)
                    .filter(|one| one.announcement.epoch() > known.newest().epoch())
                    .collect();
                news.reverse();
                epochs.follow(
                    &news,
                    |user| pins.cards(user),
                    |user| pins.member(user, None),
                )?;
                epochs
            }
        };
        epochs.check_participants(&conversation.participantids.iter().copied().collect())?;
        let secret = epochs.secret(newest.secret.as_str(), &self.session.identity().pair)?;
        self.state.epochs.insert(conversation.id, epochs.clone());
        Ok(NewestEpoch {
            conversation,
            epochs,
            secret,
        })
    }

    /// Sends a text in the newest epoch that is known.
    async fn says(
        &mut self,
        text: &str,
        epoch: &NewestEpoch,
    ) -> Result<(), parlance_client::Error> {
        let conversation = &epoch.conversation;
        let (user, station) = (self.user(), self.session.identity().station);
        let page = self.page(epoch).await;
        let head = match page.last() {
            Some(message) => Head {
                seq: message.seq,
                chain: Chain::parse(&message.chain),
            },
            None => Head {
                seq: 0,
                chain: Some(Chain::beginning(conversation.id, &conversation.instance)),
            },
        };
        let sent = page
            .iter()
            .filter(|one| (one.user, one.station) == (user, station));
        let body = Body {
            at: Timestamp::now().whole_seconds(),
            until: None,
            n: u64::try_from(sent.count()).unwrap() + 1,
            head,
            ep: Some(epoch.epochs.newest().hash()),
            log: Some(self.state.log.mark()),
            content: Content::Known(Kind::Text {
                text: text.to_owned(),
                reply: None,
                mentions: vec![],
            }),
        };
        let envelope = Envelope {
            conversation: conversation.id,
            instance: &conversation.instance,
            id: MessageId::random(),
            user,
            station,
            r#type: "Message",
        };
        let number = epoch.epochs.newest().epoch();
        let message = SentMessage {
            id: envelope.id,
            r#type: MessageType::parse("Message").unwrap(),
            created: Timestamp::now(),
            valid_until: None,
            data: seal(&envelope, number, &epoch.secret, &self.sign, &body).unwrap(),
        };
        let (id, instance) = (conversation.id, &conversation.instance);
        let stored = self.session.add_sealed(id, instance, number, message);
        stored.await.map(|_| ())
    }

    async fn page(&self, epoch: &NewestEpoch) -> Vec<parlance_client::answer::Message> {
        let conversation = &epoch.conversation;
        let (id, instance) = (conversation.id, &conversation.instance);
        let page = self.session.download_before(id, instance, None, None, 500);
        page.await.unwrap().messages
    }

    /// Reads all messages, with everything that a reader checks. `epochs` are all that there were.
    async fn reads(&self, epochs: &[&NewestEpoch]) -> Result<Vec<String>, Error> {
        let mut chains = BTreeMap::new();
        let mut read = vec![];
        let mut reading = Reading::default();
        let conversation = &epochs[0].conversation;
        for message in self.page(epochs[0]).await {
            let envelope = Envelope {
                conversation: conversation.id,
                instance: &conversation.instance,
                id: message.id,
                user: message.user,
                station: message.station,
                r#type: &message.r#type,
            };
            let sealed = Sealed::message(message.data.as_str())?;
            let epoch = epochs
                .iter()
                .find(|one| one.epochs.newest().epoch() == sealed.epoch())
                .expect("its epoch");
            let cards = self.state.pins.cards(message.user);
            let opened = sealed.open(&envelope, &epoch.secret, cards)?;
            let view = View {
                seq: message.seq,
                chain_at: &|seq| chains.get(&seq).copied(),
                announcement: epoch.epochs.newest(),
                log: &self.state.log,
                has_all: true,
            };
            reading.check(&envelope, &opened, &view)?;
            read.push(text(&opened));
            chains.insert(message.seq, Chain::parse(&message.chain).unwrap());
        }
        Ok(read)
    }
}

struct NewestEpoch {
    conversation: Conversation,
    epochs: Epochs,
    secret: EpochSecret,
}

fn text(opened: &Opened) -> String {
    match &opened.body.content {
        Content::Known(Kind::Text { text, .. }) => text.clone(),
        other => panic!("{other:?}"),
    }
}

/// Ann and Ben, friends who have each other's cards.
async fn friends() -> (Arc<World>, Person, Person) {
    let world = World::new().await;
    let mut ann = Person::new(&world, "Ann").await;
    let mut ben = Person::new(&world, "Ben").await;
    ann.session.add_friend("ben@example.org").await.unwrap();
    ben.session.accept_friend(ann.user()).await.unwrap();
    ann.meets().await;
    ben.meets().await;
    (world, ann, ben)
}

/// Their conversation, made by Ann.
async fn creates(ann: &Person, ben: &Person) -> NewEpoch {
    let id = parlance_client::ConversationId::between(ann.user(), ben.user());
    let members = ann.members(&[ann.user(), ben.user()]);
    let head = Head {
        seq: 0,
        chain: None,
    };
    let epoch = first_epoch(ann.maker(), id, members, BTreeSet::new(), head).unwrap();
    let maker = (ann.user(), &ann.sign);
    let number = epoch.announcement.announcement.epoch();
    let name = seal_name(id, number, &epoch.secret, maker, "Ann and Ben").unwrap();
    let names = BTreeMap::from([(ann.user(), name.clone()), (ben.user(), name)]);
    let created = ann
        .session
        .create_encrypted(ben.user(), &epoch, &ann.keys, names);
    created.await.unwrap();
    epoch
}

#[tokio::test]
async fn what_one_seals_another_reads_across_epochs_and_cards() {
    let (world, mut ann, mut ben) = friends().await;
    creates(&ann, &ben).await;
    let (anns, bens) = (ann.follows().await.unwrap(), ben.follows().await.unwrap());
    ann.says("Hello", &anns).await.unwrap();
    ben.says("Hi", &bens).await.unwrap();
    ann.says("How are you?", &anns).await.unwrap();
    let all = ["Hello", "Hi", "How are you?"];
    assert_eq!(ben.reads(&[&bens]).await.unwrap(), all);

    // Ben renews his key. Ann sees it, and begins the next epoch.
    let sign = SigningKey::generate().unwrap();
    let before = ben
        .state
        .pins
        .get(ben.user())
        .unwrap()
        .card()
        .unwrap()
        .clone();
    let pair = &ben.session.identity().pair;
    let card = next_card(&before, &sign, pair, Some(&ben.sign)).unwrap();
    ben.session.publish_card(card.clone()).await.unwrap();
    let own = PublicKey::parse(pair.public_key()).unwrap();
    ben.state.own_cards.insert(2, card.card.hash());
    ben.state.pins.offer(ben.user(), &[card], &own).unwrap();
    ben.sign = sign;
    ann.meets().await;
    let head = anns.epochs.newest().head();
    let members = ann.members(&[ann.user(), ben.user()]);
    let next = anns
        .epochs
        .rekey(ann.maker(), members, BTreeSet::new(), head)
        .unwrap();
    let (keys, instance) = (&ann.keys, &anns.conversation.instance);
    let rekeyed = ann
        .session
        .announce(instance, &next, keys, BTreeMap::new(), BTreeSet::new());
    assert_eq!(rekeyed.await.unwrap().epoch, 2);

    // What is sealed with the old secret is not stored, and Ben goes on with the new one.
    let stale = ben.says("Too late", &bens).await.unwrap_err();
    assert_eq!(stale.code(), Some(ErrorCode::StaleEpoch));
    ben.meets().await;
    let bens_second = ben.follows().await.unwrap();
    assert_eq!(bens_second.epochs, next.accepted());
    ben.says("In time", &bens_second).await.unwrap();
    let anns_second = ann.follows().await.unwrap();
    let all = ["Hello", "Hi", "How are you?", "In time"];
    assert_eq!(ann.reads(&[&anns, &anns_second]).await.unwrap(), all);
    assert_eq!(ben.reads(&[&bens, &bens_second]).await.unwrap(), all);
    world.end().await;
}

#[tokio::test]
async fn a_server_that_changes_what_it_keeps_is_caught() {
    let (world, mut ann, mut ben) = friends().await;
    let epoch = creates(&ann, &ben).await;
    let anns = ann.follows().await.unwrap();
    ann.says("One", &anns).await.unwrap();
    ann.says("Two", &anns).await.unwrap();
    let bens = ben.follows().await.unwrap();
    assert_eq!(ben.reads(&[&bens]).await.unwrap(), ["One", "Two"]);

    // A secret of its own in the place of Ann's.
    let other = EpochSecret::generate().unwrap();
    let wrapped = other.wrap(&ben.keys[&ben.user()]).unwrap();
    for table in ["participants", "epoch_secrets"] {
        world
            .sql(&format!(
                "update {table} set secret = '{}'",
                wrapped.as_str()
            ))
            .await;
    }
    assert!(matches!(ben.follows().await, Err(Error::WrongSecret)));
    let wrapped = epoch.wrap(&ann.keys).unwrap();
    let mine = &wrapped[&ben.user()];
    for table in ["participants", "epoch_secrets"] {
        world
            .sql(&format!("update {table} set secret = '{}'", mine.as_str()))
            .await;
    }
    ben.follows().await.unwrap();

    // Ann's second message in Ben's name.
    let row = format!(
        "update messages set user_id = '{}' where seq = 2",
        ben.user()
    );
    world.sql(&row).await;
    // Pages may be kept in memory: another node has read nothing yet.
    let node = world.another().await;
    let server = Server::new(&node.url).unwrap();
    let station = ben.session.identity().station;
    ben.session = server
        .login("ben@example.org", PASSWORD, station)
        .await
        .unwrap();
    assert!(matches!(ben.reads(&[&bens]).await, Err(Error::Relabelled)));
    node.stop().await;
}
