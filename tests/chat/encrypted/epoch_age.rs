//! Epochs that have lasted long enough, and messages that expire.

use parlance_client::{
    NewMessage, Reader, Timestamp,
    e2ee::{Body, Kind},
};
use parlance_wire::e2ee::Epoch;

use super::{channel, person::Channel, person::Person};

fn text(text: &str) -> Kind {
    Kind::Text {
        text: text.into(),
        reply: None,
        mentions: vec![],
    }
}

fn at(time: &str) -> Timestamp {
    Timestamp::parse(time).unwrap()
}

/// Says something by this clock, and returns the number of the epoch.
async fn says_at(person: &mut Person, channel: &mut Channel, now: Timestamp) -> u32 {
    let (state, conversation) = (&mut person.state, &mut channel.conversation);
    let mut reader = Reader::new();
    person
        .session
        .read(state, conversation, &mut reader)
        .await
        .unwrap();
    let message = NewMessage {
        at: now,
        ..NewMessage::new(text("Hello"))
    };
    let said = person
        .session
        .say(state, &person.sign, conversation, &reader, message);
    said.await.unwrap();
    conversation.epoch
}

#[tokio::test]
async fn an_epoch_ends_after_a_month_by_the_callers_clock() {
    let (world, [mut ann, mut ben], [mut anns, mut bens]) = channel().await;
    let (begin, soon, late) = (
        at("2026-01-01 00:00:00"),
        at("2026-01-30 23:00:00"),
        at("2026-01-31 01:00:00"),
    );
    assert_eq!(says_at(&mut ann, &mut anns, begin).await, 1);
    assert_eq!(says_at(&mut ann, &mut anns, soon).await, 1);
    assert_eq!(says_at(&mut ann, &mut anns, late).await, 2);
    // Ben, who sees the new epoch for the first time now, begins none.
    assert_eq!(says_at(&mut ben, &mut bens, late).await, 2);

    // Who only reads begins it, too, and only once.
    let (state, conversation) = (&mut ben.state, &mut bens.conversation);
    let mut reader = Reader::new();
    ben.session
        .read(state, conversation, &mut reader)
        .await
        .unwrap();
    let later = at("2026-03-05 00:00:00");
    for renewed in [true, false] {
        let done = ben
            .session
            .renew_epoch(state, &ben.sign, conversation, &reader, later);
        assert_eq!(done.await.unwrap(), renewed);
    }
    assert_eq!(conversation.epoch, 3);
    assert_eq!(
        state.epochs[&conversation.id].newest().epoch(),
        Epoch::new(3).unwrap()
    );
    world.end().await;
}

#[tokio::test]
async fn a_message_that_expires_says_so_to_readers_and_the_server() {
    let (world, [mut ann, mut ben], [mut anns, mut bens]) = channel().await;
    let until = Timestamp::now().plus(chrono::TimeDelta::hours(1));
    let message = NewMessage {
        until: Some(until),
        ..NewMessage::new(text("For an hour"))
    };
    let (state, conversation, reader) = (&mut ann.state, &mut anns.conversation, Reader::new());
    let said = ann
        .session
        .say(state, &ann.sign, conversation, &reader, message);
    said.await.unwrap();
    let (state, mut reader) = (&mut ben.state, Reader::new());
    let read = ben
        .session
        .read(state, &mut bens.conversation, &mut reader)
        .await
        .unwrap();
    let Body { until: signed, .. } = read[0].content.as_ref().unwrap().body;
    assert_eq!(signed, Some(until.whole_seconds()));
    assert_eq!(read[0].message.valid_until, until.whole_seconds());
    world.end().await;
}
