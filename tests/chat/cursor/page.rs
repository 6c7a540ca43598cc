//! The beginning and end of a page, and its contents.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{download, fill, five, ids, partial};
use crate::world::{Changes, World};

#[tokio::test]
async fn download_begins_with_the_cursors_row_and_downloadpartial_ends_before_it() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let written = five(&ann, &ben, &conversation).await;
    let reports: Vec<String> = ann.reads(&conversation).await["reports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["ID"].as_str().unwrap().into())
        .collect();
    for n in 0..5 {
        let from = download(
            &ben,
            &conversation,
            json!({ "firstmessageid": written[n], "firstreportid": reports[n] }),
        )
        .await;
        assert_eq!(
            (ids(&from, "messages"), ids(&from, "reports")),
            (written[n..].to_vec(), written[n..].to_vec())
        );
        let before = partial(
            &ben,
            &conversation,
            json!({ "lastmessageid": written[n], "lastreportid": reports[n] }),
        )
        .await;
        assert_eq!(
            (ids(&before, "messages"), ids(&before, "reports")),
            (written[..n].to_vec(), written[..n].to_vec())
        );
        let last_two = partial(
            &ben,
            &conversation,
            json!({ "lastmessageid": written[n], "limit": 2 }),
        )
        .await;
        assert_eq!(ids(&last_two, "messages"), written[n.saturating_sub(2)..n]);
        assert_eq!(ids(&last_two, "reports"), written[3..]);
    }
    // The two cursors are independent; if a cursor's row exists, its date does not matter.
    let mixed = download(
        &ben,
        &conversation,
        json!({ "firstmessageid": written[4], "firstmessagedate": "1999-01-01 00:00:00" }),
    )
    .await;
    assert_eq!(
        (ids(&mixed, "messages").len(), ids(&mixed, "reports").len()),
        (1, 5)
    );
    // Without a cursor: everything, or the newest rows.
    let blank = json!({ "firstmessageid": "", "firstmessagedate": null, "lastmessageid": "", "lastmessagedate": null });
    assert_eq!(
        ids(
            &download(&ben, &conversation, blank.clone()).await,
            "messages"
        ),
        written
    );
    assert_eq!(
        ids(&partial(&ben, &conversation, blank).await, "messages"),
        written
    );
    world.end().await;
}

#[tokio::test]
async fn a_page_that_is_cut_leaves_the_conversation_pending_until_the_client_has_all() {
    for (rows, bytes, first_page) in [(2500, 100, 1000..=1000), (150, 60_000, 60..=75)] {
        let world = World::new().await;
        let (ann, ben, conversation) = world.conversation().await;
        fill(&world, &ann, &conversation, rows, bytes).await;
        ben.listens().await;
        let (mut held, mut pages, mut cursor) = (BTreeSet::new(), 0, json!({}));
        loop {
            let page = download(&ben, &conversation, cursor).await;
            let got = ids(&page, "messages");
            if pages == 0 {
                assert!(first_page.contains(&got.len()), "{}", got.len());
            }
            cursor = json!({ "firstmessageid": got.last() });
            held.extend(got);
            pages += 1;
            // A version 3 client continues for as long as it is notified.
            if ben.hears().await
                != (Changes {
                    conversations: vec![conversation.id.clone()],
                    ..Changes::default()
                })
            {
                break;
            }
        }
        assert_eq!(held.len(), rows as usize);
        assert_eq!(pages, 3);
        world.end().await;
    }
}

#[tokio::test]
async fn two_large_rows_always_fit_and_a_v4_client_is_told_whether_there_is_more() {
    let world = World::with(|settings| {
        settings.max_message_bytes = 4 << 20;
        settings.max_body_bytes = 16 << 20;
    })
    .await;
    let (ann, ben, conversation) = world.conversation().await;
    let mut written = vec![];
    for _ in 0..3 {
        written.push(ann.adds(&conversation, &"A".repeat(4 << 20)).await);
    }
    let asks = async |action: &str, cursor: Value| {
        ben.asks_as(
            4,
            "chatconversation",
            crate::world::request(action, &conversation, cursor),
        )
        .await
        .ok()
    };
    let first = asks("download", json!({})).await;
    assert_eq!(
        (ids(&first, "messages"), &first["hasmore"]),
        (written[..2].to_vec(), &json!(true))
    );
    // From its newest row, a reader always gets further.
    let second = asks("download", json!({ "firstmessageid": written[1] })).await;
    assert_eq!(
        (ids(&second, "messages"), &second["hasmore"]),
        (written[1..].to_vec(), &json!(false))
    );
    let newest = asks("downloadpartial", json!({})).await;
    assert_eq!(
        (ids(&newest, "messages"), &newest["hasmore"]),
        (written[2..].to_vec(), &json!(true))
    );
    let oldest = asks("downloadpartial", json!({ "lastmessageid": written[1] })).await;
    assert_eq!(
        (ids(&oldest, "messages"), &oldest["hasmore"]),
        (written[..1].to_vec(), &json!(false))
    );
    world.end().await;
}

#[tokio::test]
async fn a_partial_page_has_50_rows_by_default_and_at_most_500() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    fill(&world, &ann, &conversation, 600, 10).await;
    for (limit, rows) in [(json!(null), 50), (json!(1), 1), (json!(500), 500)] {
        assert_eq!(
            ids(
                &partial(&ben, &conversation, json!({ "limit": limit })).await,
                "messages"
            )
            .len(),
            rows
        );
    }
    for wrong in [
        json!(0),
        json!(-1),
        json!(501),
        json!(1.5),
        json!("50"),
        json!(true),
        json!([]),
        json!(99_999_999_999_i64),
    ] {
        let refusal = ben
            .does("downloadpartial", &conversation, json!({ "limit": wrong }))
            .await
            .refused(400, "bad_request");
        assert!(
            refusal["errormessage"]
                .as_str()
                .unwrap()
                .starts_with("limit"),
            "{refusal}"
        );
    }
    // Page by page to the beginning, each row appears once.
    let (mut held, mut cursor) = (vec![], json!({ "limit": 70 }));
    loop {
        let page = ids(&partial(&ben, &conversation, cursor).await, "messages");
        let Some(oldest) = page.first() else { break };
        cursor = json!({ "limit": 70, "lastmessageid": oldest });
        held.splice(0..0, page);
    }
    assert_eq!(held, ids(&ben.reads(&conversation).await, "messages"));
    assert_eq!(held.len(), 600);
    world.end().await;
}

#[tokio::test]
async fn a_cursor_of_a_wrong_form_is_refused_by_name() {
    let world = World::new().await;
    let (_ann, ben, conversation) = world.conversation().await;
    for (action, prefix) in [("download", "first"), ("downloadpartial", "last")] {
        for (field, wrong) in [
            ("messageid", json!("x")),
            ("reportid", json!(5)),
            ("messagedate", json!("yesterday")),
            ("reportdate", json!("2024-13-01 00:00:00")),
        ] {
            let field = format!("{prefix}{field}");
            let refusal = ben
                .does(action, &conversation, json!({ &field: wrong }))
                .await
                .refused(400, "bad_request");
            assert!(
                refusal["errormessage"]
                    .as_str()
                    .unwrap()
                    .starts_with(&field),
                "{refusal}"
            );
        }
    }
    world.end().await;
}
