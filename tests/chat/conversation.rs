//! Conversations: made once, seen by their participants alone, arranged by each for themselves.

use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::world::{News, Talk, World, at, eventually, message, on};

const FLAGS: [&str; 7] = [
    "favorite",
    "unfavorite",
    "mute",
    "unmute",
    "hide",
    "unhide",
    "setlistitembackgroundcolor",
];

fn flag(action: &str, talk: &Talk) -> Value {
    json!({ "action": action, "conversationid": talk.id, "color": "#bae1ff" })
}

#[tokio::test]
async fn each_participant_sees_their_own_secret_and_name() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    assert_eq!(
        talk.id,
        parlance_wire::id::ConversationId::between(
            parlance_wire::id::UserId::parse(&ann.user).unwrap(),
            parlance_wire::id::UserId::parse(&ben.user).unwrap()
        )
        .to_string()
    );
    for person in [&ann, &ben] {
        let seen = person.sees(&talk).await;
        assert_eq!(seen["secret"], format!("secret for {}", person.name));
        assert_eq!(seen["displayname"], format!("name for {}", person.name));
        let mut ids = [ann.user.clone(), ben.user.clone()];
        ids.sort();
        assert_eq!(seen["participantids"], json!(ids));
        assert_eq!(
            seen["properties"],
            json!([{ "userid": person.user, "ismuted": false, "isfavorite": false, "hideid": "", "listitembackgroundcolor": "#ffffff" }])
        );
        assert_eq!(
            (
                &seen["isgroup"],
                &seen["lastmessageid"],
                &seen["lastreportid"]
            ),
            (&json!(false), &json!(""), &json!(""))
        );
    }
    world.end().await;
}

#[tokio::test]
async fn two_clients_that_create_at_the_same_moment_get_the_same_conversation() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let requests = (0..12).map(|n| {
        let (one, other) = if n % 2 == 0 {
            (&ann, &ben)
        } else {
            (&ben, &ann)
        };
        async move {
            Talk::of(
                &one.asks("chatconversation", one.creation(other))
                    .await
                    .is_ok()["conversation"],
            )
        }
    });
    let talks = join_all(requests).await;
    assert!(talks.windows(2).all(|pair| pair[0] == pair[1]), "{talks:?}");
    assert_eq!(
        (
            world.count("conversations").await,
            world.count("participants").await
        ),
        (1, 2)
    );
    // Again, later, with other secrets: the existing one is answered.
    let mut again = ann.creation(&ben);
    again["secrets"][&ann.user] = "another secret".into();
    let answer = ann.asks("chatconversation", again).await.is_ok();
    assert_eq!(answer["conversation"]["secret"], "secret for Ann");
    world.end().await;
}

#[tokio::test]
async fn a_conversation_takes_a_friend_and_a_secret_for_each() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    ann.asks("chatconversation", ann.creation(&ben))
        .await
        .is_refused(403, "not_allowed");
    ann.asks(
        "chatfriends",
        json!({ "action": "add", "friendid": ben.user }),
    )
    .await
    .is_ok();
    ann.asks("chatconversation", ann.creation(&ben))
        .await
        .is_refused(403, "not_allowed");
    ben.asks("chatconversation", ben.creation(&ann))
        .await
        .is_refused(403, "not_allowed");
    ben.asks(
        "chatfriends",
        json!({ "action": "accept", "friendid": ann.user }),
    )
    .await
    .is_ok();

    let with = |field: &str, value: Value| {
        let mut request = ann.creation(&ben);
        request[field] = value;
        request
    };
    for request in [
        with("participantid", json!("x")),
        with("participantid", Value::Null),
        with("participantid", json!(ann.user)),
        with("secrets", json!({})),
        with("secrets", json!({ &ann.user: "mine alone" })),
        with("secrets", json!({ "x": "y" })),
        with("secrets", json!({ &ann.user: "a\u{0}", &ben.user: "b" })),
        with(
            "secrets",
            json!({ &ann.user: "a".repeat(4097), &ben.user: "b" }),
        ),
        with("secrets", json!([])),
        with("displaynames", json!({ &ben.user: "theirs alone" })),
        with("displaynames", json!({ &ann.user: 5, &ben.user: "b" })),
    ] {
        ann.asks("chatconversation", request)
            .await
            .is_refused(400, "bad_request");
    }
    ann.asks(
        "chatconversation",
        with("participantid", json!("0".repeat(32))),
    )
    .await
    .is_refused(404, "user_not_found");
    assert_eq!(world.count("conversations").await, 0);
    world.end().await;
}

