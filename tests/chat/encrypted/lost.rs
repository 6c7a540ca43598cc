//! Messages whose answers were lost: each number is used once, and no message is missing.

use std::time::Duration;

use parlance_client::{
    ErrorCode, MessageId, NewMessage, Reader, Retry, Server,
    answer::{Conversation, Stored},
    e2ee::Kind,
};

use super::{
    channel,
    person::{PASSWORD, Person},
};
use crate::client::Relay;

async fn says(
    person: &mut Person,
    conversation: &mut Conversation,
    id: MessageId,
) -> Result<Stored, parlance_client::Error> {
    let kind = Kind::Text {
        text: "Hello".into(),
        reply: None,
        mentions: vec![],
    };
    let message = NewMessage {
        id,
        ..NewMessage::new(kind)
    };
    // Nothing was read meanwhile.
    let reader = Reader::new();
    let (state, sign) = (&mut person.state, &person.sign);
    let said = person
        .session
        .say(state, sign, conversation, &reader, message);
    said.await
}

#[tokio::test]
async fn no_number_is_used_twice_when_an_answer_was_lost() {
    let (world, [mut ann, mut ben], [mut anns, mut bens]) = channel().await;
    let relay = Relay::open().await;
    relay.leads_to(&world);
    let retry = Retry {
        attempts: 1,
        timeout: Duration::from_secs(5),
        ..Retry::default()
    };
    let server = Server::with_retry(&relay.url, retry).unwrap();
    let station = ann.session.identity().station;
    ann.session = server.login(&ann.email, PASSWORD, station).await.unwrap();
    let conversation = &mut anns.conversation;
    let [one, two, three] = [(); 3].map(|()| MessageId::random());
    let loses = |text| *relay.loses.lock().unwrap() = text;

    // Stored, but nobody knows. Sent again, it is the same message.
    loses(Some("\"add\""));
    let lost = says(&mut ann, conversation, one).await.unwrap_err();
    assert!(lost.is_uncertain(), "{lost}");
    loses(None);
    let again = says(&mut ann, conversation, one).await.unwrap_err();
    assert_eq!(again.code(), Some(ErrorCode::MessageIdConflict));
    // Stored, and given up: another one follows.
    loses(Some("\"add\""));
    says(&mut ann, conversation, two).await.unwrap_err();
    loses(None);
    says(&mut ann, conversation, three).await.unwrap();

    let (mut reader, state) = (Reader::new(), &mut ben.state);
    let read = ben
        .session
        .read(state, &mut bens.conversation, &mut reader)
        .await
        .unwrap();
    let ids: Vec<MessageId> = read.iter().map(|one| one.message.id).collect();
    assert_eq!(ids, [one, two, three]);
    for received in &read {
        assert!(received.problem.is_none(), "{:?}", received.problem);
        received.content.as_ref().unwrap();
    }
    world.end().await;
}
