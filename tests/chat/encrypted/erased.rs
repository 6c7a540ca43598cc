//! Messages whose content was erased: their links remain, and nothing is taken for lost.

use parlance_client::{NewMessage, Reader, e2ee::Kind};

use super::channel;
use crate::client::Relay;

#[tokio::test]
async fn a_message_whose_content_was_erased_is_not_taken_for_lost() {
    let (world, [mut ann, mut ben], [mut anns, mut bens]) = channel().await;
    let id = anns.conversation.id;
    let instance = anns.conversation.instance.clone();
    // Before and after the list was made, and between messages of others.
    for (lists_again, ben_answers) in [(false, false), (true, false), (true, true), (false, true)] {
        let (session, state) = (&ann.session, &mut ann.state);
        let (conversation, mut reader) = (&mut anns.conversation, Reader::new());
        session
            .read(state, conversation, &mut reader)
            .await
            .unwrap();
        let text = NewMessage::new(Kind::Text {
            text: "Erased".to_owned(),
            reply: None,
            mentions: vec![],
        });
        let said = session.say(state, &ann.sign, conversation, &reader, text);
        let said = said.await.unwrap().id;
        assert_eq!(state.reading(id, &instance).stored(), Some(said));
        let erased = session.erase(id, &instance, vec![said]).await.unwrap();
        assert_eq!(erased, [said]);
        if ben_answers {
            ben.says("An answer", &mut bens).await.unwrap();
        }
        if lists_again {
            *conversation = session.listed(id).await.unwrap();
        }
        session
            .read(state, conversation, &mut reader)
            .await
            .unwrap();
        assert_eq!(state.reading(id, &instance).stored(), None);
    }
    world.end().await;
}

#[tokio::test]
async fn a_message_that_comes_while_links_are_followed_is_read_next() {
    let (world, [mut ann, mut ben], [mut anns, mut bens]) = channel().await;
    let relay = Relay::open().await;
    relay.leads_to(&world);
    ann.moves(&relay.url).await;
    let (id, instance) = (anns.conversation.id, anns.conversation.instance.clone());
    let erased = ben.says("Erased", &mut bens).await.unwrap();
    ben.session
        .erase(id, &instance, vec![erased])
        .await
        .unwrap();
    anns.conversation = ann.session.listed(id).await.unwrap();
    let mut reader = Reader::new();
    // It has asked for messages, and asks for links now.
    relay.holds.send_replace(Some("\"transcript\""));
    let meanwhile = async {
        relay.held.notified().await;
        let said = ben.says("Meanwhile", &mut bens).await.unwrap();
        relay.holds.send_replace(None);
        said
    };
    let (read, said) = tokio::join!(ann.reads_on(&mut anns.conversation, &mut reader), meanwhile);
    assert!(read.unwrap().is_empty());
    let read = ann.reads_on(&mut anns.conversation, &mut reader).await;
    let read = read.unwrap();
    assert_eq!(read[0].message.id, said);
    assert!(read[0].content.is_ok(), "{:?}", read[0].content);
    world.end().await;
}
