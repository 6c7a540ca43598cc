//! Marks of lists are of one era: whatever ends it, a restored backup, a crash, or a node that
//! records nothing, all of the list is told.

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use parlance::store::list::keep_era;
use serde_json::json;
use sqlx::{ConnectOptions, Connection};

use crate::{
    embedded::{Dir, Server, parlance},
    world::{Conversation, Held, Person, World, empty_database, eventually},
};

/// Whether a mark is of no use: all of the list is told.
async fn is_unknown(person: &Person, mark: &str) -> bool {
    let fields = json!({ "action": "list", "known": mark });
    let answer = person.asks_as(4, "chatconversation", fields).await.ok();
    answer.get("conversationids").is_some()
}

/// A reader's list, with a mark by which nothing has changed.
async fn settled(person: &Person) -> Held {
    let mut held = Held::whole(person).await;
    held.hears(person).await;
    assert!(!is_unknown(person, &held.known).await);
    held
}

#[tokio::test]
async fn a_mark_from_before_a_backup_was_restored_is_not_known() {
    let world = World::new().await;
    let (ann, ben, direct) = world.conversation().await;
    let backup = crate::backup::Backup::of(&world);
    // This is not in the backup, and the client has it.
    ann.adds(&direct, "lost").await;
    let mut held = settled(&ben).await;
    world.end().await;
    // Another database of the same PostgreSQL, which has the rows of the backup's era.
    let options = empty_database().await;
    backup.restores_into(&options);
    let mut settings = crate::world::settings();
    settings.database = parlance::settings::Database::Given(Box::new(options.clone()));
    let restored = World::start(settings, options).await;
    let ben = Person {
        world: restored.clone(),
        ..ben
    };
    assert!(is_unknown(&ben, &held.known).await);
    assert_eq!(held.hears(&ben).await.0, [direct.id.clone()]);
    assert_eq!(held.lines[&direct.id]["lastmessageid"], "");
    assert_eq!(held.lines, Held::whole(&ben).await.lines);
    restored.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_from_before_a_crash_or_a_restart_of_the_database_is_not_known() {
    let dir = Dir::new();
    let server = Server::start_as(parlance(&dir.data()).env("REGISTRATION", "open"));
    let world = World::at(&server.url, sqlx::postgres::PgConnectOptions::new());
    let (_, ben, _) = world.conversation().await;
    for signal in [Signal::SIGKILL, Signal::SIGINT] {
        let mark = settled(&ben).await.known;
        let postmaster = dir.postmaster().unwrap();
        kill(Pid::from_raw(postmaster), signal).unwrap();
        eventually("another database", async || {
            dir.postmaster().is_some_and(|other| other != postmaster)
        })
        .await;
        let list = json!({ "action": "list", "known": mark });
        eventually("an answer", async || {
            let answer = ben.asks_as(4, "chatconversation", list.clone()).await;
            answer.status == 200
        })
        .await;
        assert!(is_unknown(&ben, &mark).await);
        eventually("another era", async || {
            !Held::whole(&ben).await.known.is_empty()
        })
        .await;
        assert!(is_unknown(&ben, &mark).await);
    }
    server.stop();
}

#[tokio::test]
async fn a_crash_leaves_no_era_and_no_changes() {
    let world = World::new().await;
    let unlogged: Vec<String> =
        sqlx::query_scalar("select relname::text from pg_class where relpersistence = 'u' and relkind = 'r' order by 1")
            .fetch_all(&world.db)
            .await
            .unwrap();
    assert_eq!(unlogged, ["list_changes", "list_era"]);
    world.end().await;
}

#[tokio::test]
async fn marks_survive_that_nodes_start_and_stop() {
    let world = World::new().await;
    let (ann, ben, direct) = world.conversation().await;
    ann.adds(&direct, "x").await;
    let mut held = settled(&ben).await;
    let other_node = world.another().await;
    assert_eq!(held.hears(&ben).await, (vec![], vec![]));
    other_node.stop().await;
    keep_era(&world.store).await.unwrap();
    assert_eq!(held.hears(&ben).await, (vec![], vec![]));
    assert!(!is_unknown(&ben, &held.known).await);
    world.end().await;
}

#[tokio::test]
async fn nodes_that_record_one_conversation_in_each_row_have_no_era_and_are_heard() {
    let world = World::new().await;
    let (_, ben, direct) = world.conversation().await;
    let mut held = settled(&ben).await;
    assert_eq!(world.count("present_list_era").await, 0);
    assert_eq!(world.count("current_list_era").await, 1);
    // As one of them stores a message.
    world
        .sql(&format!(
            "insert into list_changes (changed, conversation_id) values (pg_current_xact_id(), '{0}');
            update conversations set last_access_at = last_access_at + interval '1 day' where conversation_id = '{0}'",
            direct.id
        ))
        .await;
    assert_eq!(held.hears(&ben).await, (vec![direct.id.clone()], vec![]));
    world.end().await;
}

/// What a node of an early release writes: it records nothing of it.
async fn write_unrecorded(world: &World, direct: &Conversation, nick: &str) {
    world
        .sql(&format!(
            "update conversations set last_access_at = last_access_at + interval '1 day' where conversation_id = '{}';
            update users set nick = '{nick}' where nick <> 'Ben'",
            direct.id
        ))
        .await;
}

#[tokio::test]
async fn nothing_is_missed_while_there_is_a_node_that_records_nothing() {
    let world = World::new().await;
    let (_, ben, direct) = world.conversation().await;
    let mut held = settled(&ben).await;
    let before = held.known.clone();
    // As nodes of the release before do.
    world
        .sql("insert into nodes (node_id, alive_until) values (md5('older')::uuid, now() + interval '1 hour')")
        .await;
    let older = world
        .store
        .options()
        .clone()
        .application_name("parlance")
        .connect()
        .await
        .unwrap();
    keep_era(&world.store).await.unwrap();
    for round in 0..2 {
        write_unrecorded(&world, &direct, &format!("Anna {round}")).await;
        held.catches_up(&ben).await;
        assert_eq!(held.known, "");
        assert_eq!(held.lines, Held::whole(&ben).await.lines);
    }
    assert!(is_unknown(&ben, &before).await);
    // Its row is gone, as it seems to have ended, but a statement of its may still be in progress.
    world
        .sql("delete from nodes where node_id = md5('older')::uuid")
        .await;
    keep_era(&world.store).await.unwrap();
    write_unrecorded(&world, &direct, "Annie").await;
    held.catches_up(&ben).await;
    assert_eq!(held.known, "");
    older.close().await.unwrap();
    eventually("an era", async || {
        keep_era(&world.store).await.unwrap();
        !Held::whole(&ben).await.known.is_empty()
    })
    .await;
    assert!(is_unknown(&ben, &before).await);
    // Also the nick that was not counted: what a node has kept of nicks is of no use in another era.
    held.hears(&ben).await;
    let line = held.lines[&direct.id].to_string();
    assert!(line.contains("Annie"), "{line}");
    assert!(!is_unknown(&ben, &held.known).await);
    world.end().await;
}

#[tokio::test]
async fn two_nodes_that_begin_an_era_at_once_begin_one() {
    let world = World::new().await;
    let (_, ben, _) = world.conversation().await;
    for _ in 0..20 {
        world.sql("delete from list_era").await;
        let (one, other) = tokio::join!(keep_era(&world.store), keep_era(&world.store));
        one.unwrap();
        other.unwrap();
        let held = Held::whole(&ben).await;
        keep_era(&world.store).await.unwrap();
        assert!(!is_unknown(&ben, &held.known).await);
    }
    world.end().await;
}
