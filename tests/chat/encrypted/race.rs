//! Concurrent rekeyings, removals, additions and messages, from client to client.

use std::sync::Arc;

use parlance_client::{Error, ErrorCode, UserId, e2ee::EpochSecret};

use super::{
    person::{Channel, Person},
    reader::rosters,
};
use crate::world::World;

const ROUNDS: usize = 6;
const MESSAGES: usize = 12;

/// Returns `true` if the user was not in the group when the server was asked, and there is nothing
/// to send.
fn is_out(error: &Error) -> bool {
    matches!(error, Error::NotAParticipant) || error.code() == Some(ErrorCode::ConversationNotFound)
}

/// Sends this many texts, one after the other.
async fn writes(mut person: Person, mut channel: Channel, name: &str) -> (Person, Channel) {
    for n in 0..MESSAGES {
        person
            .says(&format!("{name} {n}"), &mut channel)
            .await
            .unwrap();
    }
    (person, channel)
}

/// Begins the next epoch, however often others are faster: their rounds end.
async fn begins(person: &mut Person, channel: &mut Channel, add: &[UserId], remove: &[UserId]) {
    while let Err(error) = person.rekeys(channel, add, remove).await {
        assert_eq!(error.code(), Some(ErrorCode::StaleEpoch), "{error}");
    }
}

/// Begins the next epoch this many times, with the same people.
async fn rekeys(mut person: Person, mut channel: Channel) {
    for _ in 0..ROUNDS {
        begins(&mut person, &mut channel, &[], &[]).await;
    }
}

/// Removes a user from the group, and adds them again.
async fn changes(mut person: Person, mut channel: Channel, user: UserId) -> (Person, Channel) {
    for _ in 0..ROUNDS {
        begins(&mut person, &mut channel, &[], &[user]).await;
        begins(&mut person, &mut channel, &[user], &[]).await;
    }
    (person, channel)
}

/// Follows and writes for as long as there are rounds, as a user who is removed and added again.
/// Returns every secret that they ever had.
async fn comes_and_goes(mut person: Person) -> (Person, Vec<EpochSecret>) {
    let mut secrets = vec![];
    let mut said = 0;
    while said < MESSAGES {
        let said_one = async {
            let mut channel = person.follows().await?;
            secrets.push(channel.secret.clone());
            let sent = person.says(&format!("Dan {said}"), &mut channel).await;
            secrets.push(channel.secret);
            sent
        };
        match said_one.await {
            Ok(_) => said += 1,
            Err(error) if is_out(&error) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    (person, secrets)
}

async fn world() -> Arc<World> {
    World::with(|settings| {
        settings.workers = 2;
        settings.database_connections = 12;
    })
    .await
}

#[tokio::test]
async fn concurrent_writers_and_rekeyings_use_no_ended_epoch_and_lock_nobody_out() {
    let world = world().await;
    let mut ann = Person::new(&world, "Ann").await;
    let (mut ben, mut cleo) = (
        Person::new(&world, "Ben").await,
        Person::new(&world, "Cleo").await,
    );
    let dan = Person::new(&world, "Dan").await;
    for friend in [&ben, &cleo, &dan] {
        ann.befriends(friend).await;
    }
    let users = [ben.user(), cleo.user(), dan.user()];
    let anns = ann.creates_group(&users).await;
    let (bens, cleos) = (ben.follows().await.unwrap(), cleo.follows().await.unwrap());
    let mut another = cleo.second_device(&world).await;
    let anothers = another.follows().await.unwrap();
    let dans_id = dan.user();
    let ((mut ann, mut anns), (mut ben, mut bens), (mut cleo, mut cleos), (), (mut dan, secrets)) = tokio::join!(
        changes(ann, anns, dans_id),
        writes(ben, bens, "Ben"),
        writes(cleo, cleos, "Cleo"),
        rekeys(another, anothers),
        comes_and_goes(dan),
    );
    // Nobody is locked out: each sends a last message, and everyone reads it.
    let mut dans = dan.follows().await.unwrap();
    for (person, channel) in [
        (&mut ann, &mut anns),
        (&mut ben, &mut bens),
        (&mut cleo, &mut cleos),
        (&mut dan, &mut dans),
    ] {
        person.says("the end", channel).await.unwrap();
    }
    let mut all = vec![];
    for (person, channel) in [
        (&mut ann, &mut anns),
        (&mut ben, &mut bens),
        (&mut cleo, &mut cleos),
    ] {
        *channel = person.follows().await.unwrap();
        all.push(person.hears(channel).await.unwrap());
    }
    assert_eq!(all[0].len(), 3 * MESSAGES + 4);
    assert!(all[0] == all[1] && all[0] == all[2], "{all:?}");

    // In the order of the numbers, epochs only grow: no message follows one of a newer epoch.
    let read = ann.reads(&anns).await.unwrap();
    assert!(read.is_sorted_by_key(|message| message.epoch));
    // Dan has no secret of an epoch without him.
    let rosters = rosters(&ann.epochs(anns.conversation.id).await.unwrap());
    assert!(rosters.len() > 2 * ROUNDS);
    for message in read {
        let is_his = secrets
            .iter()
            .any(|secret| secret.kid() == message.sealed.kid());
        let is_in = rosters[&message.epoch].contains(&dans_id);
        assert!(is_in || !is_his, "{}", message.epoch);
    }
    world.end().await;
}
