//! Changing users' names, and notifying everyone who sees them.

use serde_json::{Value, json};

use crate::world::{Person, World, eventually};

async fn profile(person: &Person, fields: Value) -> crate::world::Answer {
    let mut request = fields;
    request["action"] = "profile".into();
    person.account(request).await
}

#[tokio::test]
async fn a_new_nick_is_seen_by_friends_and_in_conversations() {
    let world = World::new().await;
    let (ann, ben, direct) = world.conversation().await;
    ben.hears().await;
    let answer = profile(&ann, json!({ "nick": "Annie" })).await.ok();
    assert_eq!(
        (&answer["nick"], &answer["fullname"]),
        (&json!("Annie"), &json!("Ann Example"))
    );
    eventually("ben hears", async || {
        ben.hears().await.friends == [ann.user.clone()]
    })
    .await;
    let list = ben.lists_friends().await.ok();
    assert_eq!(list["friends"], json!({ &ann.user: "Annie" }));
    eventually("the name in the conversation", async || {
        let seen = ben.sees(&direct).await;
        seen["participants"].to_string().contains("Annie")
    })
    .await;
    // An unchanged nick, or a new full name, notifies nobody.
    for fields in [
        json!({ "nick": "Annie" }),
        json!({ "fullname": "Ann B. Example" }),
    ] {
        profile(&ann, fields).await.ok();
    }
    assert_eq!(ben.hears().await.friends, Vec::<String>::new());
    let names: (String, String) =
        sqlx::query_as("select full_name, nick from users where nick = 'Annie'")
            .fetch_one(&world.db)
            .await
            .unwrap();
    assert_eq!(names, ("Ann B. Example".into(), "Annie".into()));
    world.end().await;
}

#[tokio::test]
async fn a_name_of_a_wrong_form_is_refused_and_so_is_none() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    for (field, wrong) in [
        ("nick", json!("A\u{202e}nn")),
        ("nick", json!("a".repeat(65))),
        ("nick", json!(5)),
        ("fullname", json!("Ann\n")),
        ("fullname", json!("a".repeat(129))),
    ] {
        let refusal = profile(&ann, json!({ field: wrong }))
            .await
            .refused(400, "bad_request");
        assert!(
            refusal["errormessage"].as_str().unwrap().starts_with(field),
            "{refusal}"
        );
    }
    profile(&ann, json!({ "nick": "" }))
        .await
        .refused(400, "bad_request");
    profile(&ann, json!({})).await.refused(400, "bad_request");
    world.end().await;
}

#[tokio::test]
async fn a_user_changes_their_nick_ten_times_a_day() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    for n in 0..10 {
        profile(&ann, json!({ "nick": format!("Ann {n}") }))
            .await
            .ok();
    }
    let refused = profile(&ann, json!({ "nick": "Ann again" })).await;
    refused.refused(429, "rate_limited");
    assert!(refused.headers.contains_key("Retry-After"));
    // A change that leaves the nick as it is does not count, and other users have limits of their
    // own.
    profile(&ann, json!({ "fullname": "Ann Again" })).await.ok();
    profile(&ann, json!({ "nick": "Ann 9" })).await.ok();
    profile(&ben, json!({ "nick": "Benjamin" })).await.ok();
    world.sql("update quotas set day = day - 1").await;
    profile(&ann, json!({ "nick": "Ann again" })).await.ok();
    world.end().await;
}