#[tokio::test]
async fn a_conversation_outlives_the_friendship() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    ann.asks(
        "chatfriends",
        json!({ "action": "remove", "friendid": ben.user }),
    )
    .await
    .is_ok();
    assert_eq!(ben.creates(&ann).await, talk);
    ben.adds(&talk, "still here").await;
    world.end().await;
}

#[tokio::test]
async fn how_one_arranges_a_list_is_ones_own_business() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let untouched = ben.sees(&talk).await;
    for action in ["favorite", "mute", "hide", "setlistitembackgroundcolor"] {
        for _ in 0..2 {
            let shown = ann
                .asks("chatconversation", flag(action, &talk))
                .await
                .is_ok()["conversation"]
                .clone();
            assert_eq!(shown, ann.sees(&talk).await, "{action}");
        }
    }
    let arranged = ann.sees(&talk).await;
    for by in ["favoriteby", "mutedby", "hiddenby"] {
        assert_eq!(arranged[by], json!([ann.user]));
    }
    assert_eq!(
        arranged["properties"],
        json!([{ "userid": ann.user, "ismuted": true, "isfavorite": true, "hideid": "", "listitembackgroundcolor": "#bae1ff" }])
    );
    assert_eq!(ben.sees(&talk).await, untouched);
    for action in ["unfavorite", "unmute", "unhide"] {
        for _ in 0..2 {
            ann.asks("chatconversation", flag(action, &talk))
                .await
                .is_ok();
        }
    }
    ann.does(
        "setlistitembackgroundcolor",
        &talk,
        json!({ "color": "#ffffff" }),
    )
    .await
    .is_ok();
    let plain = ann.sees(&talk).await;
    assert_eq!(
        (&plain["favoriteby"], &plain["mutedby"], &plain["hiddenby"]),
        (&json!([]), &json!([]), &json!([]))
    );
    world.end().await;
}

#[tokio::test]
async fn hide_is_until_the_instance_changes_or_for_good_and_unhide_undoes_both() {
    let world = World::new().await;
    let (ann, _ben, talk) = world.talk().await;
    let hides =
        async |fields: Value| ann.does("hide", &talk, fields).await.is_ok()["conversation"].clone();
    let hide_id = format!("{};", talk.instance);
    let shown = hides(json!({ "hideid": hide_id })).await;
    assert_eq!(
        (&shown["properties"][0]["hideid"], &shown["hiddenby"]),
        (&json!(hide_id), &json!([]))
    );
    // For good: hideid stays as it was. Empty and null are as good as absent.
    for fields in [
        json!({}),
        json!({ "hideid": "" }),
        json!({ "hideid": null }),
    ] {
        let shown = hides(fields).await;
        assert_eq!(
            (&shown["properties"][0]["hideid"], &shown["hiddenby"]),
            (&json!(hide_id), &json!([ann.user]))
        );
    }
    // Hidden until the instance changes: hiddenby stays as it was.
    let shown = hides(json!({ "hideid": "7sSwU2VoFM;PqjfKSn7V8;" })).await;
    assert_eq!(
        (&shown["properties"][0]["hideid"], &shown["hiddenby"]),
        (&json!("7sSwU2VoFM;PqjfKSn7V8;"), &json!([ann.user]))
    );
    let shown = ann.does("unhide", &talk, json!({})).await.is_ok()["conversation"].clone();
    assert_eq!(
        (&shown["properties"][0]["hideid"], &shown["hiddenby"]),
        (&json!(""), &json!([]))
    );
    for wrong in ["a b;", "é;", &"a".repeat(257)] {
        ann.does("hide", &talk, json!({ "hideid": wrong }))
            .await
            .is_refused(400, "bad_request");
    }
    assert_eq!(ann.sees(&talk).await["properties"][0]["hideid"], "");
    world.end().await;
}

