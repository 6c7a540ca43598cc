//! A wrong clock deletes nothing: messages are kept until servers have run for the grace period.

use chrono::TimeDelta;
use parlance::{settings::Database, store::purge};
use parlance_wire::time::Timestamp;
use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::world::{World, database, eventually, settings};

const GRACE: TimeDelta = TimeDelta::days(7);

/// Records the intervals in which servers ran according to the clock, oldest first.
async fn ran(world: &World, runs: &[(&str, &str)]) {
    // The server of this test records its own run at its start, which has to come first.
    eventually("the server's note", async || {
        world.count("clock_runs").await > 0
    })
    .await;
    world.sql("delete from clock_runs").await;
    for (from, to) in runs {
        world
            .sql(&format!(
                "insert into clock_runs (started_at, seen_at) values ({from}, {to})"
            ))
            .await;
    }
}

/// Purges expired messages like the server. Returns their number.
async fn purged(world: &World) -> u64 {
    match purge::kept_since(&world.store, GRACE).await.unwrap() {
        Some(since) => purge::expired(&world.store, since.min(Timestamp::now().plus(-GRACE)))
            .await
            .unwrap(),
        None => 0,
    }
}

/// Returns `true` if two moments are equal, apart from the duration of a test.
async fn is_about(world: &World, moment: Timestamp, expected: &str) -> bool {
    let distance: f64 = sqlx::query_scalar(AssertSqlSafe(format!(
        "select extract(epoch from $1 - ({expected}))::float8"
    )))
    .bind(moment)
    .fetch_one(&world.db)
    .await
    .unwrap();
    distance.abs() < 60.0
}

#[tokio::test]
async fn a_message_that_was_stored_in_1999_is_kept_for_the_grace_from_the_jump_on() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let id = ann
        .adds(&conversation, "said while the clock was wrong")
        .await;
    world.sql("update messages set stored_at = '1999-12-31 12:05Z', valid_until = '2000-01-07 12:05Z'").await;
    let wrong = ("'1999-12-31 12:00Z'", "'1999-12-31 12:10Z'");
    // Restarted with the right clock: an hour, and nearly the grace period.
    for since in ["now() - interval '1 hour'", "now() - interval '167 hours'"] {
        ran(&world, &[wrong, (since, "now()")]).await;
        assert_eq!(purged(&world).await, 0, "{since}");
    }
    // The hours in 1999 count, but the message was stored in the middle of them.
    ran(
        &world,
        &[
            wrong,
            ("now() - interval '7 days' + interval '7 minutes'", "now()"),
        ],
    )
    .await;
    assert_eq!(purged(&world).await, 0);
    assert_eq!(
        ben.reads(&conversation).await["messages"][0]["ID"],
        id.as_str()
    );
    ran(
        &world,
        &[
            wrong,
            ("now() - interval '7 days' - interval '1 minute'", "now()"),
        ],
    )
    .await;
    assert_eq!(purged(&world).await, 1);
    // Intervals that are no longer needed are deleted.
    assert_eq!(world.count("clock_runs").await, 1);
    world.end().await;
}

#[tokio::test]
async fn a_purge_that_takes_long_does_not_break_the_run_that_it_counts() {
    let options = database().await;
    let mut settings = settings();
    settings.database = Database::Given(Box::new(options.clone()));
    let before = World::start(settings.clone(), options.clone()).await;
    let (ann, _ben, conversation) = before.conversation().await;
    ann.adds(&conversation, "cleared").await;
    ann.does("clear", &conversation, json!({})).await.ok();
    before
        .sql(
            "delete from clock_runs;
            create function is_slow() returns trigger language plpgsql as $$ begin perform pg_sleep(9); return old; end $$;
            create trigger is_slow before delete on messages for each row execute function is_slow()",
        )
        .await;
    before.stop().await;
    let world = World::start(settings, options).await;
    eventually("the server's note that it runs", async || {
        world.count("clock_runs").await == 1
    })
    .await;
    assert_eq!(
        world.count("messages").await,
        1,
        "the purge is not done yet"
    );
    world.stop().await;
}

#[tokio::test]
async fn only_the_time_counts_in_which_servers_ran() {
    let world = World::new().await;
    let since = async || {
        purge::note_run(&world.store).await.unwrap();
        purge::kept_since(&world.store, GRACE).await.unwrap()
    };
    ran(&world, &[]).await;
    assert_eq!(since().await, None);
    assert_eq!(world.count("clock_runs").await, 1);
    // The interval grows while the clock is observed now and then, and a new one begins after a gap
    // or when the clock is set back.
    for (seen, runs) in [
        ("now() - interval '4 minutes'", 1),
        ("now() - interval '6 minutes'", 2),
        ("now() + interval '6 minutes'", 2),
    ] {
        ran(&world, &[("now() - interval '1 day'", seen)]).await;
        assert_eq!(since().await, None);
        assert_eq!(world.count("clock_runs").await, runs, "{seen}");
    }
    // A server that is off every night.
    let day = |n: i32| {
        (
            format!("now() - interval '{n} days'"),
            format!("now() - interval '{n} days' + interval '12 hours'"),
        )
    };
    let days: Vec<(String, String)> = (1..30).rev().map(day).collect();
    let days: Vec<(&str, &str)> = days.iter().map(|(from, to)| (&**from, &**to)).collect();
    ran(&world, &days).await;
    assert!(is_about(&world, since().await.unwrap(), "now() - interval '14 days'").await);
    // A clock that was far ahead and then set back: the earliest time counts.
    ran(
        &world,
        &[
            (
                "now() + interval '3000 days'",
                "now() + interval '3006 days'",
            ),
            ("now() - interval '2 days'", "now()"),
        ],
    )
    .await;
    assert!(is_about(&world, since().await.unwrap(), "now() - interval '2 days'").await);
    world.end().await;
}
