//! The members of a group, what they see, and their names.

use futures_util::future::join_all;
use serde_json::json;

use super::{asks, group, ids, members, secrets};
use crate::world::{Changes, Conversation, Socket, World};

#[tokio::test]
async fn a_group_is_seen_and_written_by_all_in_it_each_with_their_own_secret() {
    let world = World::new().await;
    let ([ann, ben, cleo, dan], conversation) = group(&world).await;
    for person in [&ann, &ben, &cleo] {
        let seen = person.sees(&conversation).await;
        assert_eq!(
            (&seen["isgroup"], &seen["secret"], &seen["displayname"]),
            (
                &json!(true),
                &json!(format!("secret for {}", person.name)),
                &json!("the name")
            )
        );
        let mut sorted = ids(&[&ann, &ben, &cleo]);
        sorted.sort();
        assert_eq!(seen["participantids"], json!(sorted));
        person.adds(&conversation, "hi").await;
    }
    for person in [&ann, &ben, &cleo] {
        assert_eq!(
            person.reads(&conversation).await["messages"]
                .as_array()
                .unwrap()
                .len(),
            3
        );
    }
    dan.does("download", &conversation, json!({}))
        .await
        .refused(404, "conversation_not_found");
    world.end().await;
}

#[tokio::test]
async fn an_added_participant_gets_the_secret_and_a_removed_one_sees_nothing_from_then_on() {
    let world = World::new().await;
    let ([ann, ben, cleo, dan], conversation) = group(&world).await;
    ann.adds(&conversation, "before Dan").await;
    for person in [&ann, &ben, &cleo, &dan] {
        person.listens().await;
    }
    let add = json!({ "conversationid": conversation.id, "participantids": ids(&[&ben, &dan]), "secrets": secrets(&[&ben, &dan]), "displaynames": { &dan.user: "Dan's name" } });
    for _ in 0..2 {
        asks(&ann, "addparticipants", add.clone()).await.ok();
    }
    let seen = dan.sees(&conversation).await;
    assert_eq!(
        (&seen["secret"], &seen["displayname"]),
        (&json!("secret for Dan"), &json!("Dan's name"))
    );
    assert_eq!(
        ben.sees(&conversation).await["displayname"],
        "the name",
        "who is in already stays as they are"
    );
    for person in [&ann, &ben, &cleo, &dan] {
        assert_eq!(
            person.hears().await,
            Changes {
                lists: vec![person.user.clone()],
                ..Changes::default()
            }
        );
    }
    dan.adds(&conversation, "here I am").await;

    let mut dans = Socket::open(&dan, 4).await;
    dans.hears().await;
    let remove =
        json!({ "conversationid": conversation.id, "participantids": ids(&[&dan, &cleo]) });
    for _ in 0..2 {
        asks(&ann, "removeparticipants", remove.clone()).await.ok();
    }
    assert_eq!(
        dans.hears().await["conversationlistchangedof"],
        json!([dan.user])
    );
    ann.adds(&conversation, "without Dan").await;
    dans.hears_nothing().await;
    for action in ["download", "downloadpartial", "favorite"] {
        dan.does(action, &conversation, json!({}))
            .await
            .refused(404, "conversation_not_found");
    }
    dan.does(
        "add",
        &conversation,
        json!({ "message": crate::world::message("x") }),
    )
    .await
    .refused(404, "conversation_not_found");
    assert_eq!(members(&ann, &conversation).await.len(), 2);
    world.end().await;
}

#[tokio::test]
async fn names_are_each_participants_own() {
    let world = World::new().await;
    let ([ann, ben, cleo, dan], conversation) = group(&world).await;
    let names =
        json!({ &ben.user: "for Ben", &cleo.user: "for Cleo", &dan.user: "for nobody here" });
    asks(
        &ann,
        "rename",
        json!({ "conversationid": conversation.id, "displaynames": names }),
    )
    .await
    .ok();
    for (person, name) in [(&ann, "the name"), (&ben, "for Ben"), (&cleo, "for Cleo")] {
        assert_eq!(person.sees(&conversation).await["displayname"], name);
    }
    assert_eq!(members(&ann, &conversation).await.len(), 3);
    world.end().await;
}

