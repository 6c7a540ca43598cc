//! The cursor: a client that pages from its newest row misses nothing, whatever the clocks.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{News, Person, Talk, World, at, message, now};

fn ids(history: &Value, kind: &str) -> Vec<String> {
    let field = if kind == "messages" {
        "ID"
    } else {
        "MessageID"
    };
    history[kind]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[field].as_str().unwrap().to_owned())
        .collect()
}

async fn download(person: &Person, talk: &Talk, cursor: Value) -> Value {
    person.does("download", talk, cursor).await.is_ok()
}

async fn partial(person: &Person, talk: &Talk, cursor: Value) -> Value {
    person.does("downloadpartial", talk, cursor).await.is_ok()
}

/// Five messages and a report on each: their ids, oldest first.
async fn five(ann: &Person, ben: &Person, talk: &Talk) -> Vec<String> {
    let mut written = vec![];
    for n in 0..5 {
        written.push(ann.adds(talk, &n.to_string()).await);
    }
    ben.views(talk, &written).await.is_ok();
    written
}

#[tokio::test]
async fn download_begins_with_the_cursors_row_and_downloadpartial_ends_before_it() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let written = five(&ann, &ben, &talk).await;
    let reports: Vec<String> = ann.reads(&talk).await["reports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["ID"].as_str().unwrap().into())
        .collect();
    for n in 0..5 {
        let from = download(
            &ben,
            &talk,
            json!({ "firstmessageid": written[n], "firstreportid": reports[n] }),
        )
        .await;
        assert_eq!(
            (ids(&from, "messages"), ids(&from, "reports")),
            (written[n..].to_vec(), written[n..].to_vec())
        );
        let before = partial(
            &ben,
            &talk,
            json!({ "lastmessageid": written[n], "lastreportid": reports[n] }),
        )
        .await;
        assert_eq!(
            (ids(&before, "messages"), ids(&before, "reports")),
            (written[..n].to_vec(), written[..n].to_vec())
        );
        let last_two = partial(
            &ben,
            &talk,
            json!({ "lastmessageid": written[n], "limit": 2 }),
        )
        .await;
        assert_eq!(ids(&last_two, "messages"), written[n.saturating_sub(2)..n]);
        assert_eq!(ids(&last_two, "reports"), written[3..]);
    }
    // The two cursors are independent; the date of a cursor whose id is there does not matter.
    let mixed = download(
        &ben,
        &talk,
        json!({ "firstmessageid": written[4], "firstmessagedate": "1999-01-01 00:00:00" }),
    )
    .await;
    assert_eq!(
        (ids(&mixed, "messages").len(), ids(&mixed, "reports").len()),
        (1, 5)
    );
    // Without a cursor: everything, or the newest.
    let blank = json!({ "firstmessageid": "", "firstmessagedate": null, "lastmessageid": "", "lastmessagedate": null });
    assert_eq!(
        ids(&download(&ben, &talk, blank.clone()).await, "messages"),
        written
    );
    assert_eq!(ids(&partial(&ben, &talk, blank).await, "messages"), written);
    world.end().await;
}

