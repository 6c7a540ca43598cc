//! Each published call, and its answer.

use serde_json::json;
use uuid::Uuid;

use super::{ALICE, expected, golden, json::Ordered, play, stage, store_row, world};
use crate::world::Person;

#[tokio::test]
async fn login_answers_the_published_fields_with_our_addresses() {
    let (world, alice, _) = world().await;
    let headers = [("Ozeki-Station", alice.station.as_str())];
    let answer = world
        .posts(
            "chatserver",
            "chatlogin",
            &headers,
            &golden("login.login")["request"].to_string(),
        )
        .await;
    answer.ok();
    let mut ours: Ordered = serde_json::from_str(&answer.text).unwrap();
    let mut published = expected("login.login");
    // Values that differ by server: the version, the address of the socket, and an address that is
    // cut off in the publication.
    assert_eq!(
        *ours.field("server"),
        Ordered::Plain(env!("CARGO_PKG_VERSION").into())
    );
    *published.field("server") = ours.field("server").clone();
    *published.field("listeners") = ours.field("listeners").clone();
    let Ordered::Object(urls) = published.field("urls") else {
        panic!()
    };
    urls.push((
        "reports".into(),
        Ordered::Plain("http://localhost/ozeki/index.php?srv=chatserver&api=chatreports".into()),
    ));
    assert_eq!(ours, published);
    world.stop().await;
}

#[tokio::test]
async fn list_answers_as_published() {
    let (world, alice, _) = world().await;
    let shown = golden("conversation.list")["response"]["conversations"][0].clone();
    stage(&world, &shown, "PqjfKSn7V8").await;
    store_row(&world, "PqjfKSn7V8", &json!({ "ID": shown["lastmessageid"], "Type": "Message", "Created": "2024-03-08 11:50:45" })).await;
    store_row(
        &world,
        "PqjfKSn7V8",
        &json!({ "ID": shown["lastreportid"], "Type": "viewed", "Created": "2024-03-08 11:50:45" }),
    )
    .await;
    let mut published = expected("conversation.list");
    let Ordered::Array(conversations) = published.field("conversations") else {
        panic!()
    };
    // In other examples a report's id has dashes.
    *conversations[0].field("lastreportid") =
        Ordered::Plain("935d8b8d-e4c3-95f5-0405-e617e636dbbb".into());
    assert_eq!(play(&alice, "conversation.list").await, published);
    world.stop().await;
}

#[tokio::test]
async fn add_answers_as_published_and_a_published_retry_changes_nothing() {
    let (world, alice, _) = world().await;
    for _ in 0..2 {
        assert_eq!(
            play(&alice, "conversation.add").await,
            expected("conversation.add")
        );
    }
    assert_eq!(world.count("messages").await, 1);
    world.stop().await;
}

#[tokio::test]
async fn download_answers_as_published() {
    let (world, alice, _) = world().await;
    stage(
        &world,
        &golden("conversation.favorite")["response"]["conversation"],
        "ZTZqIV8LS5",
    )
    .await;
    let answer = golden("conversation.download")["response"].clone();
    for row in answer["messages"]
        .as_array()
        .unwrap()
        .iter()
        .chain(answer["reports"].as_array().unwrap())
    {
        store_row(&world, "ZTZqIV8LS5", row).await;
    }
    assert_eq!(
        play(&alice, "conversation.download").await,
        expected("conversation.download")
    );
    world.stop().await;
}

#[tokio::test]
async fn downloadpartial_answers_the_rows_before_the_cursor() {
    let (world, alice, _) = world().await;
    let call = golden("conversation.downloadpartial");
    let (request, shown) = (&call["request"], &call["response"]);
    store_row(&world, "PqjfKSn7V8", &shown["messages"][0]).await;
    store_row(&world, "PqjfKSn7V8", &shown["reports"][0]).await;
    store_row(&world, "PqjfKSn7V8", &json!({ "ID": request["lastmessageid"], "Type": "Message", "Created": request["lastmessagedate"] }))
        .await;
    store_row(&world, "PqjfKSn7V8", &json!({ "ID": request["lastreportid"], "Type": "viewed", "Created": request["lastreportdate"] }))
        .await;
    let mut ours = play(&alice, "conversation.downloadpartial").await;
    assert_eq!(ours.keys(), expected("conversation.downloadpartial").keys());
    // The published rows are cut short: each begins as published, and has the fields of `download`.
    let whole = golden("conversation.download")["response"].clone();
    for kind in ["messages", "reports"] {
        let Ordered::Array(rows) = ours.field(kind) else {
            panic!()
        };
        assert_eq!(rows.len(), 1);
        let Ordered::Array(published) =
            expected("conversation.downloadpartial").field(kind).clone()
        else {
            panic!()
        };
        let (Ordered::Object(row), Ordered::Object(beginning)) = (&rows[0], &published[0]) else {
            panic!()
        };
        assert_eq!(&row[..3], &beginning[..]);
        assert_eq!(row.len(), whole[kind][0].as_object().unwrap().len());
    }
    world.stop().await;
}

