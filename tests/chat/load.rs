//! Who sends much, or reads nothing, uses up their own share, and everyone else goes on.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::world::{Person, Talk, World, eventually, on};

/// A large body that ends one byte too soon, of whoever the headers say.
async fn almost(world: &World, headers: &str, declared: usize, sent: usize) -> TcpStream {
    let mut connection = world.connection().await;
    let head = format!(
        "POST /?srv=chatserver&api=chatconversation HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {declared}\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    // It may be refused before its end.
    let _ = connection.write_all(&vec![b'x'; sent]).await;
    connection
}

/// The status of the answer, once it comes.
async fn status(connection: &mut TcpStream) -> String {
    let mut text = [0; 12];
    match tokio::time::timeout(Duration::from_secs(30), connection.read_exact(&mut text))
        .await
        .expect("an answer")
    {
        Ok(_) => String::from_utf8_lossy(&text[9..]).into_owned(),
        Err(_) => "closed".into(),
    }
}

/// A connection that takes little at a time, so that what is not read stays with the server.
async fn narrow(world: &World) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket
        .connect(world.url.trim_start_matches("http://").parse().unwrap())
        .await
        .unwrap()
}

/// Large messages, so that a page of them is 4 MB.
async fn fill(author: &Person, talk: &Talk) {
    let data = "A".repeat(60_000);
    for _ in 0..80 {
        author.adds(talk, &data).await;
    }
}

#[tokio::test]
async fn who_reads_no_answers_is_refused_more_and_everyone_else_is_served() {
    let world =
        World::with(|settings| settings.timings.write_timeout = Duration::from_secs(12)).await;
    let (ann, ben, talk) = world.talk().await;
    fill(&ann, &talk).await;
    let page = ann.request(4, "chatconversation", on("download", &talk, json!({})));
    let mut silent = vec![];
    // As many as it takes: one that waits too long for its turn is refused, and holds nothing.
    eventually("a refusal", async || {
        let mut connection = narrow(&world).await;
        connection.write_all(&page).await.unwrap();
        silent.push(connection);
        silent.len() >= 8 && ann.reads_page(&talk).await == 429
    })
    .await;
    // Ben, who reads what he asks for; and what is small is answered to everyone.
    for _ in 0..5 {
        assert_eq!(
            ben.reads(&talk).await["messages"].as_array().unwrap().len(),
            70
        );
        ben.adds(&talk, "meanwhile").await;
        ann.asks("chatfriends", json!({ "action": "list" }))
            .await
            .is_ok();
    }
    // A peer that takes nothing is dropped after a while, and its share is free again.
    eventually("room", async || ann.reads_page(&talk).await == 200).await;
    drop(silent);
    world.end().await;
}

#[tokio::test]
async fn what_was_done_is_answered_however_much_its_user_leaves_unread() {
    // Who takes nothing is not dropped meanwhile.
    let world =
        World::with(|settings| settings.timings.write_timeout = Duration::from_mins(5)).await;
    let (ann, _, talk) = world.talk().await;
    fill(&ann, &talk).await;
    // A group of so many that each answer which shows it is larger than those that are always given.
    world
        .sql(&format!(
            "update conversations set is_group = true; update participants set peer_id = null, role = 'admin';
            insert into users (user_id, email, full_name, nick, public_key, encrypted_private_key, created_at)
            select md5(n::text)::uuid, n || '@example.org', 'Member', 'Member ' || n, '', '', now() from generate_series(1, 400) n;
            insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
            select '{}', md5(n::text)::uuid, '', '', 'member', now() from generate_series(1, 400) n",
            talk.id
        ))
        .await;
    let page = ann.request(4, "chatconversation", on("download", &talk, json!({})));
    let mut silent = vec![];
    // As many as it takes: one that waits too long for its turn is refused, and holds nothing.
    eventually("a refusal", async || {
        let mut connection = narrow(&world).await;
        connection.write_all(&page).await.unwrap();
        silent.push(connection);
        silent.len() >= 8 && ann.reads_page(&talk).await == 429
    })
    .await;
    let muted = ann.does("mute", &talk, json!({})).await;
    assert!(
        muted.is_ok()["conversation"]["properties"][0]["ismuted"] == true
            && muted.text.len() > 16 << 10
    );
    let cleared = ann.does("clear", &talk, json!({})).await;
    assert!(
        cleared.is_ok()["conversation"]["instance"] != talk.instance.as_str()
            && cleared.text.len() > 16 << 10
    );
    assert_eq!(ann.reads_page(&talk).await, 409);
    drop(silent);
    world.end().await;
}

impl Person {
    async fn reads_page(&self, talk: &Talk) -> u16 {
        self.asks("chatconversation", on("download", talk, json!({})))
            .await
            .status
    }
}

#[tokio::test]
async fn slow_bodies_of_strangers_hold_nobody_up() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    // More than a stranger may send, and as much as one may.
    let mut refused = join_all((0..20).map(|_| almost(&world, "", 1 << 20, 1 << 20))).await;
    let _slow = join_all((0..200).map(|_| almost(&world, "", 64 << 10, (64 << 10) - 1))).await;
    let large = "A".repeat(60_000);
    for _ in 0..10 {
        ann.adds(&talk, &large).await;
        ben.adds(&talk, "small").await;
    }
    assert_eq!(status(&mut refused[0]).await, "413");
    world.end().await;
}