#[tokio::test]
async fn rows_come_in_the_order_of_their_commits_whatever_their_ids_and_clocks_say() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
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
        ann.does("add", &talk, json!({ "message": message }))
            .await
            .is_ok();
        written.push(message["ID"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids(&ben.reads(&talk).await, "messages"), written);
    for n in 0..5 {
        assert_eq!(
            ids(
                &download(&ben, &talk, json!({ "firstmessageid": written[n] })).await,
                "messages"
            ),
            written[n..]
        );
        assert_eq!(
            ids(
                &partial(&ben, &talk, json!({ "lastmessageid": written[n] })).await,
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
    let (ann, ben, talk) = world.talk().await;
    let second = now();
    let writers = (0..8).map(|n| {
        let (writer, talk, second) = (
            if n % 2 == 0 { ann.clone() } else { ben.clone() },
            talk.clone(),
            second.clone(),
        );
        tokio::spawn(async move {
            let mut written = vec![];
            for _ in 0..40 {
                let mut message = message("x");
                message["Created"] = second.clone().into();
                writer
                    .does("add", &talk, json!({ "message": message }))
                    .await
                    .is_ok();
                written.push(message["ID"].as_str().unwrap().to_owned());
                writer
                    .views(&talk, &written[written.len() - 1..])
                    .await
                    .is_ok();
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
        let page = download(&ben, &talk, cursor).await;
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
    let all = ben.reads(&talk).await;
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
async fn a_cursor_whose_row_is_gone_falls_back_to_its_date() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let mut written = vec![];
    for hour in 0..5 {
        let mut message = message("x");
        message["Created"] = at(TimeDelta::hours(hour - 10)).into();
        ann.does("add", &talk, json!({ "message": message }))
            .await
            .is_ok();
        written.push((
            message["ID"].as_str().unwrap().to_owned(),
            message["Created"].as_str().unwrap().to_owned(),
        ));
    }
    ben.views(
        &talk,
        &written.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(),
    )
    .await
    .is_ok();
    let gone = Uuid::new_v4().to_string();
    for n in 0..5 {
        let at = &written[n].1;
        let from = download(
            &ben,
            &talk,
            json!({ "firstmessageid": gone, "firstmessagedate": at }),
        )
        .await;
        assert_eq!(ids(&from, "messages").len(), 5 - n);
        let before = partial(
            &ben,
            &talk,
            json!({ "lastmessageid": gone, "lastmessagedate": at }),
        )
        .await;
        assert_eq!(ids(&before, "messages").len(), n);
        // A date alone is such a cursor, too.
        assert_eq!(
            ids(
                &download(&ben, &talk, json!({ "firstmessagedate": at })).await,
                "messages"
            )
            .len(),
            5 - n
        );
    }
    // After the newest: nothing further on, everything before. Without a date: from the beginning.
    let later = at(TimeDelta::hours(1));
    let after = json!({ "firstmessageid": gone, "firstmessagedate": later, "firstreportid": gone, "firstreportdate": later });
    let after = download(&ben, &talk, after).await;
    assert_eq!(
        (ids(&after, "messages").len(), ids(&after, "reports").len()),
        (0, 0)
    );
    let before = json!({ "lastmessageid": gone, "lastmessagedate": later, "lastreportid": gone, "lastreportdate": later });
    let before = partial(&ben, &talk, before).await;
    assert_eq!(
        (
            ids(&before, "messages").len(),
            ids(&before, "reports").len()
        ),
        (5, 5)
    );
    let unknown = download(
        &ben,
        &talk,
        json!({ "firstmessageid": gone, "firstreportid": gone }),
    )
    .await;
    assert_eq!(
        (
            ids(&unknown, "messages").len(),
            ids(&unknown, "reports").len()
        ),
        (5, 5)
    );
    world.end().await;
}

#[tokio::test]
async fn a_cursor_of_an_earlier_instance_is_gone() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    five(&ann, &ben, &talk).await;
    let old = ann.reads(&talk).await;
    let (message, report) = (&old["messages"][2], &old["reports"][2]);
    let next = Talk::of(&ann.does("clear", &talk, json!({})).await.is_ok()["conversation"]);
    five(&ann, &ben, &next).await;
    let cursor = json!({
        "firstmessageid": message["ID"], "firstmessagedate": message["Created"], "firstreportid": report["ID"], "firstreportdate": report["Created"],
    });
    let page = download(&ben, &next, cursor).await;
    assert_eq!(
        (ids(&page, "messages").len(), ids(&page, "reports").len()),
        (5, 5)
    );
    let cursor = json!({ "lastmessageid": message["ID"], "lastreportid": report["ID"] });
    let page = partial(&ben, &next, cursor).await;
    assert_eq!(
        (ids(&page, "messages").len(), ids(&page, "reports").len()),
        (5, 5)
    );
    world.end().await;
}

/// Fills a conversation behind the server's back.
pub(crate) async fn fill(world: &World, ann: &Person, talk: &Talk, rows: u32, bytes: u32) {
    world
        .sql(&format!(
            "with m as (select n, gen_random_uuid() as message_id, repeat('A', {bytes}) as data from generate_series(1, {rows}) n)
            insert into messages (conversation_id, seq, message_id, instance, user_id, station_id, type, created_at, valid_until, data, chain)
            select '{id}', n, message_id, '{instance}', '{user}', '{station}', 'Message', now(), now() + interval '7 days', data,
                   chain(chain_beginning('{id}', '{instance}'), n, message_id, sha256(data::bytea)) over (order by n)
            from m;
            update conversations c set last_seq = {rows}, last_message_id = m.message_id, chain = m.chain
            from messages m
            where c.conversation_id = '{id}' and m.conversation_id = '{id}' and m.seq = {rows}",
            id = talk.id, instance = talk.instance, user = ann.user, station = ann.station,
        ))
        .await;
}

#[tokio::test]
async fn a_page_that_is_cut_leaves_the_conversation_pending_until_the_client_has_all() {
    for (rows, bytes, first_page) in [(2500, 100, 1000..=1000), (150, 60_000, 60..=75)] {
        let world = World::new().await;
        let (ann, ben, talk) = world.talk().await;
        fill(&world, &ann, &talk, rows, bytes).await;
        ben.listens().await;
        let (mut held, mut pages, mut cursor) = (BTreeSet::new(), 0, json!({}));
        loop {
            let page = download(&ben, &talk, cursor).await;
            let got = ids(&page, "messages");
            if pages == 0 {
                assert!(first_page.contains(&got.len()), "{}", got.len());
            }
            cursor = json!({ "firstmessageid": got.last() });
            held.extend(got);
            pages += 1;
            // A published client goes on for as long as it is told that there is something.
            if ben.hears().await
                != (News {
                    conversations: vec![talk.id.clone()],
                    ..News::default()
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
    let (ann, ben, talk) = world.talk().await;
    let mut written = vec![];
    for _ in 0..3 {
        written.push(ann.adds(&talk, &"A".repeat(4 << 20)).await);
    }
    let asks = async |action: &str, cursor: Value| {
        ben.asks_as(
            4,
            "chatconversation",
            crate::world::on(action, &talk, cursor),
        )
        .await
        .is_ok()
    };
    let first = asks("download", json!({})).await;
    assert_eq!(
        (ids(&first, "messages"), &first["hasmore"]),
        (written[..2].to_vec(), &json!(true))
    );
    // From its newest row on a reader always gets further.
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
async fn a_partial_page_has_50_rows_or_what_is_asked_for_up_to_500() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    fill(&world, &ann, &talk, 600, 10).await;
    for (limit, rows) in [(json!(null), 50), (json!(1), 1), (json!(500), 500)] {
        assert_eq!(
            ids(
                &partial(&ben, &talk, json!({ "limit": limit })).await,
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
            .does("downloadpartial", &talk, json!({ "limit": wrong }))
            .await
            .is_refused(400, "bad_request");
        assert!(
            refusal["errormessage"]
                .as_str()
                .unwrap()
                .starts_with("limit"),
            "{refusal}"
        );
    }
    // Page by page to the beginning: each row once.
    let (mut held, mut cursor) = (vec![], json!({ "limit": 70 }));
    loop {
        let page = ids(&partial(&ben, &talk, cursor).await, "messages");
        let Some(oldest) = page.first() else { break };
        cursor = json!({ "limit": 70, "lastmessageid": oldest });
        held.splice(0..0, page);
    }
    assert_eq!(held, ids(&ben.reads(&talk).await, "messages"));
    assert_eq!(held.len(), 600);
    world.end().await;
}

#[tokio::test]
async fn a_cursor_of_a_wrong_form_is_refused_by_name() {
    let world = World::new().await;
    let (_ann, ben, talk) = world.talk().await;
    for (action, prefix) in [("download", "first"), ("downloadpartial", "last")] {
        for (field, wrong) in [
            ("messageid", json!("x")),
            ("reportid", json!(5)),
            ("messagedate", json!("yesterday")),
            ("reportdate", json!("2024-13-01 00:00:00")),
        ] {
            let field = format!("{prefix}{field}");
            let refusal = ben
                .does(action, &talk, json!({ &field: wrong }))
                .await
                .is_refused(400, "bad_request");
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

#[tokio::test]
async fn reports_beyond_a_page_are_announced_as_messages_are() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    fill(&world, &ann, &talk, 1001, 10).await;
    let mut written = vec![];
    while written.len() < 1001 {
        let page = ids(
            &download(&ann, &talk, json!({ "firstmessageid": written.last() })).await,
            "messages",
        );
        written.extend(page.into_iter().skip(usize::from(!written.is_empty())));
    }
    for part in written.chunks(1000) {
        ben.views(&talk, part).await.is_ok();
    }
    ann.hears().await;
    let asks = async |cursor: Value| {
        ann.asks_as(
            4,
            "chatconversation",
            crate::world::on("download", &talk, cursor),
        )
        .await
        .is_ok()
    };
    let first = asks(json!({ "firstmessageid": written[1000] })).await;
    assert_eq!(
        (ids(&first, "messages"), ids(&first, "reports")),
        (written[1000..].to_vec(), written[..1000].to_vec())
    );
    assert_eq!(first["hasmore"], true);
    assert_eq!(
        ann.hears().await,
        News {
            conversations: vec![talk.id.clone()],
            ..News::default()
        }
    );
    let newest = first["reports"][999]["ID"].clone();
    let rest = asks(json!({ "firstmessageid": written[1000], "firstreportid": newest })).await;
    assert_eq!(
        (ids(&rest, "reports"), &rest["hasmore"]),
        (written[999..].to_vec(), &json!(false))
    );
    assert_eq!(ann.hears().await, News::default());
    // Backwards, too, each kind has its own measure.
    let before = json!({ "limit": 500, "lastmessageid": written[0] });
    let before = ann
        .asks_as(
            4,
            "chatconversation",
            crate::world::on("downloadpartial", &talk, before),
        )
        .await
        .is_ok();
    assert_eq!(
        (ids(&before, "messages").len(), ids(&before, "reports")),
        (0, written[501..].to_vec())
    );
    assert_eq!(before["hasmore"], true);
    world.end().await;
}

/// Two conversations of Ann's, with Ben and with Cleo, that live under one name: only their ids tell them apart.
async fn two_of_one_name(world: &std::sync::Arc<World>) -> (Person, Person, Talk, Person, Talk) {
    let (ann, ben, mut here) = world.talk().await;
    let cleo = world.person("Cleo").await;
    ann.befriends(&cleo).await;
    let mut there = ann.creates(&cleo).await;
    world
        .sql("update conversations set instance = 'AAAAAAAAAA'")
        .await;
    for talk in [&mut here, &mut there] {
        talk.instance = "AAAAAAAAAA".into();
    }
    (ann, ben, here, cleo, there)
}

#[tokio::test]
async fn an_id_of_another_conversation_is_one_that_is_not_there() {
    let world = World::new().await;
    let (ann, ben, here, cleo, there) = two_of_one_name(&world).await;
    let written = five(&ann, &ben, &here).await;
    five(&ann, &cleo, &there).await;
    // One that expired there, too.
    let mut old = message("expired");
    old["ValidUntil"] = at(-TimeDelta::days(30)).into();
    ann.does("add", &there, json!({ "message": old }))
        .await
        .is_ok();
    cleo.views(&there, &[old["ID"].as_str().unwrap().to_owned()])
        .await
        .is_ok();
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
                // With a date, it is the date that says where to go on.
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
    // Nor do the times of what was said there say where to go on here: all of that is newer than what is here.
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
    // An id that names a message in each names in each its own place.
    let twin = message("twin");
    ann.does("add", &there, json!({ "message": twin }))
        .await
        .is_ok();
    for _ in 0..3 {
        ann.adds(&here, "between").await;
    }
    ann.does("add", &here, json!({ "message": twin }))
        .await
        .is_ok();
    for (talk, before) in [(&here, 8), (&there, 5)] {
        assert_eq!(
            ids(
                &download(&ann, talk, json!({ "firstmessageid": twin["ID"] })).await,
                "messages"
            )
            .len(),
            1
        );
        assert_eq!(
            ids(
                &partial(&ann, talk, json!({ "lastmessageid": twin["ID"] })).await,
                "messages"
            )
            .len(),
            before
        );
    }
    world.end().await;
}

#[tokio::test]
async fn what_was_said_and_seen_in_another_conversation_changes_nothing_here() {
    let world = World::new().await;
    let (ann, ben, here, cleo, there) = two_of_one_name(&world).await;
    // The same message in both, and the same numbers.
    let twin = message("twin");
    for talk in [&here, &there] {
        ann.does("add", talk, json!({ "message": twin }))
            .await
            .is_ok();
    }
    let id = twin["ID"].as_str().unwrap().to_owned();
    let mut other = twin.clone();
    other["ID"] = Uuid::new_v4().to_string().into();
    ann.does("add", &there, json!({ "message": other }))
        .await
        .is_ok();
    let foreign = other["ID"].as_str().unwrap().to_owned();
    // The twin is reported in each, by each; the other one is nowhere to be seen here.
    for (person, talk) in [
        (&ann, &there),
        (&cleo, &there),
        (&ann, &here),
        (&ben, &here),
    ] {
        person
            .views(talk, &[id.clone(), foreign.clone()])
            .await
            .is_ok();
    }
    for (talk, reported) in [
        (&here, vec![&id, &id]),
        (&there, vec![&id, &foreign, &id, &foreign]),
    ] {
        assert_eq!(
            ids(&ann.reads(talk).await, "reports")
                .iter()
                .collect::<Vec<_>>(),
            reported
        );
    }
    // Each transcript has its own links only.
    let links = |page: &Value| {
        page["transcript"]
            .as_array()
            .unwrap()
            .iter()
            .map(|link| link["ID"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        links(&ann.does("transcript", &here, json!({})).await.is_ok()),
        [json!(id)]
    );
    assert_eq!(
        links(&ann.does("transcript", &there, json!({})).await.is_ok()),
        [json!(id), json!(foreign)]
    );
    // `clear` here leaves what is there, also in the background.
    let cleared = Talk::of(&ben.does("clear", &here, json!({})).await.is_ok()["conversation"]);
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
async fn what_an_earlier_life_left_behind_says_nothing_of_this_one() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    five(&ann, &ben, &talk).await;
    let mut old = message("expires");
    old["ValidUntil"] = at(-TimeDelta::days(30)).into();
    ann.does("add", &talk, json!({ "message": old }))
        .await
        .is_ok();
    world
        .sql("update messages set stored_at = now() - interval '30 days' where valid_until < now()")
        .await;
    assert_eq!(
        parlance::store::purge::expired(&world.store, parlance_wire::time::Timestamp::now())
            .await
            .unwrap(),
        1
    );
    let next = Talk::of(&ann.does("clear", &talk, json!({})).await.is_ok()["conversation"]);
    // The old rows are not deleted yet, and are newer than what those write whose clocks are behind.
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
    let links = ben.does("transcript", &next, json!({})).await.is_ok()["transcript"].clone();
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