#[tokio::test]
async fn a_colour_is_kept_as_given_and_nothing_else_is_a_colour() {
    let world = World::new().await;
    let (ann, _ben, talk) = world.talk().await;
    ann.does(
        "setlistitembackgroundcolor",
        &talk,
        json!({ "color": "#BAe1fF" }),
    )
    .await
    .is_ok();
    for wrong in [
        json!("bae1ff"),
        json!("#bae1f"),
        json!("#bae1fff"),
        json!("#bae1fg"),
        json!(""),
        json!(null),
        json!(7),
        json!("red"),
    ] {
        ann.does(
            "setlistitembackgroundcolor",
            &talk,
            json!({ "color": wrong }),
        )
        .await
        .is_refused(400, "bad_request");
    }
    assert_eq!(
        ann.sees(&talk).await["properties"][0]["listitembackgroundcolor"],
        "#BAe1fF"
    );
    world.end().await;
}

#[tokio::test]
async fn clear_ends_an_instance_for_everyone_and_a_retry_changes_nothing() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let id = ann.adds(&talk, "gone soon").await;
    ben.views(&talk, &[id]).await.is_ok();
    let before = ann.sees(&talk).await;
    assert!(before["lastmessageid"] != "" && before["lastreportid"] != "");

    let cleared = ben.does("clear", &talk, json!({})).await.is_ok()["conversation"].clone();
    let next = Talk::of(&cleared);
    assert_ne!(next.instance, talk.instance);
    assert_eq!(
        (&cleared["lastmessageid"], &cleared["lastreportid"]),
        (&json!(""), &json!(""))
    );
    assert_eq!(cleared["lastaccess"], before["lastaccess"]);
    for person in [&ann, &ben] {
        let empty = person.reads(&next).await;
        assert_eq!(
            (&empty["messages"], &empty["reports"]),
            (&json!([]), &json!([]))
        );
    }
    // Everything that names the old instance is told the present one, and stores nothing.
    for request in [
        on("clear", &talk, json!({})),
        on("add", &talk, json!({ "message": message("late") })),
        on("download", &talk, json!({})),
        on("downloadpartial", &talk, json!({})),
    ] {
        let refusal = ann
            .asks("chatconversation", request)
            .await
            .is_refused(409, "stale_instance");
        assert_eq!(refusal["instance"], next.instance);
    }
    ann.views(&talk, &[])
        .await
        .is_refused(409, "stale_instance");
    assert_eq!(Talk::of(&ann.sees(&next).await), next);
    world.end().await;
}

#[tokio::test]
async fn the_same_ids_may_come_again_after_a_clear() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let message = message("again");
    let id = message["ID"].as_str().unwrap().to_owned();
    let mut talk = talk;
    for _ in 0..3 {
        ann.does("add", &talk, json!({ "message": message }))
            .await
            .is_ok();
        ben.views(&talk, std::slice::from_ref(&id)).await.is_ok();
        let history = ben.reads(&talk).await;
        assert_eq!(
            (
                history["messages"].as_array().unwrap().len(),
                history["reports"].as_array().unwrap().len()
            ),
            (1, 1)
        );
        talk = Talk::of(&ann.does("clear", &talk, json!({})).await.is_ok()["conversation"]);
    }
    world.end().await;
}

