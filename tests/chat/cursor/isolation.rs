//! A cursor of another conversation or instance reveals nothing about it.

use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{download, five, ids, partial};
use crate::world::{Conversation, Person, World, at, message};

/// Two conversations of Ann's, with Ben and with Cleo, with the same name, which only their ids
/// tell apart.
async fn two_of_one_name(
    world: &std::sync::Arc<World>,
) -> (Person, Person, Conversation, Person, Conversation) {
    let (ann, ben, mut here) = world.conversation().await;
    let cleo = world.person("Cleo").await;
    ann.befriends(&cleo).await;
    let mut there = ann.creates(&cleo).await;
    world
        .sql("update conversations set instance = 'AAAAAAAAAA'")
        .await;
    for conversation in [&mut here, &mut there] {
        conversation.instance = "AAAAAAAAAA".into();
    }
    (ann, ben, here, cleo, there)
}

#[tokio::test]
async fn an_id_of_another_conversation_is_one_that_is_not_there() {
    let world = World::new().await;
    let (ann, ben, here, cleo, there) = two_of_one_name(&world).await;
    let written = five(&ann, &ben, &here).await;
    five(&ann, &cleo, &there).await;
    // An expired one there, too.
    let mut old = message("expired");
    old["ValidUntil"] = at(-TimeDelta::days(30)).into();
    ann.does("add", &there, json!({ "message": old }))
        .await
        .ok();
    cleo.views(&there, &[old["ID"].as_str().unwrap().to_owned()])
        .await
        .ok();
    let foreign = ann.reads(&there).await;
    world
        .sql("update messages set stored_at = now() - interval '30 days' where valid_until < now()")
        .await;
    assert_eq!(
        parlance::store::purge::expired(&world.store, parlance_wire::time::Timestamp::now())
            .await
            .unwrap(),
        1
    );

    for n in 0..6 {
        let (message, report) = (&foreign["messages"][n]["ID"], &foreign["reports"][n]["ID"]);
        for (message, report) in [
            (message, &Value::Null),
            (&Value::Null, report),
            (message, report),
        ] {
            for person in [&ann, &ben] {
                let page = download(
                    person,
                    &here,
                    json!({ "firstmessageid": message, "firstreportid": report }),
                )
                .await;
                assert_eq!(
                    (ids(&page, "messages"), ids(&page, "reports")),
                    (written.clone(), written.clone()),
                    "{n}"
                );
                let page = partial(
                    person,
                    &here,
                    json!({ "lastmessageid": message, "lastreportid": report }),
                )
                .await;
                assert_eq!(
                    (ids(&page, "messages"), ids(&page, "reports")),
                    (written.clone(), written.clone()),
                    "{n}"
                );
                // With a date, the date determines where to continue.
                let later = at(TimeDelta::hours(1));
                let dated = json!({ "firstmessageid": message, "firstmessagedate": later, "firstreportid": report, "firstreportdate": later });
                let page = download(person, &here, dated).await;
                assert_eq!(
                    (ids(&page, "messages").len(), ids(&page, "reports").len()),
                    (0, 0),
                    "{n}"
                );
            }
        }
    }
    // Nor do the times of rows there determine where to continue here: all of them are newer than
    // those here.
    for table in ["messages", "reports"] {
        world.sql(&format!(
            "update {table} set created_at = date_trunc('second', now()) - interval '1 day' + seq * interval '1 hour' where conversation_id = '{}'", here.id
        )).await;
    }
    let own = ann.reads(&here).await;
    let (date, report_date) = (
        &own["messages"][3]["Created"],
        &own["reports"][3]["Created"],
    );
    let page = download(
        &ann,
        &here,
        json!({ "firstmessagedate": date, "firstreportdate": report_date }),
    )
    .await;
    assert_eq!(
        (ids(&page, "messages"), ids(&page, "reports")),
        (written[3..].to_vec(), written[3..].to_vec())
    );
    let page = partial(
        &ann,
        &here,
        json!({ "lastmessagedate": date, "lastreportdate": report_date }),
    )
    .await;
    assert_eq!(
        (ids(&page, "messages"), ids(&page, "reports")),
        (written[..3].to_vec(), written[..3].to_vec())
    );
    // An id that exists in both names its own position in each.
    let twin = message("twin");
    ann.does("add", &there, json!({ "message": twin }))
        .await
        .ok();
    for _ in 0..3 {
        ann.adds(&here, "between").await;
    }
    ann.does("add", &here, json!({ "message": twin }))
        .await
        .ok();
    for (conversation, before) in [(&here, 8), (&there, 5)] {
        assert_eq!(
            ids(
                &download(&ann, conversation, json!({ "firstmessageid": twin["ID"] })).await,
                "messages"
            )
            .len(),
            1
        );
        assert_eq!(
            ids(
                &partial(&ann, conversation, json!({ "lastmessageid": twin["ID"] })).await,
                "messages"
            )
            .len(),
            before
        );
    }
    world.end().await;
}

