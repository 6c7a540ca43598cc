//! Rows come in commit order, and a reader that pages misses none.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{download, fill, ids, partial};
use crate::world::{Changes, World, at, message, now};

#[tokio::test]
async fn rows_come_in_the_order_of_their_commits_whatever_their_ids_and_clocks_say() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let mut written = vec![];
    for (id, clock) in [
        ("ff", 0),
        ("00", 0),
        ("80", -3600),
        ("01", 60),
        ("fe", -86400),
    ] {
        let mut message = message("x");
        message["ID"] = format!("{id}{}", &Uuid::new_v4().to_string()[2..]).into();
        message["Created"] = at(TimeDelta::seconds(clock)).into();
        ann.does("add", &conversation, json!({ "message": message }))
            .await
            .ok();
        written.push(message["ID"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids(&ben.reads(&conversation).await, "messages"), written);
    for n in 0..5 {
        assert_eq!(
            ids(
                &download(&ben, &conversation, json!({ "firstmessageid": written[n] })).await,
                "messages"
            ),
            written[n..]
        );
        assert_eq!(
            ids(
                &partial(&ben, &conversation, json!({ "lastmessageid": written[n] })).await,
                "messages"
            ),
            written[..n]
        );
    }
    world.end().await;
}

#[tokio::test]
async fn a_reader_that_pages_from_its_newest_row_misses_nothing_of_many_writers_in_one_second() {
    let world = World::with(|settings| {
        settings.workers = 2;
        settings.database_connections = 10;
    })
    .await;
    let (ann, ben, conversation) = world.conversation().await;
    let second = now();
    let writers = (0..8).map(|n| {
        let (writer, conversation, second) = (
            if n % 2 == 0 { ann.clone() } else { ben.clone() },
            conversation.clone(),
            second.clone(),
        );
        tokio::spawn(async move {
            let mut written = vec![];
            for _ in 0..40 {
                let mut message = message("x");
                message["Created"] = second.clone().into();
                writer
                    .does("add", &conversation, json!({ "message": message }))
                    .await
                    .ok();
                written.push(message["ID"].as_str().unwrap().to_owned());
                writer
                    .views(&conversation, &written[written.len() - 1..])
                    .await
                    .ok();
            }
            written
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut held: BTreeMap<&str, Vec<(String, String)>> =
        BTreeMap::from([("messages", vec![]), ("reports", vec![])]);
    loop {
        let done = writers.iter().all(tokio::task::JoinHandle::is_finished);
        let newest = |kind: &str| held[kind].last().cloned().unwrap_or_default();
        let ((message, message_at), (report, report_at)) = (newest("messages"), newest("reports"));
        let cursor = json!({ "firstmessageid": message, "firstmessagedate": message_at, "firstreportid": report, "firstreportdate": report_at });
        let page = download(&ben, &conversation, cursor).await;
        for (kind, rows) in &mut held {
            let new = page[*kind].as_array().unwrap().iter().map(|row| {
                (
                    row["ID"].as_str().unwrap().to_owned(),
                    row["Created"].as_str().unwrap().to_owned(),
                )
            });
            // The first row is the cursor's own.
            rows.extend(new.skip(usize::from(!rows.is_empty())));
        }
        if done {
            break;
        }
    }
    let written: BTreeSet<String> = join_all(writers)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();
    assert_eq!(written.len(), 320);
    let all = ben.reads(&conversation).await;
    for kind in ["messages", "reports"] {
        let held: Vec<&str> = held[kind].iter().map(|(id, _)| id.as_str()).collect();
        let stored: Vec<&str> = all[kind]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["ID"].as_str().unwrap())
            .collect();
        assert_eq!(held, stored, "{kind}: doubled, lost, or in another order");
        assert_eq!(
            ids(&all, kind).into_iter().collect::<BTreeSet<_>>(),
            written,
            "{kind}"
        );
    }
    world.end().await;
}

#[tokio::test]
async fn reports_beyond_a_page_are_announced_as_messages_are() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    fill(&world, &ann, &conversation, 1001, 10).await;
    let mut written = vec![];
    while written.len() < 1001 {
        let page = ids(
            &download(
                &ann,
                &conversation,
                json!({ "firstmessageid": written.last() }),
            )
            .await,
            "messages",
        );
        written.extend(page.into_iter().skip(usize::from(!written.is_empty())));
    }
    for part in written.chunks(1000) {
        ben.views(&conversation, part).await.ok();
    }
    ann.hears().await;
    let asks = async |cursor: Value| {
        ann.asks_as(
            4,
            "chatconversation",
            crate::world::request("download", &conversation, cursor),
        )
        .await
        .ok()
    };
    let first = asks(json!({ "firstmessageid": written[1000] })).await;
    assert_eq!(
        (ids(&first, "messages"), ids(&first, "reports")),
        (written[1000..].to_vec(), written[..1000].to_vec())
    );
    assert_eq!(first["hasmore"], true);
    assert_eq!(
        ann.hears().await,
        Changes {
            conversations: vec![conversation.id.clone()],
            ..Changes::default()
        }
    );
    let newest = first["reports"][999]["ID"].clone();
    let rest = asks(json!({ "firstmessageid": written[1000], "firstreportid": newest })).await;
    assert_eq!(
        (ids(&rest, "reports"), &rest["hasmore"]),
        (written[999..].to_vec(), &json!(false))
    );
    assert_eq!(ann.hears().await, Changes::default());
    // Backwards, too, each kind has a limit of its own.
    let before = json!({ "limit": 500, "lastmessageid": written[0] });
    let before = ann
        .asks_as(
            4,
            "chatconversation",
            crate::world::request("downloadpartial", &conversation, before),
        )
        .await
        .ok();
    assert_eq!(
        (ids(&before, "messages").len(), ids(&before, "reports")),
        (0, written[501..].to_vec())
    );
    assert_eq!(before["hasmore"], true);
    world.end().await;
}