#[tokio::test]
async fn clear_answers_as_published_with_an_instance_of_its_own() {
    let (world, alice, _) = world().await;
    let shown = golden("conversation.clear")["response"]["conversation"].clone();
    stage(&world, &shown, "PqjfKSn7V8").await;
    store_row(&world, "PqjfKSn7V8", &json!({ "ID": Uuid::new_v4().to_string(), "Type": "Message", "Created": "2024-03-08 14:12:48" }))
        .await;
    let mut ours = play(&alice, "conversation.clear").await;
    let mut published = expected("conversation.clear");
    let instance = published.field("conversation").field("instance");
    assert_ne!(ours.field("conversation").field("instance"), instance);
    assert_ne!(
        *ours.field("conversation").field("instance"),
        Ordered::Plain("PqjfKSn7V8".into())
    );
    *ours.field("conversation").field("instance") = instance.clone();
    assert_eq!(ours, published);
    world.stop().await;
}

/// Actions that change the caller's own row, and the value before each.
#[tokio::test]
async fn actions_on_list_properties_answer_as_published() {
    for (action, before) in [
        ("favorite", "favorite_at = null"),
        ("unfavorite", "favorite_at = now()"),
        ("mute", "muted_at = null"),
        ("unmute", "muted_at = now()"),
        ("hide", "hide_id = ''"),
        ("unhide", "hide_id = '7sSwU2VoFM;', hidden_at = now()"),
        ("setlistitembackgroundcolor", "color = '#ffffff'"),
    ] {
        let (world, alice, admin) = world().await;
        let name = format!("conversation.{action}");
        let call = golden(&name);
        let shown = &call["response"]["conversation"];
        stage(&world, shown, shown["instance"].as_str().unwrap()).await;
        for (field, kind) in [("lastmessageid", "Message"), ("lastreportid", "viewed")] {
            if shown[field] != "" {
                store_row(
                    &world,
                    shown["instance"].as_str().unwrap(),
                    &json!({ "ID": shown[field], "Type": kind, "Created": "2024-03-11 07:23:46" }),
                )
                .await;
            }
        }
        let caller = if call["caller"] == ALICE {
            alice
        } else {
            admin
        };
        world
            .sql(&format!(
                "update participants set {before} where user_id = '{}'",
                caller.user
            ))
            .await;
        let mut published = expected(&name);
        if shown["lastreportid"] != "" {
            let dashed = Uuid::parse_str(shown["lastreportid"].as_str().unwrap())
                .unwrap()
                .to_string();
            *published.field("conversation").field("lastreportid") = Ordered::Plain(dashed.into());
        }
        assert_eq!(play(&caller, &name).await, published, "{action}");
        world.stop().await;
    }
}

#[tokio::test]
async fn friends_availability_reports_blocklist_and_workspace_answer_as_published() {
    let (world, alice, _) = world().await;
    let mut friends = play(&alice, "friends.list").await;
    let mut published = expected("friends.list");
    for list in [&mut friends, &mut published] {
        let Ordered::Array(availabilities) = list.field("availabilities") else {
            panic!()
        };
        // The published key is cut short.
        *availabilities[0].field("publickey") = Ordered::Plain("key".into());
    }
    assert_eq!(friends, published);

    play(&alice, "conversation.add").await;
    for name in [
        "availability.useravailable",
        "reports.viewed",
        "blocklist.blocklist",
    ] {
        assert_eq!(play(&alice, name).await, expected(name), "{name}");
    }
    assert_eq!(world.count("reports").await, 1);

    let second_device = Person {
        station: String::new(),
        ..alice
    };
    let name = "workspace.workspaceregister";
    assert_eq!(play(&second_device, name).await, expected(name));
    world.stop().await;
}

#[tokio::test]
async fn notification_answers_as_published() {
    let (world, alice, admin) = world().await;
    admin.listens().await;
    play(&alice, "conversation.add").await;
    assert_eq!(
        play(&admin, "notification.download").await,
        expected("notification.download")
    );
    world.stop().await;
}