#[tokio::test]
async fn cleared_rows_are_deleted_in_the_background_and_no_others() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    for n in 0..3 {
        let id = ann.adds(&talk, &n.to_string()).await;
        ben.views(&talk, &[id]).await.is_ok();
    }
    let next = Talk::of(&ann.does("clear", &talk, json!({})).await.is_ok()["conversation"]);
    let kept = ann.adds(&next, "kept").await;
    assert_eq!(
        (world.count("messages").await, world.count("reports").await),
        (4, 3)
    );
    assert_eq!(
        parlance::store::purge::cleared(&world.store).await.unwrap(),
        6
    );
    assert_eq!(
        (world.count("messages").await, world.count("reports").await),
        (1, 0)
    );
    assert_eq!(
        parlance::store::purge::cleared(&world.store).await.unwrap(),
        0
    );
    assert_eq!(ben.reads(&next).await["messages"][0]["ID"], kept);
    world.end().await;
}

#[tokio::test]
async fn in_a_group_only_an_admin_clears() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    world
        .sql(&format!("update conversations set is_group = true; update participants set role = 'admin' where user_id = '{}'", ann.user))
        .await;
    ben.does("clear", &talk, json!({}))
        .await
        .is_refused(403, "not_allowed");
    assert_eq!(ben.sees(&talk).await["instance"], talk.instance);
    ann.does("clear", &talk, json!({})).await.is_ok();
    world.end().await;
}

#[tokio::test]
async fn a_foreign_conversation_and_one_that_is_not_there_look_alike() {
    let world = World::new().await;
    let (ann, _ben, talk) = world.talk().await;
    let id = ann.adds(&talk, "private").await;
    let cleo = world.person("Cleo").await;
    let nowhere = Talk {
        id: "0".repeat(32),
        instance: talk.instance.clone(),
    };
    let others = Talk {
        id: talk.id.clone(),
        instance: "AAAAAAAAAA".into(),
    };
    let mut refusals = vec![];
    for talk in [&talk, &others, &nowhere] {
        for action in FLAGS {
            refusals.push(cleo.asks("chatconversation", flag(action, talk)).await);
        }
        for request in [
            on("add", talk, json!({ "message": message("intruder") })),
            on("download", talk, json!({})),
            on("download", talk, json!({ "firstmessageid": id })),
            on("downloadpartial", talk, json!({})),
            on("clear", talk, json!({})),
        ] {
            refusals.push(cleo.asks("chatconversation", request).await);
        }
        for action in ["viewed", "delivered"] {
            let report = json!({ "action": action, "conversationid": talk.id, "instance": talk.instance, "messageids": [id] });
            refusals.push(cleo.asks("chatreports", report).await);
        }
    }
    for refusal in &refusals {
        refusal.is_refused(404, "conversation_not_found");
        assert_eq!(refusal.text, refusals[0].text);
    }
    assert_eq!(
        cleo.asks("chatconversation", json!({ "action": "list" }))
            .await
            .is_ok()["conversations"],
        json!([])
    );
    assert_eq!(
        (world.count("messages").await, world.count("reports").await),
        (1, 0)
    );
    assert_eq!(ann.sees(&talk).await["instance"], talk.instance);
    world.end().await;
}

