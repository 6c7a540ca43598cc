//! Beginning an epoch, and the fate of earlier ones.

use parlance::store;
use serde_json::json;

use super::{asks, group, people, secrets};
use crate::world::{Changes, Person, Roster, World, message, secret};

#[tokio::test]
async fn an_epoch_has_a_new_secret_for_each_and_everyone_hears_of_it() {
    let world = World::new().await;
    let (people, group, first) = group(&world).await;
    let [ann, ben, cleo, dan] = &people;
    for person in &people {
        person.listens().await;
    }
    let admins = || Roster {
        admins: vec![ann],
        ..Roster::default()
    };
    // Any member may rekey, and repeat the call, as the answer may be lost.
    let (mut request, second) = cleo.rekeying(&group, Some(&first), &admins());
    request["displaynames"] = json!({ &ben.user: "another name" });
    for _ in 0..2 {
        let answer = asks(cleo, &request).await.ok();
        let conversation = &answer["conversation"];
        assert_eq!(
            (
                &conversation["epoch"],
                &conversation["secret"],
                &conversation["epochs"][0]["announcement"]
            ),
            (
                &json!(2),
                &json!(secret(2, &cleo.user)),
                &json!(second.announcement.text())
            )
        );
        for person in [ann, ben, cleo] {
            let heard = Changes {
                lists: vec![person.user.clone()],
                ..Changes::default()
            };
            assert_eq!(person.hears().await, heard, "{}", person.name);
        }
    }
    assert_eq!(dan.hears().await, Changes::default());
    let seen = ben.sees(&group).await;
    assert_eq!(
        (&seen["secret"], &seen["displayname"]),
        (&json!(secret(2, &ben.user)), &json!("another name"))
    );
    assert_eq!(ann.sees(&group).await["displayname"], "the name");
    // An epoch that was made for the same number, but came second.
    let (late, _) = ben.rekeying(&group, Some(&first), &admins());
    let refusal = asks(ben, &late).await.refused(409, "stale_epoch");
    assert_eq!(refusal["epoch"], 2);
    ben.rekeys(&group, &second, &admins()).await;
    assert_eq!(world.count("epochs").await, 3);
    world.end().await;
}

#[tokio::test]
async fn secrets_of_epochs_in_which_nothing_was_written_are_forgotten() {
    let world = World::new().await;
    let [ann, ben] = people(&world, ["Ann", "Ben"]).await;
    let (conversation, mut epoch) = ann.creates_with_epoch(&ben).await;
    // Messages in the second and the fourth.
    for number in 2..6 {
        epoch = ben.rekeys(&conversation, &epoch, &Roster::default()).await;
        if number % 2 == 0 {
            ann.adds_in(&conversation, number, &message("x")).await.ok();
        }
    }
    let has = |number| (u64::from(number), secret(number, &ann.user));
    let forgotten = |number| (number, String::new());
    assert_eq!(
        secrets(&ann, &conversation).await,
        [has(5), has(4), forgotten(3), has(2), forgotten(1)]
    );
    assert_eq!(world.count("epoch_secrets").await, 6);
    world.end().await;
}

#[tokio::test]
async fn secrets_of_epochs_whose_messages_were_cleared_are_purged() {
    let world = World::new().await;
    let [ann, ben] = people(&world, ["Ann", "Ben"]).await;
    let (mut conversation, mut epoch) = ann.creates_with_epoch(&ben).await;
    for number in 1..4 {
        ann.adds_in(&conversation, number, &message("x")).await.ok();
        if number < 3 {
            epoch = ann.rekeys(&conversation, &epoch, &Roster::default()).await;
        }
    }
    let cleared = ann.does("clear", &conversation, json!({})).await.ok();
    conversation = crate::world::Conversation::of(&cleared["conversation"]);
    store::purge::cleared(&world.store).await.unwrap();
    let present = (3, secret(3, &ben.user));
    let forgotten = |number| (number, String::new());
    assert_eq!(
        secrets(&ben, &conversation).await,
        [present.clone(), forgotten(2), forgotten(1)]
    );
    // The third epoch has no messages, but is still the present one.
    ben.adds_in(&conversation, 3, &message("y")).await.ok();
    ann.rekeys(&conversation, &epoch, &Roster::default()).await;
    store::purge::cleared(&world.store).await.unwrap();
    assert_eq!(secrets(&ben, &conversation).await[1], present);
    world.end().await;
}

#[tokio::test]
async fn epochs_come_in_pages_the_newest_first() {
    let world = World::new().await;
    let [ann, ben] = people(&world, ["Ann", "Ben"]).await;
    let cleo = world.person("Cleo").await;
    let (conversation, mut epoch) = ann.creates_with_epoch(&ben).await;
    for _ in 1..52 {
        epoch = ann.rekeys(&conversation, &epoch, &Roster::default()).await;
    }
    let page = async |more: serde_json::Value| {
        let answer = ben.epochs(&conversation, more).await.ok();
        let epochs = answer["epochs"].as_array().unwrap();
        let numbers: Vec<u64> = epochs
            .iter()
            .map(|one| one["epoch"].as_u64().unwrap())
            .collect();
        (numbers, answer["hasmore"].as_bool().unwrap())
    };
    let down = |from: u64, to: u64| (to..=from).rev().collect::<Vec<_>>();
    assert_eq!(page(json!({})).await, (down(52, 3), true));
    assert_eq!(page(json!({ "before": 3 })).await, (down(2, 1), false));
    assert_eq!(page(json!({ "before": 1 })).await, (vec![], false));
    assert_eq!(
        page(json!({ "before": 10, "limit": 2 })).await,
        (down(9, 8), true)
    );
    for wrong in [
        json!({ "limit": 51 }),
        json!({ "limit": 0 }),
        json!({ "before": 0 }),
        json!({ "before": "x" }),
    ] {
        ben.epochs(&conversation, wrong)
            .await
            .refused(400, "bad_request");
    }
    cleo.epochs(&conversation, json!({}))
        .await
        .refused(404, "conversation_not_found");
    world.end().await;
}

#[tokio::test]
async fn an_announcement_that_is_too_long_for_a_list_is_in_the_page_of_epochs() {
    let world = World::new().await;
    let names: Vec<String> = (0..130).map(|n| format!("Person{n}")).collect();
    let [ann] = people(&world, ["Ann"]).await;
    // Dozens of friends, who need no keys.
    let users: Vec<Person> = names
        .iter()
        .map(|name| Person {
            name: name.clone(),
            user: parlance_wire::id::UserId::of(
                &parlance_wire::text::Email::parse(&format!("{name}@example.org")).unwrap(),
            )
            .to_string(),
            ..ann.clone()
        })
        .collect();
    for user in &users {
        world
            .sql(&format!(
                "insert into users (user_id, email, full_name, nick, public_key, encrypted_private_key, created_at)
                values ('{0}', '{0}', 'x', 'x', '', '', now());
                insert into friendships values ('{0}', '{1}', now()), ('{1}', '{0}', now())",
                user.user, ann.user
            ))
            .await;
    }
    let everyone: Vec<&Person> = users.iter().collect();
    let (group, epoch) = ann.creates_group_with_epoch(&everyone).await;
    assert!(epoch.announcement.text().len() > 4096);
    let seen = ann.sees_v4(&group).await;
    assert_eq!((&seen["epoch"], &seen["epochs"]), (&json!(1), &json!([])));
    let page = ann.epochs(&group, json!({})).await.ok();
    assert_eq!(page["epochs"][0]["announcement"], epoch.announcement.text());
    world.end().await;
}
