//! Groups: made by anyone, run by their admins, with up to 5,000 in them.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    live::Ear,
    world::{Answer, News, Person, Talk, World},
};

pub(crate) async fn asks(person: &Person, action: &str, mut fields: Value) -> Answer {
    fields["action"] = action.into();
    person.asks("chatconversationgroup", fields).await
}

pub(crate) fn secrets(people: &[&Person]) -> Value {
    people
        .iter()
        .map(|person| {
            (
                person.user.clone(),
                json!(format!("secret for {}", person.name)),
            )
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}

pub(crate) fn ids(people: &[&Person]) -> Vec<String> {
    people.iter().map(|person| person.user.clone()).collect()
}

/// A group of Ann (who made it), Ben and Cleo; Dan is not in it.
async fn group(world: &std::sync::Arc<World>) -> ([Person; 4], Talk) {
    let people = [
        world.person("Ann").await,
        world.person("Ben").await,
        world.person("Cleo").await,
        world.person("Dan").await,
    ];
    let [ann, ben, cleo, dan] = &people;
    for friend in [ben, cleo, dan] {
        ann.befriends(friend).await;
    }
    let request = json!({ "displayname": "the name", "participantids": ids(&[ben, cleo]), "secrets": secrets(&[ann, ben, cleo]) });
    let made = asks(ann, "create", request).await.is_ok();
    let talk = Talk::of(&made["conversation"]);
    (people, talk)
}

pub(crate) async fn members(person: &Person, talk: &Talk) -> Vec<String> {
    let seen = person.sees(talk).await;
    seen["participants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["username"].as_str().unwrap().to_owned())
        .collect()
}

async fn role(world: &World, person: &Person) -> String {
    sqlx::query_scalar("select role from participants where user_id = $1::uuid")
        .bind(&person.user)
        .fetch_one(&world.db)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_group_is_seen_and_written_by_all_in_it_each_with_their_own_secret() {
    let world = World::new().await;
    let ([ann, ben, cleo, dan], talk) = group(&world).await;
    for person in [&ann, &ben, &cleo] {
        let seen = person.sees(&talk).await;
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
        person.adds(&talk, "hi").await;
    }
    for person in [&ann, &ben, &cleo] {
        assert_eq!(
            person.reads(&talk).await["messages"]
                .as_array()
                .unwrap()
                .len(),
            3
        );
    }
    dan.does("download", &talk, json!({}))
        .await
        .is_refused(404, "conversation_not_found");
    world.end().await;
}

#[tokio::test]
async fn only_an_admin_runs_a_group_and_strangers_do_not_see_it() {
    let world = World::new().await;
    let ([ann, ben, cleo, dan], talk) = group(&world).await;
    let id = json!(talk.id);
    let requests = [
        (
            "rename",
            json!({ "conversationid": id, "displaynames": { &ben.user: "another" } }),
        ),
        (
            "addparticipants",
            json!({ "conversationid": id, "participantids": [dan.user], "secrets": secrets(&[&dan]) }),
        ),
        (
            "removeparticipants",
            json!({ "conversationid": id, "participantids": [cleo.user] }),
        ),
        (
            "setrole",
            json!({ "conversationid": id, "participantid": ben.user, "role": "admin" }),
        ),
    ];
    for (action, fields) in &requests {
        asks(&ben, action, fields.clone())
            .await
            .is_refused(403, "not_allowed");
        asks(&dan, action, fields.clone())
            .await
            .is_refused(404, "conversation_not_found");
    }
    asks(&dan, "leave", json!({ "conversationid": id }))
        .await
        .is_refused(404, "conversation_not_found");
    assert_eq!(members(&ann, &talk).await.len(), 3);
    // A conversation of two is no group.
    let direct = ann.creates(&ben).await;
    for (action, mut fields) in requests.into_iter().chain([("leave", json!({}))]) {
        fields["conversationid"] = direct.id.clone().into();
        asks(&ann, action, fields)
            .await
            .is_refused(403, "not_allowed");
    }
    world.end().await;
}

#[tokio::test]
async fn one_who_is_added_gets_the_secret_and_one_who_is_removed_sees_nothing_from_then_on() {
    let world = World::new().await;
    let ([ann, ben, cleo, dan], talk) = group(&world).await;
    ann.adds(&talk, "before Dan").await;
    for person in [&ann, &ben, &cleo, &dan] {
        person.listens().await;
    }
    let add = json!({ "conversationid": talk.id, "participantids": ids(&[&ben, &dan]), "secrets": secrets(&[&ben, &dan]), "displaynames": { &dan.user: "Dan's name" } });
    for _ in 0..2 {
        asks(&ann, "addparticipants", add.clone()).await.is_ok();
    }
    let seen = dan.sees(&talk).await;
    assert_eq!(
        (&seen["secret"], &seen["displayname"]),
        (&json!("secret for Dan"), &json!("Dan's name"))
    );
    assert_eq!(
        ben.sees(&talk).await["displayname"],
        "the name",
        "who is in already stays as they are"
    );
    for person in [&ann, &ben, &cleo, &dan] {
        assert_eq!(
            person.hears().await,
            News {
                lists: vec![person.user.clone()],
                ..News::default()
            }
        );
    }
    dan.adds(&talk, "here I am").await;

    let mut dans = Ear::open(&dan, 4).await;
    dans.hears().await;
    let remove = json!({ "conversationid": talk.id, "participantids": ids(&[&dan, &cleo]) });
    for _ in 0..2 {
        asks(&ann, "removeparticipants", remove.clone())
            .await
            .is_ok();
    }
    assert_eq!(
        dans.hears().await["conversationlistchangedof"],
        json!([dan.user])
    );
    ann.adds(&talk, "without Dan").await;
    dans.hears_nothing().await;
    for action in ["download", "downloadpartial", "favorite"] {
        dan.does(action, &talk, json!({}))
            .await
            .is_refused(404, "conversation_not_found");
    }
    dan.does(
        "add",
        &talk,
        json!({ "message": crate::world::message("x") }),
    )
    .await
    .is_refused(404, "conversation_not_found");
    assert_eq!(members(&ann, &talk).await.len(), 2);
    world.end().await;
}

#[tokio::test]
async fn names_are_each_participants_own() {
    let world = World::new().await;
    let ([ann, ben, cleo, dan], talk) = group(&world).await;
    let names =
        json!({ &ben.user: "for Ben", &cleo.user: "for Cleo", &dan.user: "for nobody here" });
    asks(
        &ann,
        "rename",
        json!({ "conversationid": talk.id, "displaynames": names }),
    )
    .await
    .is_ok();
    for (person, name) in [(&ann, "the name"), (&ben, "for Ben"), (&cleo, "for Cleo")] {
        assert_eq!(person.sees(&talk).await["displayname"], name);
    }
    assert_eq!(members(&ann, &talk).await.len(), 3);
    world.end().await;
}

#[tokio::test]
async fn a_group_always_has_an_admin() {
    let world = World::new().await;
    let ([ann, ben, cleo, dan], talk) = group(&world).await;
    let set = |person: &Person, role: &str| json!({ "conversationid": talk.id, "participantid": person.user, "role": role });
    asks(&ann, "setrole", set(&ann, "member"))
        .await
        .is_refused(403, "not_allowed");
    asks(&ann, "setrole", set(&dan, "admin"))
        .await
        .is_refused(404, "user_not_found");
    asks(&ann, "setrole", set(&ben, "owner"))
        .await
        .is_refused(400, "bad_request");
    asks(
        &ann,
        "removeparticipants",
        json!({ "conversationid": talk.id, "participantids": [ann.user] }),
    )
    .await
    .is_refused(400, "bad_request");
    for _ in 0..2 {
        asks(&ann, "setrole", set(&ben, "admin")).await.is_ok();
    }
    asks(&ben, "setrole", set(&ann, "member")).await.is_ok();
    asks(&ann, "setrole", set(&ann, "admin"))
        .await
        .is_refused(403, "not_allowed");
    // The last admin hands over to the longest member.
    world
        .sql(&format!(
            "update participants set joined_at = joined_at - interval '1 day' where user_id = '{}'",
            cleo.user
        ))
        .await;
    asks(&ben, "leave", json!({ "conversationid": talk.id }))
        .await
        .is_ok();
    assert_eq!(
        (
            role(&world, &cleo).await.as_str(),
            role(&world, &ann).await.as_str()
        ),
        ("admin", "member")
    );
    asks(&ben, "leave", json!({ "conversationid": talk.id }))
        .await
        .is_refused(404, "conversation_not_found");
    world.end().await;
}

#[tokio::test]
async fn two_admins_who_leave_at_once_leave_a_group_with_an_admin() {
    let world = World::with(|settings| {
        settings.workers = 2;
        settings.database_connections = 8;
    })
    .await;
    for _ in 0..5 {
        let ([ann, ben, cleo, _], talk) = group(&world).await;
        asks(
            &ann,
            "setrole",
            json!({ "conversationid": talk.id, "participantid": ben.user, "role": "admin" }),
        )
        .await
        .is_ok();
        let leave = || json!({ "conversationid": talk.id });
        let (one, other) = tokio::join!(asks(&ann, "leave", leave()), asks(&ben, "leave", leave()));
        one.is_ok();
        other.is_ok();
        assert_eq!(role(&world, &cleo).await, "admin");
        // The last one out takes all with them.
        cleo.adds(&talk, "alone").await;
        asks(&cleo, "leave", leave()).await.is_ok();
        assert_eq!(
            parlance::store::purge::cleared(&world.store).await.unwrap(),
            1
        );
        world.sql("delete from participants").await;
    }
    assert_eq!(world.count("messages").await, 0);
    world.end().await;
}

#[tokio::test]
async fn what_is_no_group_is_refused_by_field() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let whole = || json!({ "displayname": "x", "participantids": [ben.user], "secrets": secrets(&[&ann, &ben]) });
    let with = |field: &str, value: Value| {
        let mut request = whole();
        request[field] = value;
        request
    };
    for request in [
        with("displayname", json!(null)),
        with("displayname", json!("x".repeat(4097))),
        with("participantids", json!("x")),
        with("participantids", json!(["x"])),
        with("participantids", json!(null)),
        with("secrets", json!({})),
        with("secrets", secrets(&[&ben])),
        with("secrets", json!({ "x": "y" })),
    ] {
        asks(&ann, "create", request)
            .await
            .is_refused(400, "bad_request");
    }
    let many: Vec<String> = (0..5001).map(|n| format!("{n:032x}")).collect();
    for (action, fields) in [
        ("create", with("participantids", json!(many))),
        (
            "removeparticipants",
            json!({ "conversationid": many[0], "participantids": many }),
        ),
    ] {
        let refusal = asks(&ann, action, fields)
            .await
            .is_refused(400, "bad_request");
        assert_eq!(
            refusal["errormessage"], "participantids must be a list of at most 5000 user ids.",
            "{action}"
        );
    }
    let nobody = "0".repeat(32);
    asks(&ann, "create", json!({ "displayname": "x", "participantids": [nobody], "secrets": { &ann.user: "a", &nobody: "b" } }))
        .await
        .is_refused(404, "user_not_found");
    ann.befriends(&ben).await;
    ben.asks(
        "chatblocklist",
        json!({ "action": "block", "userid": ann.user }),
    )
    .await
    .is_ok();
    asks(&ann, "create", whole())
        .await
        .is_refused(403, "not_allowed");
    asks(&ann, "dance", json!({}))
        .await
        .is_refused(404, "unknown_action");
    assert_eq!(
        (
            world.count("conversations").await,
            world.count("participants").await
        ),
        (0, 0)
    );
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
    let talk = Talk::of(&asks(&ann, "create", request).await.is_ok()["conversation"]);
    // 2,001 so far; Ben, who is no friend and counts from his invitation on, and 2,998 more.
    for ids in [&[ben.user.clone()][..], &many[2000..4998]] {
        let mut request = batch(ids);
        request["conversationid"] = talk.id.clone().into();
        asks(&ann, "addparticipants", request).await.is_ok();
    }
    let mut one_more = batch(&many[4999..]);
    one_more["conversationid"] = talk.id.clone().into();
    asks(&ann, "addparticipants", one_more)
        .await
        .is_refused(413, "too_large");
    assert_eq!(world.count("participants").await, 4999);
    asks(&ben, "accept", json!({ "conversationid": talk.id }))
        .await
        .is_ok();
    assert_eq!(world.count("participants").await, 5000);
    // Everyone hears, everyone reads, and the list has it once.
    let mut bens = Ear::of(&ben, 4).await;
    let messages =
        join_all((0..10).map(|n| ann.adds(&talk, if n % 2 == 0 { "even" } else { "odd" }))).await;
    let mut heard = 0;
    while heard < messages.len() {
        heard += bens.hears().await["events"].as_array().unwrap().len();
    }
    assert_eq!(
        ben.sees(&talk).await["participantids"]
            .as_array()
            .unwrap()
            .len(),
        5000
    );
    asks(&ben, "leave", json!({ "conversationid": talk.id }))
        .await
        .is_ok();
    assert_eq!(
        bens.hears().await["conversationlistchangedof"],
        json!([ben.user])
    );
    world.end().await;
}

#[tokio::test]
async fn everyone_in_it_hears_of_a_group_and_of_its_changes_and_nobody_else_does() {
    let world = World::new().await;
    let people = [
        world.person("Ann").await,
        world.person("Ben").await,
        world.person("Cleo").await,
        world.person("Dan").await,
    ];
    let [ann, ben, cleo, dan] = &people;
    ann.befriends(ben).await;
    ann.befriends(cleo).await;
    for person in &people {
        person.listens().await;
    }
    let hear = async || {
        for person in [ann, ben, cleo] {
            assert_eq!(
                person.hears().await,
                News {
                    lists: vec![person.user.clone()],
                    ..News::default()
                },
                "{}",
                person.name
            );
        }
        assert_eq!(dan.hears().await, News::default());
    };
    let create = json!({ "displayname": "the name", "participantids": ids(&[ben, cleo]), "secrets": secrets(&[ann, ben, cleo]) });
    let talk = Talk::of(&asks(ann, "create", create).await.is_ok()["conversation"]);
    hear().await;
    asks(
        ann,
        "rename",
        json!({ "conversationid": talk.id, "displaynames": { &ben.user: "another" } }),
    )
    .await
    .is_ok();
    hear().await;
    asks(
        ann,
        "setrole",
        json!({ "conversationid": talk.id, "participantid": ben.user, "role": "admin" }),
    )
    .await
    .is_ok();
    hear().await;
    // What was refused is no news.
    asks(
        cleo,
        "rename",
        json!({ "conversationid": talk.id, "displaynames": { &ben.user: "x" } }),
    )
    .await
    .is_refused(403, "not_allowed");
    asks(
        ann,
        "setrole",
        json!({ "conversationid": talk.id, "participantid": dan.user, "role": "admin" }),
    )
    .await
    .is_refused(404, "user_not_found");
    assert_eq!(ben.hears().await, News::default());
    // A retry of a message is told to everyone once more: nobody knows who heard the first time.
    let sent = crate::world::message("twice");
    for _ in 0..2 {
        ben.does("add", &talk, json!({ "message": sent }))
            .await
            .is_ok();
        for person in [ann, ben, cleo] {
            assert_eq!(
                person.hears().await,
                News {
                    conversations: vec![talk.id.clone()],
                    ..News::default()
                },
                "{}",
                person.name
            );
        }
    }
    assert_eq!(dan.hears().await, News::default());
    world.end().await;
}

#[tokio::test]
async fn a_block_keeps_one_out_of_a_group_and_does_not_divide_it() {
    let world = World::new().await;
    let ([ann, ben, cleo, dan], talk) = group(&world).await;
    for blocker in [&ben, &dan] {
        blocker
            .asks(
                "chatblocklist",
                json!({ "action": "block", "userid": ann.user }),
            )
            .await
            .is_ok();
    }
    let add = json!({ "conversationid": talk.id, "participantids": [dan.user], "secrets": secrets(&[&dan]) });
    asks(&ann, "addparticipants", add)
        .await
        .is_refused(403, "not_allowed");
    assert_eq!(members(&ann, &talk).await.len(), 3);
    // Ben is in it as before, and so is Ann, who writes and clears.
    let id = ann.adds(&talk, "to all").await;
    assert_eq!(ben.reads(&talk).await["messages"][0]["ID"], id.as_str());
    ann.does("clear", &talk, json!({})).await.is_ok();
    drop(cleo);
    world.end().await;
}

#[tokio::test]
async fn roles_change_only_by_setrole_and_by_the_last_admins_leaving() {
    let world = World::new().await;
    let ([ann, ben, cleo, dan], talk) = group(&world).await;
    asks(
        &ann,
        "setrole",
        json!({ "conversationid": talk.id, "participantid": ben.user, "role": "admin" }),
    )
    .await
    .is_ok();
    // One who is in already is added: he stays the admin that he is, with his own secret.
    let again = json!({ "conversationid": talk.id, "participantids": [ben.user], "secrets": { &ben.user: "another secret" }, "displaynames": { &ben.user: "x" } });
    asks(&ann, "addparticipants", again).await.is_ok();
    assert_eq!(role(&world, &ben).await, "admin");
    let seen = ben.sees(&talk).await;
    assert_eq!(
        (&seen["secret"], &seen["displayname"]),
        (&json!("secret for Ben"), &json!("the name"))
    );
    // One who is added without a name has none yet: the group's is encrypted for others.
    let add = json!({ "conversationid": talk.id, "participantids": [dan.user], "secrets": secrets(&[&dan]) });
    asks(&ann, "addparticipants", add).await.is_ok();
    assert_eq!(
        (
            dan.sees(&talk).await["displayname"].clone(),
            role(&world, &dan).await.as_str()
        ),
        (json!(""), "member")
    );
    // While there is an admin, whoever leaves hands nothing over, not even to the longest member.
    world
        .sql(&format!(
            "update participants set joined_at = joined_at - interval '1 day' where user_id = '{}'",
            cleo.user
        ))
        .await;
    asks(&ann, "leave", json!({ "conversationid": talk.id }))
        .await
        .is_ok();
    assert_eq!(
        (
            role(&world, &ben).await.as_str(),
            role(&world, &cleo).await.as_str()
        ),
        ("admin", "member")
    );
    world.end().await;
}