#[tokio::test]
async fn the_list_is_newest_first_and_lastaccess_never_goes_back() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let cleo = world.person("Cleo").await;
    ann.befriends(&cleo).await;
    let other = ann.creates(&cleo).await;
    world
        .sql("update conversations set last_access_at = '2024-01-01Z', created_at = '2024-01-01Z'")
        .await;
    let order = async || -> Vec<String> {
        let list = ann
            .asks("chatconversation", json!({ "action": "list" }))
            .await
            .is_ok();
        list["conversations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["id"].as_str().unwrap().to_owned())
            .collect()
    };
    for (talk, writer) in [(&talk, &ben), (&other, &cleo), (&talk, &ann)] {
        writer.adds(talk, "newest").await;
        // Times have whole seconds: what is newer must be so by one.
        world
            .sql(&format!(
                "update conversations set last_access_at = last_access_at - interval '1 minute' where conversation_id <> '{}'",
                talk.id
            ))
            .await;
        assert_eq!(order().await[0], talk.id);
    }
    let before = ann.sees(&talk).await["lastaccess"].clone();
    let mut old = message("an old one");
    old["Created"] = at(TimeDelta::days(-3)).into();
    ann.does("add", &talk, json!({ "message": old }))
        .await
        .is_ok();
    let after = ann.sees(&talk).await;
    assert_eq!(
        (&after["lastaccess"], &after["lastmessageid"]),
        (&before, &old["ID"])
    );
    world.end().await;
}

