//! An account with a vault, from the registration to a lost password.

use parlance_client::{
    Error, ErrorCode, MessageId, NewUser, Reader, Server, StationId, Unlock, Unlocked, UserId,
    e2ee::{Content, Kind, State},
};

use super::person::Person;
use crate::world::World;

const EMAIL: &str = "vera@example.org";
const PASSWORD: &str = "a long password";

/// What Vera reads at a new station.
async fn reads(unlocked: &Unlocked, state: &mut State) -> Vec<String> {
    let session = &unlocked.session;
    let mut conversation = session.list().await.unwrap().remove(0);
    let read = session
        .read(state, &mut conversation, &mut Reader::new())
        .await
        .unwrap();
    let text = |one: &parlance_client::Received| match &one.content.as_ref().unwrap().body.content {
        Content::Known(Kind::Text { text, .. }) => text.clone(),
        other => panic!("{other:?}"),
    };
    read.iter().map(text).collect()
}

/// Says something to a friend at this station.
async fn says(unlocked: &Unlocked, state: &mut State, friend: UserId, text: &str) {
    let (session, sign) = (&unlocked.session, &unlocked.sign);
    let mut conversation = session.direct(state, sign, friend).await.unwrap();
    let mut reader = Reader::new();
    session
        .read(state, &mut conversation, &mut reader)
        .await
        .unwrap();
    let kind = Kind::Text {
        text: text.into(),
        reply: None,
        mentions: vec![],
    };
    let id = MessageId::random();
    session
        .say(state, sign, &mut conversation, &reader, id, kind)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_lost_password_is_replaced_with_the_recovery_key_and_old_messages_are_read() {
    let world = World::new().await;
    let server = Server::new(&world.url).unwrap();
    let new = NewUser {
        email: EMAIL,
        fullname: "Vera",
        nick: "Vera",
        invite: None,
    };
    let sheet = server.register_with_vault(&new, PASSWORD).await.unwrap();
    let unlock =
        async |key: Unlock<'_>, seen| server.unlock(EMAIL, key, StationId::random(), seen).await;
    let vera = unlock(Unlock::Password(PASSWORD), 0).await.unwrap();
    let mut state = vera.begin_state().await.unwrap();
    let ann = Person::new(&world, "Ann").await;
    vera.session.add_friend(&ann.email).await.unwrap();
    ann.session
        .accept_friend(vera.session.user())
        .await
        .unwrap();
    says(&vera, &mut state, ann.user(), "Hello").await;

    // The password is lost: the sheet opens the vault, and is replaced along with the password.
    let mut recovered = unlock(Unlock::Recovery(&sheet), 0).await.unwrap();
    let new_sheet = recovered
        .replace_password("another password")
        .await
        .unwrap();
    for old in [Unlock::Password(PASSWORD), Unlock::Recovery(&sheet)] {
        let refused = unlock(old, 0).await.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::LoginFailed));
    }
    // The other station has ended.
    assert!(vera.session.list().await.is_err());
    unlock(Unlock::Recovery(&new_sheet), 0).await.unwrap();

    // After a theft, a new key pair: what was written before is still read.
    let mut again = unlock(Unlock::Password("another password"), 0)
        .await
        .unwrap();
    let mut state = again.begin_state().await.unwrap();
    assert_eq!(reads(&again, &mut state).await, ["Hello"]);
    again.replace_pair(&mut state).await.unwrap();
    let again = unlock(Unlock::Password("another password"), 0)
        .await
        .unwrap();
    let mut state = again.begin_state().await.unwrap();
    assert_eq!(reads(&again, &mut state).await, ["Hello"]);
    says(&again, &mut state, ann.user(), "With new keys").await;
    let mut fresh = again.begin_state().await.unwrap();
    assert_eq!(reads(&again, &mut fresh).await, ["Hello", "With new keys"]);
    // Nobody puts an older vault in place of it.
    let refused = unlock(Unlock::Password("another password"), 9).await;
    assert!(matches!(refused, Err(Error::Encryption(_))), "{refused:?}");
    world.end().await;
}