#[tokio::test]
async fn rows_of_another_conversation_change_nothing_here() {
    let world = World::new().await;
    let (ann, ben, here, cleo, there) = two_of_one_name(&world).await;
    // The same message and the same numbers in both.
    let twin = message("twin");
    for conversation in [&here, &there] {
        ann.does("add", conversation, json!({ "message": twin }))
            .await
            .ok();
    }
    let id = twin["ID"].as_str().unwrap().to_owned();
    let mut other = twin.clone();
    other["ID"] = Uuid::new_v4().to_string().into();
    ann.does("add", &there, json!({ "message": other }))
        .await
        .ok();
    let foreign = other["ID"].as_str().unwrap().to_owned();
    // The twin is reported on in each, by each participant; the other one's report must not appear
    // here.
    for (person, conversation) in [
        (&ann, &there),
        (&cleo, &there),
        (&ann, &here),
        (&ben, &here),
    ] {
        person
            .views(conversation, &[id.clone(), foreign.clone()])
            .await
            .ok();
    }
    for (conversation, reported) in [
        (&here, vec![&id, &id]),
        (&there, vec![&id, &foreign, &id, &foreign]),
    ] {
        assert_eq!(
            ids(&ann.reads(conversation).await, "reports")
                .iter()
                .collect::<Vec<_>>(),
            reported
        );
    }
    // Each transcript has only its own links.
    let links = |page: &Value| {
        page["transcript"]
            .as_array()
            .unwrap()
            .iter()
            .map(|link| link["ID"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        links(&ann.does("transcript", &here, json!({})).await.ok()),
        [json!(id)]
    );
    assert_eq!(
        links(&ann.does("transcript", &there, json!({})).await.ok()),
        [json!(id), json!(foreign)]
    );
    // `clear` here leaves the rows there, also in the background.
    let cleared = Conversation::of(&ben.does("clear", &here, json!({})).await.ok()["conversation"]);
    parlance::store::purge::cleared(&world.store).await.unwrap();
    assert_eq!(ann.reads(&cleared).await["messages"], json!([]));
    assert_eq!(
        ids(&ann.reads(&there).await, "messages"),
        [id.clone(), foreign.clone()]
    );
    assert_eq!(
        ann.reads(&there).await["reports"].as_array().unwrap().len(),
        4
    );
    world.end().await;
}

#[tokio::test]
async fn rows_of_an_earlier_instance_do_not_affect_the_present_one() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    five(&ann, &ben, &conversation).await;
    let mut old = message("expires");
    old["ValidUntil"] = at(-TimeDelta::days(30)).into();
    ann.does("add", &conversation, json!({ "message": old }))
        .await
        .ok();
    world
        .sql("update messages set stored_at = now() - interval '30 days' where valid_until < now()")
        .await;
    assert_eq!(
        parlance::store::purge::expired(&world.store, parlance_wire::time::Timestamp::now())
            .await
            .unwrap(),
        1
    );
    let next =
        Conversation::of(&ann.does("clear", &conversation, json!({})).await.ok()["conversation"]);
    // The old rows are not deleted yet, and are newer than those of writers whose clocks are
    // behind.
    let written = five(&ann, &ben, &next).await;
    for table in ["messages", "reports"] {
        world.sql(&format!("update {table} t set created_at = now() - interval '10 hours' from conversations c where t.conversation_id = c.conversation_id and t.seq > c.cleared_seq")).await;
    }
    let an_hour_ago = at(-TimeDelta::hours(1));
    for (message, date) in [
        (Value::Null, json!(an_hour_ago)),
        (old["ID"].clone(), json!(an_hour_ago)),
        (old["ID"].clone(), Value::Null),
    ] {
        let page = partial(
            &ben,
            &next,
            json!({ "lastmessageid": message, "lastmessagedate": date, "lastreportdate": date }),
        )
        .await;
        assert_eq!(
            (ids(&page, "messages"), ids(&page, "reports")),
            (written.clone(), written.clone()),
            "{message} {date}"
        );
    }
    let links = ben.does("transcript", &next, json!({})).await.ok()["transcript"].clone();
    assert_eq!(
        links
            .as_array()
            .unwrap()
            .iter()
            .map(|link| link["ID"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>(),
        written
    );
    world.end().await;
}
