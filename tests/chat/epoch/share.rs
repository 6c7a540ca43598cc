//! A newcomer gets old secrets from an admin, and nobody else does.

use serde_json::{Value, json};

use super::{asks, group, people, secrets};
use crate::world::{Changes, Conversation, Person, Roster, World, message, secret};

fn shares(conversation: &Conversation, with: &Person, secrets: &Value) -> Value {
    json!({ "action": "shareepochs", "conversationid": conversation.id, "userid": with.user, "secrets": secrets })
}

#[tokio::test]
async fn an_admin_shares_earlier_secrets_and_cannot_remove_any() {
    let world = World::new().await;
    let (people, group, first) = group(&world).await;
    let [ann, ben, cleo, dan] = &people;
    ann.adds_in(&group, 1, &message("one")).await.ok();
    let with_dan = Roster {
        admins: vec![ann],
        added: vec![dan],
        removed: vec![],
    };
    ann.rekeys(&group, &first, &with_dan).await;
    for person in &people {
        person.listens().await;
    }
    let old = || shares(&group, dan, &json!({ "1": "an old secret", "2": "other" }));
    asks(ben, &old()).await.refused(403, "not_allowed");
    asks(ann, &old()).await.ok();
    // His own secrets stay, whatever is shared, and however often.
    asks(ann, &shares(&group, dan, &json!({ "1": "another" })))
        .await
        .ok();
    assert_eq!(
        secrets(dan, &group).await,
        [(2, secret(2, &dan.user)), (1, "an old secret".into())]
    );
    let heard = Changes {
        lists: vec![dan.user.clone()],
        ..Changes::default()
    };
    assert_eq!(dan.hears().await, heard);
    assert_eq!(cleo.hears().await, Changes::default());
    let refusal = asks(ann, &shares(&group, dan, &json!({ "3": "x" })))
        .await
        .refused(409, "stale_epoch");
    assert_eq!(refusal["epoch"], 2);
    let eve = world.person("Eve").await;
    asks(ann, &shares(&group, &eve, &json!({ "1": "x" })))
        .await
        .refused(404, "user_not_found");
    for wrong in [
        json!(null),
        json!({ "x": "y" }),
        json!({ "0": "y" }),
        json!({ "1": 1 }),
        json!({ "4294967296": "y" }),
    ] {
        asks(ann, &shares(&group, dan, &wrong))
            .await
            .refused(400, "bad_request");
    }
    world.end().await;
}

#[tokio::test]
async fn in_a_direct_conversation_each_shares_with_the_other() {
    let world = World::new().await;
    let [ann, ben] = people(&world, ["Ann", "Ben"]).await;
    let (conversation, _) = ann.creates_with_epoch(&ben).await;
    world
        .sql(&format!(
            "delete from epoch_secrets where user_id = '{}'",
            ann.user
        ))
        .await;
    assert_eq!(ann.sees(&conversation).await["secret"], "");
    asks(
        &ben,
        &shares(&conversation, &ann, &json!({ "1": "healed" })),
    )
    .await
    .ok();
    assert_eq!(ann.sees(&conversation).await["secret"], "healed");
    world.end().await;
}