#[tokio::test]
async fn five_thousand_are_in_a_group_and_one_more_is_not() {
    let world = World::with(|settings| {
        settings.max_body_bytes = 4 << 20;
        settings.database_connections = 8;
    })
    .await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    world
        .sql(
            "insert into users (user_id, email, full_name, nick, public_key, encrypted_private_key, created_at)
            select md5('many' || n)::uuid, 'many' || n, n, n, '', '', now() from generate_series(1, 5000) n",
        )
        .await;
    world
        .sql(&format!(
            "insert into friendships select u.user_id, '{ann}', now() from users u where email like 'many%'
            union all select '{ann}', u.user_id, now() from users u where email like 'many%'",
            ann = ann.user
        ))
        .await;
    let many: Vec<String> = sqlx::query_scalar(
        "select replace(user_id::text, '-', '') from users where email like 'many%'",
    )
    .fetch_all(&world.db)
    .await
    .unwrap();
    let secret = "s".repeat(344);
    let batch = |ids: &[String]| json!({ "participantids": ids, "secrets": ids.iter().map(|id| (id.clone(), json!(secret))).collect::<serde_json::Map<_, _>>() });
    let mut request = batch(&many[..2000]);
    request["displayname"] = "x".into();
    request["secrets"][&ann.user] = "for Ann".into();
    let conversation = Conversation::of(&asks(&ann, "create", request).await.ok()["conversation"]);
    // 2,001 so far, then Ben, who is not a friend and counts from his invitation on, and 2,998
    // more.
    for ids in [&[ben.user.clone()][..], &many[2000..4998]] {
        let mut request = batch(ids);
        request["conversationid"] = conversation.id.clone().into();
        asks(&ann, "addparticipants", request).await.ok();
    }
    let mut one_more = batch(&many[4999..]);
    one_more["conversationid"] = conversation.id.clone().into();
    asks(&ann, "addparticipants", one_more)
        .await
        .refused(413, "too_large");
    assert_eq!(world.count("participants").await, 4999);
    asks(&ben, "accept", json!({ "conversationid": conversation.id }))
        .await
        .ok();
    assert_eq!(world.count("participants").await, 5000);
    // Everyone is notified, everyone can read, and it is in the list once.
    let mut bens = Socket::of(&ben, 4).await;
    let messages =
        join_all((0..10).map(|n| ann.adds(&conversation, if n % 2 == 0 { "even" } else { "odd" })))
            .await;
    let mut heard = 0;
    while heard < messages.len() {
        heard += bens.hears().await["events"].as_array().unwrap().len();
    }
    assert_eq!(
        ben.sees(&conversation).await["participantids"]
            .as_array()
            .unwrap()
            .len(),
        5000
    );
    asks(&ben, "leave", json!({ "conversationid": conversation.id }))
        .await
        .ok();
    assert_eq!(
        bens.hears().await["conversationlistchangedof"],
        json!([ben.user])
    );
    world.end().await;
}

#[tokio::test]
async fn a_block_keeps_a_user_out_of_a_group_and_does_not_divide_it() {
    let world = World::new().await;
    let ([ann, ben, cleo, dan], conversation) = group(&world).await;
    for blocker in [&ben, &dan] {
        blocker.blocks(&ann).await.ok();
    }
    let add = json!({ "conversationid": conversation.id, "participantids": [dan.user], "secrets": secrets(&[&dan]) });
    asks(&ann, "addparticipants", add).await.ok();
    assert_eq!(members(&ann, &conversation).await.len(), 3);
    // Ben takes part as before, and so does Ann, who writes and clears.
    let id = ann.adds(&conversation, "to all").await;
    assert_eq!(
        ben.reads(&conversation).await["messages"][0]["ID"],
        id.as_str()
    );
    ann.does("clear", &conversation, json!({})).await.ok();
    drop(cleo);
    world.end().await;
}
