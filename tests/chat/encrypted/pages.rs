//! Reading while other things happen: pages that fail, epochs that begin, conversations that are cleared. No message is
//! lost, and nobody is suspected.

use std::time::Duration;

use parlance_client::{
    Draft, Error, History, MessageId, NewMessage, Reader, Received, Retry, Server, Timestamp,
    answer::Conversation,
    e2ee::{Body, Content, Error as Wrong, Kind, LogMark},
};

use super::{
    channel,
    person::{Channel, PASSWORD, Person},
    tampered::messages::RECHAINED,
};
use crate::{client::Relay, world::World};

impl Person {
    /// Reads on.
    pub(super) async fn reads_on(
        &mut self,
        conversation: &mut Conversation,
        reader: &mut Reader,
    ) -> Result<Vec<Received>, Error> {
        self.session
            .read(&mut self.state, conversation, reader)
            .await
    }

    /// Sends a text after what was read.
    async fn replies(
        &mut self,
        conversation: &mut Conversation,
        reader: &Reader,
    ) -> Result<MessageId, Error> {
        let message = NewMessage::new(text("Hello"));
        let (state, sign) = (&mut self.state, &self.sign);
        let said = self.session.say(state, sign, conversation, reader, message);
        Ok(said.await?.id)
    }

    /// Sends a text after what was read, with this number, and what it says of the key log.
    async fn numbers(
        &mut self,
        conversation: &mut Conversation,
        reader: &mut Reader,
        n: u64,
        log: LogMark,
    ) -> MessageId {
        self.reads_on(conversation, reader).await.unwrap();
        let (session, state) = (&self.session, &mut self.state);
        let mut secret = session.follow_epochs(state, conversation).await.unwrap();
        let draft = Draft {
            id: MessageId::random(),
            created: Timestamp::now(),
            body: Body {
                at: Timestamp::now().whole_seconds(),
                until: None,
                n,
                head: state.heads[&conversation.id].1,
                ep: None,
                log: Some(log),
                content: Content::Known(text("Hello")),
            },
        };
        let sent = session.add_sealed(state, &self.sign, &mut secret, conversation, &draft);
        sent.await.unwrap();
        draft.id
    }

    /// Logs in there, at the same station; each call is made once.
    pub(super) async fn moves(&mut self, url: &str) {
        let retry = Retry {
            attempts: 1,
            timeout: Duration::from_secs(30),
            ..Retry::default()
        };
        let server = Server::with_retry(url, retry).unwrap();
        let station = self.session.identity().station;
        let session = server.login(&self.email, PASSWORD, station).await;
        self.session = session.unwrap();
    }
}

fn text(text: &str) -> Kind {
    Kind::Text {
        text: text.to_owned(),
        reply: None,
        mentions: vec![],
    }
}

/// Adds rows like the first one, which a reader finds to be no messages.
async fn adds_rows(world: &World, rows: u32) {
    let sql = format!(
        "insert into messages (conversation_id, seq, message_id, instance, user_id, station_id, type, created_at, valid_until, data, chain)
        select conversation_id, seq + n, gen_random_uuid(), instance, user_id, station_id, type, created_at, valid_until, data, chain
        from messages, generate_series(1, {rows}) n where seq = 1;
        update conversations set last_seq = 1 + {rows}; {RECHAINED}"
    );
    world.sql(&sql).await;
}

fn ids(read: &[Received]) -> Vec<MessageId> {
    read.iter().map(|one| one.message.id).collect()
}