#[tokio::test]
async fn a_list_is_paged_in_its_order_and_comes_whole_where_nothing_is_said() {
    let world = World::new().await;
    let (ann, _ben, talk) = world.talk().await;
    // Some share a moment.
    world
        .sql(&format!(
            "update conversations set last_access_at = '2025-01-01Z';
            insert into conversations (conversation_id, is_group, instance, last_access_at, created_at)
            select md5(n::text)::uuid, true, 'AAAAAAAAAA', '2024-01-01Z'::timestamptz + n / 3 * interval '1 second', now() from generate_series(1, 24) n;
            insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
            select md5(n::text)::uuid, '{}', '', '', 'admin', now() from generate_series(1, 24) n",
            ann.user
        ))
        .await;
    let page = async |fields: Value| {
        let mut request = fields;
        request["action"] = "list".into();
        let answer = ann.asks_as(4, "chatconversation", request).await.is_ok();
        let ids: Vec<String> = answer["conversations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["id"].as_str().unwrap().to_owned())
            .collect();
        (ids, answer["hasmore"].as_bool().unwrap())
    };
    let (whole, hasmore) = page(json!({})).await;
    assert_eq!((whole.len(), hasmore, &whole[0]), (25, false, &talk.id));
    for limit in [1, 7, 25, 1000] {
        let (mut all, mut after, mut pages) = (vec![], Value::Null, 0);
        loop {
            let (ids, hasmore) = page(json!({ "limit": limit, "after": after })).await;
            assert!(
                ids.len() <= limit && (ids.len() == limit || !hasmore),
                "{limit}: {ids:?}"
            );
            after = ids.last().unwrap().clone().into();
            all.extend(ids);
            pages += 1;
            if !hasmore {
                break;
            }
        }
        assert_eq!((&all, pages), (&whole, 25_usize.div_ceil(limit)), "{limit}");
    }
    assert_eq!(
        page(json!({ "after": whole[9] })).await,
        (whole[10..].to_vec(), false)
    );
    assert_eq!(
        page(json!({ "after": whole[24], "limit": 5 })).await,
        (vec![], false)
    );
    for (field, wrong) in [
        ("limit", json!(0)),
        ("limit", json!(1001)),
        ("limit", json!("x")),
        ("after", json!("x")),
        ("after", json!(5)),
    ] {
        let refusal = ann
            .asks_as(
                4,
                "chatconversation",
                json!({ "action": "list", field: wrong }),
            )
            .await
            .is_refused(400, "bad_request");
        assert!(
            refusal["errormessage"].as_str().unwrap().starts_with(field),
            "{refusal}"
        );
    }
    // A conversation that is not the caller's, any more or ever, is no place in the list.
    let cleo = world.person("Cleo").await;
    for after in [&talk.id, &"0".repeat(32)] {
        cleo.asks_as(
            4,
            "chatconversation",
            json!({ "action": "list", "after": after }),
        )
        .await
        .is_refused(404, "conversation_not_found");
    }
    // An older client knows neither field: whatever they hold, it gets the whole list.
    for (field, any) in [
        ("limit", json!("x")),
        ("limit", json!(0)),
        ("after", json!(5)),
    ] {
        let list = ann
            .asks("chatconversation", json!({ "action": "list", field: any }))
            .await
            .is_ok();
        assert_eq!(list["conversations"].as_array().unwrap().len(), 25);
    }
    // A published client asks for all of it.
    let published = ann
        .asks(
            "chatconversation",
            json!({ "action": "list", "limit": 3, "after": whole[9] }),
        )
        .await
        .is_ok();
    assert_eq!(
        (
            published["conversations"].as_array().unwrap().len(),
            published.get("hasmore")
        ),
        (25, None)
    );
    // What a page ended with gets a message, and moves to the front: the pages begin again after it, and nothing is left out.
    let (first, _) = page(json!({ "limit": 10 })).await;
    let moved = Talk {
        id: first[9].clone(),
        instance: "AAAAAAAAAA".into(),
    };
    ann.adds(&moved, "to the front").await;
    let (again, _) = page(json!({ "limit": 10, "after": moved.id })).await;
    assert_eq!(again, [&first[..9], &whole[10..11]].concat());
    let (rest, hasmore) = page(json!({ "after": again[9] })).await;
    assert_eq!((rest, hasmore), (whole[11..].to_vec(), false));
    // It is gone before the next page: the client begins anew.
    ann.asks(
        "chatconversationgroup",
        json!({ "action": "leave", "conversationid": moved.id }),
    )
    .await
    .is_ok();
    ann.asks_as(
        4,
        "chatconversation",
        json!({ "action": "list", "after": moved.id }),
    )
    .await
    .is_refused(404, "conversation_not_found");
    world
        .sql("delete from participants where secret = ''")
        .await;
    world.end().await;
}

#[tokio::test]
async fn what_clients_alone_understand_is_printable_ascii() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let printable: String = (b' '..=b'~').map(char::from).collect();
    let cleo = world.person("Cleo").await;
    ann.befriends(&cleo).await;
    for (wrong, is_refused) in [
        ("\u{1}", true),
        ("\n", true),
        ("\u{7f}", true),
        ("é", true),
        ("\u{202e}", true),
        (&*printable, false),
        ("uwR...A==", false),
    ] {
        let mut direct = ann.creation(&cleo);
        let mut names = ann.creation(&cleo);
        direct["secrets"][&cleo.user] = wrong.into();
        names["displaynames"][&cleo.user] = wrong.into();
        let group = |name: &str, secret: &str| json!({ "action": "create", "displayname": name, "participantids": [], "secrets": { &ann.user: secret } });
        let sent = message(wrong);
        for (api, field, request) in [
            ("chatconversation", "secrets", direct),
            ("chatconversation", "displaynames", names),
            ("chatconversationgroup", "displayname", group(wrong, "s")),
            ("chatconversationgroup", "secrets", group("n", wrong)),
            (
                "chatconversation",
                "message.Data",
                on("add", &talk, json!({ "message": sent.to_string() })),
            ),
            (
                "chatconversation",
                "message.Data",
                on("add", &talk, json!({ "message": sent })),
            ),
        ] {
            let answer = ann.asks(api, request).await;
            if is_refused {
                let refusal = answer.is_refused(400, "bad_request");
                let sentence = refusal["errormessage"].as_str().unwrap();
                assert!(
                    sentence.starts_with(field) && sentence.contains("printable ASCII"),
                    "{wrong:?} {sentence}"
                );
            } else {
                answer.is_ok();
            }
        }
    }
    let page = ben.reads(&talk).await;
    assert_eq!(
        (
            &page["messages"][0]["Data"],
            page["messages"].as_array().unwrap().len()
        ),
        (&json!(printable), 2)
    );
    world.end().await;
}

