//! The list: its order, its pages, and the fields of its rows.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::world::{Conversation, World, at, eventually, message};

#[tokio::test]
async fn the_list_is_newest_first_and_lastaccess_never_goes_back() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let cleo = world.person("Cleo").await;
    ann.befriends(&cleo).await;
    let other = ann.creates(&cleo).await;
    world
        .sql("update conversations set last_access_at = '2024-01-01Z', created_at = '2024-01-01Z'")
        .await;
    let order = async || -> Vec<String> {
        let list = ann.lists().await.ok();
        list["conversations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["id"].as_str().unwrap().to_owned())
            .collect()
    };
    for (conversation, writer) in [
        (&conversation, &ben),
        (&other, &cleo),
        (&conversation, &ann),
    ] {
        writer.adds(conversation, "newest").await;
        // Times have whole seconds, so newer rows have to be newer by at least one.
        world
            .sql(&format!(
                "update conversations set last_access_at = last_access_at - interval '1 minute' where conversation_id <> '{}'",
                conversation.id
            ))
            .await;
        assert_eq!(order().await[0], conversation.id);
    }
    let before = ann.sees(&conversation).await["lastaccess"].clone();
    let mut old = message("an old one");
    old["Created"] = at(TimeDelta::days(-3)).into();
    ann.does("add", &conversation, json!({ "message": old }))
        .await
        .ok();
    let after = ann.sees(&conversation).await;
    assert_eq!(
        (&after["lastaccess"], &after["lastmessageid"]),
        (&before, &old["ID"])
    );
    world.end().await;
}

#[tokio::test]
async fn a_list_is_paged_in_its_order_and_comes_whole_where_nothing_is_said() {
    let world = World::new().await;
    let (ann, _ben, conversation) = world.conversation().await;
    // Some have the same time.
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
        let answer = ann.asks_as(4, "chatconversation", request).await.ok();
        let ids: Vec<String> = answer["conversations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["id"].as_str().unwrap().to_owned())
            .collect();
        (ids, answer["hasmore"].as_bool().unwrap())
    };
    let (whole, hasmore) = page(json!({})).await;
    assert_eq!(
        (whole.len(), hasmore, &whole[0]),
        (25, false, &conversation.id)
    );
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
            .refused(400, "bad_request");
        assert!(
            refusal["errormessage"].as_str().unwrap().starts_with(field),
            "{refusal}"
        );
    }
    // A conversation in which the caller no longer, or never, takes part is not a position in the
    // list.
    let cleo = world.person("Cleo").await;
    for after in [&conversation.id, &"0".repeat(32)] {
        cleo.asks_as(
            4,
            "chatconversation",
            json!({ "action": "list", "after": after }),
        )
        .await
        .refused(404, "conversation_not_found");
    }
    // Older clients know neither field, and get the whole list whatever they contain.
    for (field, any) in [
        ("limit", json!("x")),
        ("limit", json!(0)),
        ("after", json!(5)),
    ] {
        let list = ann
            .asks("chatconversation", json!({ "action": "list", field: any }))
            .await
            .ok();
        assert_eq!(list["conversations"].as_array().unwrap().len(), 25);
    }
    // A version 3 client gets the whole list.
    let published = ann
        .asks(
            "chatconversation",
            json!({ "action": "list", "limit": 3, "after": whole[9] }),
        )
        .await
        .ok();
    assert_eq!(
        (
            published["conversations"].as_array().unwrap().len(),
            published.get("hasmore")
        ),
        (25, None)
    );
    // The last conversation of a page gets a message and moves to the front: pages after it start
    // over, and nothing is left out.
    let (first, _) = page(json!({ "limit": 10 })).await;
    let moved = Conversation {
        id: first[9].clone(),
        instance: "AAAAAAAAAA".into(),
    };
    ann.adds(&moved, "to the front").await;
    let (again, _) = page(json!({ "limit": 10, "after": moved.id })).await;
    assert_eq!(again, [&first[..9], &whole[10..11]].concat());
    let (rest, hasmore) = page(json!({ "after": again[9] })).await;
    assert_eq!((rest, hasmore), (whole[11..].to_vec(), false));
    // If it is gone before the next page, the client starts over.
    ann.asks(
        "chatconversationgroup",
        json!({ "action": "leave", "conversationid": moved.id }),
    )
    .await
    .ok();
    ann.asks_as(
        4,
        "chatconversation",
        json!({ "action": "list", "after": moved.id }),
    )
    .await
    .refused(404, "conversation_not_found");
    world
        .sql("delete from participants where secret = ''")
        .await;
    world.end().await;
}

#[tokio::test]
async fn a_name_is_read_again_after_a_change() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let called = async || {
        let seen = ann.sees(&conversation).await;
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
    // A change to a user is announced.
    world.sets_disabled(&ben, false).await;
    eventually("the other name", async || called().await == "Benjamin").await;
    world.end().await;
}