#[tokio::test]
async fn what_was_read_before_a_page_failed_is_read_again() {
    let (world, [mut ann, mut ben], [mut anns, bens]) = channel().await;
    ann.says("One", &mut anns).await.unwrap();
    let (anns, mut anns_reader) = (&mut anns.conversation, Reader::new());
    ann.reads_on(anns, &mut anns_reader).await.unwrap();
    let (mut conversation, mut reader) = (bens.conversation, Reader::new());
    ben.reads_on(&mut conversation, &mut reader).await.unwrap();
    let listed = ben.session.list().await.unwrap().remove(0);
    let mut history = History::end(&listed);
    adds_rows(&world, 1500).await;
    // Pages may be cached, but another node has read nothing yet.
    let node = world.another().await;
    let relay = Relay::open().await;
    relay.leads_to(&node);
    ben.moves(&relay.url).await;
    let first = history.next_page(&ben.session).await.unwrap();
    assert!(first.hasmore);
    let last = first.messages.last().unwrap().id.to_string();
    *relay.loses.lock().unwrap() = Some(&*last.leak());
    let refused = ben.reads_on(&mut conversation, &mut reader).await;
    assert!(matches!(refused, Err(Error::Transport(_))), "{refused:?}");
    *relay.loses.lock().unwrap() = None;
    let read = ben.reads_on(&mut conversation, &mut reader).await.unwrap();
    assert_eq!(read.len(), 1500);
    assert_eq!(read[0].message.id, first.messages[0].id);

    // A call that is given up is as if it had not been made.
    ann.moves(&relay.url).await;
    ann.reads_on(anns, &mut anns_reader).await.unwrap();
    // Her log is longer than his: he follows it while he checks what she says.
    Person::new(&world, "Cleo").await;
    let said = ann.replies(anns, &anns_reader).await.unwrap();
    relay.holds.send_replace(Some("\"log\""));
    tokio::select! {
        biased;
        _ = ben.reads_on(&mut conversation, &mut reader) => panic!("it is held back"),
        () = relay.held.notified() => {}
    }
    relay.holds.send_replace(None);
    let read = ben.reads_on(&mut conversation, &mut reader).await.unwrap();
    assert_eq!(ids(&read), [said]);
    assert!(read[0].problem.is_none(), "{:?}", read[0].problem);
    node.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn a_head_before_the_oldest_message_that_was_read_is_not_suspected() {
    let (world, [mut ann, mut ben], [mut anns, mut bens]) = channel().await;
    ann.says("One", &mut anns).await.unwrap();
    let (anns, mut reader) = (&mut anns.conversation, Reader::new());
    ann.reads_on(anns, &mut reader).await.unwrap();
    adds_rows(&world, 600).await;
    let node = world.another().await;
    ann.moves(&node.url).await;
    ben.moves(&node.url).await;
    // She has read the first one of all.
    let said = ann.replies(anns, &reader).await.unwrap();
    let read = ben
        .reads_on(&mut bens.conversation, &mut Reader::new())
        .await
        .unwrap();
    let last = read.last().unwrap();
    assert_eq!(last.message.id, said);
    assert!(last.problem.is_none(), "{:?}", last.problem);
    node.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn a_message_of_an_epoch_that_begins_meanwhile_is_opened() {
    let (world, [mut ann, mut ben], [mut anns, mut bens]) = channel().await;
    let relay = Relay::open().await;
    relay.leads_to(&world);
    ben.moves(&relay.url).await;
    let mut reader = Reader::new();
    ben.reads_on(&mut bens.conversation, &mut reader)
        .await
        .unwrap();
    // It has followed the epochs, and asks for messages now.
    relay.holds.send_replace(Some("\"download\""));
    let meanwhile = async {
        relay.held.notified().await;
        ann.rekeys(&mut anns, &[], &[]).await.unwrap();
        let said = ann.says("In the second", &mut anns).await.unwrap();
        relay.holds.send_replace(None);
        said
    };
    let (read, said) = tokio::join!(ben.reads_on(&mut bens.conversation, &mut reader), meanwhile);
    let read = read.unwrap();
    assert_eq!(ids(&read), [said]);
    assert!(read[0].content.is_ok(), "{:?}", read[0].content);
    assert!(read[0].problem.is_none(), "{:?}", read[0].problem);
    assert_eq!(bens.conversation.epoch, 2);
    world.end().await;
}

#[tokio::test]
async fn nothing_is_said_after_what_was_read_before_a_conversation_was_cleared() {
    let (world, [mut ann, mut ben], [mut anns, bens]) = channel().await;
    ann.says("One", &mut anns).await.unwrap();
    let (anns, mut reader) = (&mut anns.conversation, Reader::new());
    ann.reads_on(anns, &mut reader).await.unwrap();
    let (id, instance) = (bens.conversation.id, &bens.conversation.instance);
    let cleared = ben.session.clear(id, instance).await.unwrap();
    let mut cleared = Channel {
        conversation: cleared,
        ..bens
    };
    ben.rekeys(&mut cleared, &[], &[]).await.unwrap();
    // The new epoch makes her list it again; what she has read is of the instance before.
    let refused = ann.replies(anns, &reader).await.unwrap_err();
    assert!(refused.to_string().contains("cleared"), "{refused}");
    ann.reads_on(anns, &mut reader).await.unwrap();
    ann.replies(anns, &reader).await.unwrap();
    let read = ben
        .reads_on(&mut cleared.conversation, &mut Reader::new())
        .await
        .unwrap();
    assert_eq!(read.len(), 1);
    assert!(read[0].problem.is_none(), "{:?}", read[0].problem);
    world.end().await;
}

#[tokio::test]
async fn one_wrong_message_is_one_problem() {
    let (world, [mut ann, mut ben], [mut anns, mut bens]) = channel().await;
    let LogMark(size, root) = ann.state.log.mark();
    let good = ann.state.log.mark();
    let (anns, mut reader) = (&mut anns.conversation, Reader::new());
    for (n, log) in [(1, LogMark(size - 1, root)), (2, good)] {
        ann.numbers(anns, &mut reader, n, log).await;
    }
    let read = ben
        .reads_on(&mut bens.conversation, &mut Reader::new())
        .await
        .unwrap();
    assert!(
        matches!(read[0].problem, Some(Wrong::DifferentLog)),
        "{:?}",
        read[0].problem
    );
    assert!(read[1].problem.is_none(), "{:?}", read[1].problem);
    world.end().await;
}

#[tokio::test]
async fn a_missing_message_is_noticed_again_after_contents_were_deleted() {
    let (world, [mut ann, mut ben], [mut anns, mut bens]) = channel().await;
    let (anns, mut reader) = (&mut anns.conversation, Reader::new());
    let (id, instance) = (anns.id, anns.instance.clone());
    let mut said = vec![];
    for n in 1..=3 {
        let log = ann.state.log.mark();
        said.push(ann.numbers(anns, &mut reader, n, log).await);
    }
    let erased = ann.session.erase(id, &instance, vec![said[1]]).await;
    erased.unwrap();
    let (conversation, mut bens_reader) = (&mut bens.conversation, Reader::new());
    let read = ben.reads_on(conversation, &mut bens_reader).await.unwrap();
    assert_eq!(ids(&read), [said[0], said[2]]);
    assert!(read.iter().all(|one| one.problem.is_none()), "{read:?}");
    // The fifth is missing.
    for n in [4, 6] {
        let log = ann.state.log.mark();
        said.push(ann.numbers(anns, &mut reader, n, log).await);
    }
    let read = ben.reads_on(conversation, &mut bens_reader).await.unwrap();
    assert_eq!(ids(&read), said[3..]);
    assert!(read[0].problem.is_none(), "{:?}", read[0].problem);
    let missing = Some(Wrong::MissingMessages {
        expected: 5,
        found: 6,
    });
    assert_eq!(format!("{:?}", read[1].problem), format!("{missing:?}"));
    // The newest one is deleted before anybody has read it.
    let log = ann.state.log.mark();
    let newest = ann.numbers(anns, &mut reader, 7, log).await;
    let erased = ann.session.erase(id, &instance, vec![newest]).await;
    erased.unwrap();
    *conversation = ben.session.list().await.unwrap().remove(0);
    let read = ben.reads_on(conversation, &mut bens_reader).await.unwrap();
    assert!(read.is_empty(), "{read:?}");
    let log = ann.state.log.mark();
    let next = ann.numbers(anns, &mut reader, 8, log).await;
    let read = ben.reads_on(conversation, &mut bens_reader).await.unwrap();
    assert_eq!(ids(&read), [next]);
    assert!(read[0].problem.is_none(), "{:?}", read[0].problem);
    world.end().await;
}