#[tokio::test]
async fn both_hear_of_a_new_conversation_and_of_a_clear_and_only_oneself_of_ones_arrangement() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let elsewhere = ann.elsewhere().await;
    for person in [&ann, &ben, &elsewhere] {
        person.listens().await;
    }
    let listed = |user: &str| News {
        lists: vec![user.to_owned()],
        ..News::default()
    };
    let talk = ann.creates(&ben).await;
    for person in [&ann, &ben, &elsewhere] {
        assert_eq!(person.hears().await, listed(&person.user));
    }
    ben.creates(&ann).await;
    assert_eq!(ben.hears().await, News::default());
    for action in FLAGS {
        ann.asks("chatconversation", flag(action, &talk))
            .await
            .is_ok();
        assert_eq!(elsewhere.hears().await, listed(&ann.user), "{action}");
        assert_eq!(ben.hears().await, News::default(), "{action}");
    }
    ann.hears().await;
    ann.does("clear", &talk, json!({})).await.is_ok();
    for person in [&ann, &ben, &elsewhere] {
        assert_eq!(
            person.hears().await,
            News {
                conversations: vec![talk.id.clone()],
                ..listed(&person.user)
            }
        );
    }
    world.end().await;
}

#[tokio::test]
async fn each_action_names_the_field_that_is_missing_or_wrong() {
    let world = World::new().await;
    let (ann, _ben, talk) = world.talk().await;
    let whole = |action: &str| {
        on(
            action,
            &talk,
            json!({ "message": message("x"), "color": "#ffffff" }),
        )
    };
    for (action, fields) in [
        ("add", &["conversationid", "instance", "message"][..]),
        ("download", &["conversationid", "instance"]),
        ("downloadpartial", &["conversationid", "instance"]),
        ("clear", &["conversationid", "instance"]),
        ("favorite", &["conversationid"]),
        ("unfavorite", &["conversationid"]),
        ("mute", &["conversationid"]),
        ("unmute", &["conversationid"]),
        ("hide", &["conversationid"]),
        ("unhide", &["conversationid"]),
        ("setlistitembackgroundcolor", &["conversationid", "color"]),
    ] {
        for field in fields {
            let mut request = whole(action);
            request.as_object_mut().unwrap().remove(*field);
            let refusal = ann
                .asks("chatconversation", request.clone())
                .await
                .is_refused(400, "bad_request");
            assert_eq!(
                refusal["errormessage"],
                format!("{field} is missing."),
                "{action}"
            );
            for wrong in [
                json!(null),
                json!(5),
                json!([]),
                json!({}),
                json!("x"),
                json!(""),
                json!("x".repeat(100_000)),
                json!("'; drop table messages; --"),
                json!("a\u{0}"),
            ] {
                request[*field] = wrong.clone();
                let refusal = ann
                    .asks("chatconversation", request.clone())
                    .await
                    .is_refused(400, "bad_request");
                let sentence = refusal["errormessage"].as_str().unwrap();
                assert!(
                    sentence.starts_with(field) && sentence.len() < 400,
                    "{action} {wrong}: {sentence}"
                );
            }
        }
    }
    assert_eq!(world.count("messages").await, 0);
    world.end().await;
}

#[tokio::test]
async fn what_someone_is_called_is_read_again_once_they_have_changed() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let called = async || {
        let seen = ann.sees(&talk).await;
        let ben = seen["participants"]
            .as_array()
            .unwrap()
            .iter()
            .find(|person| person["userid"] == ben.user.as_str());
        ben.unwrap()["username"].as_str().unwrap().to_owned()
    };
    assert_eq!(called().await, "Ben");
    world
        .sql(&format!(
            "update users set nick = 'Benjamin' where user_id = '{}'",
            ben.user
        ))
        .await;
    assert_eq!(called().await, "Ben");
    // Whoever changes a user says so.
    let user = parlance_wire::id::UserId::parse(&ben.user).unwrap();
    parlance::store::user::set_disabled(&world.store, user, None)
        .await
        .unwrap();
    eventually("the other name", async || called().await == "Benjamin").await;
    world.end().await;
}