#[tokio::test]
async fn slow_bodies_in_the_name_of_a_user_use_up_their_share_there() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let posing = format!(
        "Ozeki-User: {}\r\nOzeki-Station: {}\r\n",
        ann.user, ann.station
    );
    let mut slow = join_all((0..12).map(|_| almost(&world, &posing, 1 << 20, (1 << 20) - 1))).await;
    let mut refused = 0;
    for connection in &mut slow {
        if let Ok(status) =
            tokio::time::timeout(Duration::from_millis(300), status(connection)).await
        {
            assert_eq!(status, "429");
            refused += 1;
        }
    }
    assert!(refused >= 8, "{refused}");
    // Others at the same address still send large ones, and she small ones.
    ben.adds(&talk, &"A".repeat(60_000)).await;
    ann.adds(&talk, "small").await;
    drop(slow);
    eventually("her share", async || {
        let message = crate::world::message(&"A".repeat(60_000)).to_string();
        ann.does("add", &talk, json!({ "message": message }))
            .await
            .status
            == 200
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn only_users_who_are_known_send_large_bodies_and_logins_are_small() {
    let world = World::new().await;
    let (ann, _, talk) = world.talk().await;
    let large = "x".repeat(70_000);
    for (user, station) in [
        (&*ann.user, "ab".repeat(16)),
        (&"ab".repeat(16), ann.station.clone()),
    ] {
        let headers = [
            ("Ozeki-User", user),
            ("Ozeki-Station", &*station),
            ("Ozeki-Signature", "AAAA"),
        ];
        world
            .posts("chatserver", "chatconversation", &headers, &large)
            .await
            .is_refused(413, "too_large");
    }
    let login = json!({ "action": "login", "apikey": "x".repeat(33_000) }).to_string();
    world
        .posts("chatserver", "chatlogin", &[], &login)
        .await
        .is_refused(413, "too_large");
    // Without a length, too.
    let mut connection = world.connection().await;
    let head = "POST /?srv=chatserver&api=chatconversation HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection
        .write_all(format!("{head}{:x}\r\n", large.len()).as_bytes())
        .await
        .unwrap();
    let _ = connection.write_all(large.as_bytes()).await;
    assert_eq!(status(&mut connection).await, "413");
    ann.adds(&talk, "x").await;
    world.end().await;
}

#[tokio::test]
async fn a_large_body_that_stops_is_given_up_however_much_of_it_came() {
    let world = World::with(|settings| {
        settings.timings.body_timeout = Duration::from_mins(5);
        settings.timings.body_silence = Duration::from_millis(500);
    })
    .await;
    let (ann, _, talk) = world.talk().await;
    let known = format!(
        "Ozeki-User: {}\r\nOzeki-Station: {}\r\n",
        ann.user, ann.station
    );
    let mut large = almost(&world, &known, 500_000, 400_000).await;
    assert_eq!(status(&mut large).await, "400");
    ann.adds(&talk, "x").await;
    world.end().await;
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_given_up() {
    let world = World::with(|settings| {
        settings.timings.body_timeout = Duration::from_secs(2);
        settings.timings.body_silence = Duration::from_mins(5);
    })
    .await;
    let (ann, _, talk) = world.talk().await;
    let mut small = almost(&world, "", 1000, 500).await;
    let known = format!(
        "Ozeki-User: {}\r\nOzeki-Station: {}\r\n",
        ann.user, ann.station
    );
    let mut slow = almost(&world, &known, 500_000, 20_000).await;
    let mut answer = vec![];
    small.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("did not arrive in time"),
        "{answer}"
    );
    // One that goes on, but far too slowly.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) && slow.write_all(&[b'x'; 100]).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(20));
    ann.adds(&talk, "x").await;
    world.end().await;
}

#[tokio::test]
async fn invitations_are_read_as_lists_are_few_at_a_time_for_each_user() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let waiting = async || -> i64 {
        let waiting = "select count(*) from pg_locks where relation = 'invitations'::regclass and not granted";
        sqlx::query_scalar(waiting)
            .fetch_one(&world.db)
            .await
            .unwrap()
    };
    let mut lock = world.db.begin().await.unwrap();
    sqlx::raw_sql("lock table invitations in access exclusive mode")
        .execute(&mut *lock)
        .await
        .unwrap();
    let asked = join_all((0..8).map(|_| {
        ann.asks_as(
            4,
            "chatconversationgroup",
            json!({ "action": "invitations" }),
        )
    }));
    let meanwhile = async {
        eventually("her requests", async || waiting().await >= 2).await;
        // The database has four connections for all.
        for _ in 0..5 {
            ben.asks("chatfriends", json!({ "action": "list" }))
                .await
                .is_ok();
        }
        let waiting = waiting().await;
        lock.rollback().await.unwrap();
        waiting
    };
    let (answers, waiting) = tokio::join!(asked, meanwhile);
    assert_eq!(waiting, 2);
    assert!(
        answers
            .iter()
            .all(|answer| [200, 429].contains(&answer.status)),
        "{answers:?}"
    );
    world.end().await;
}
