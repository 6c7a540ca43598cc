//! Settings that a user's devices share.

use std::collections::BTreeMap;

use parlance_client::{NewMessage, Reader, e2ee::Kind};
use serde_json::{Value, json};

use super::person::Person;
use crate::world::World;

/// Shares settings with the user's other devices.
async fn shares(person: &mut Person, settings: Value) {
    let (session, state, sign) = (&person.session, &mut person.state, &person.sign);
    let mut saved = session.saved_messages(state, sign).await.unwrap();
    let mut reader = Reader::new();
    session.read(state, &mut saved, &mut reader).await.unwrap();
    let settings: BTreeMap<String, Value> = serde_json::from_value(settings).unwrap();
    let message = NewMessage::new(Kind::Settings(settings));
    let said = session.say(state, sign, &mut saved, &reader, message);
    said.await.unwrap();
}

#[tokio::test]
async fn devices_share_settings_in_their_users_group_of_one() {
    let world = World::new().await;
    let mut ann = Person::new(&world, "Ann").await;
    let mut ben = Person::new(&world, "Ben").await;
    ann.befriends(&ben).await;
    // A group that the only other member has left is another one.
    let group = ann.creates_group(&[ben.user()]).await.conversation.id;
    ben.session.leave(group).await.unwrap();
    // So is one without a name, which Ben has made and left.
    let mut trap = ben.creates_group(&[ann.user()]).await.conversation;
    let (session, state, sign) = (&ben.session, &mut ben.state, &ben.sign);
    let renamed = session.rename_encrypted(state, sign, &mut trap, "").await;
    renamed.unwrap();
    session.leave(trap.id).await.unwrap();
    let mut phone = ann.second_device(&world).await;
    phone.state = phone.session.begin_key_log().await.unwrap();
    shares(&mut ann, json!({ "prefs": { "dark": true } })).await;
    shares(&mut phone, json!({ "drafts": "Dear Ben," })).await;
    shares(&mut ann, json!({ "prefs": { "dark": false } })).await;

    let (session, state, sign) = (&phone.session, &mut phone.state, &phone.sign);
    let mut saved = session.saved_messages(state, sign).await.unwrap();
    assert_eq!(session.list().await.unwrap().len(), 3);
    assert!(![group, trap.id].contains(&saved.id));
    let read = session.read(state, &mut saved, &mut Reader::new()).await;
    let mut all = BTreeMap::new();
    for received in read.unwrap() {
        assert!(received.problem.is_none(), "{:?}", received.problem);
        assert_eq!(received.settings(ben.user()), None);
        all.extend(received.settings(ann.user()).unwrap().clone());
    }
    assert_eq!(
        json!(all),
        json!({ "drafts": "Dear Ben,", "prefs": { "dark": false } })
    );
    world.end().await;
}
