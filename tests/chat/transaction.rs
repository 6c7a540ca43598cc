//! Transactions are committed or rolled back for good when the call returns, so that no lock stays
//! on an idle connection.

use std::time::Duration;

use parlance::{
    store::{
        Db, End,
        error::{Error, Result},
    },
    timings::DatabaseTimings,
};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, postgres::PgConnectOptions};

use crate::{
    proxy::Proxy,
    world::{database, eventually, socket_dir},
};

/// A database with a counter in a table, and a pool with a single connection.
async fn counter() -> (Db, PgConnectOptions) {
    let options = database().await;
    sql(
        &mut options.connect().await.unwrap(),
        "create table counters (n int not null); insert into counters values (0)",
    )
    .await
    .unwrap();
    (Db::new(options.clone(), 1), options)
}

async fn sql(c: &mut PgConnection, statement: &str) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(c)
        .await?;
    Ok(())
}

async fn count_up(c: &mut PgConnection) -> Result<()> {
    sql(c, "update counters set n = n + 1").await
}

async fn backend(c: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(c)
        .await
}

/// The counter as seen by another session, which does not wait for locks.
async fn count(options: &PgConnectOptions) -> sqlx::Result<i32> {
    sqlx::query_scalar("select n from counters for update nowait")
        .fetch_one(&mut options.connect().await?)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn committed_work_stays_and_rolled_back_work_does_not() {
    let (db, options) = counter().await;
    let committed = db.transaction(async |c| {
        count_up(c).await?;
        Ok(End::Commit("kept"))
    });
    assert_eq!(committed.await.unwrap(), "kept");
    let refused = db.transaction(async |c| {
        count_up(c).await?;
        Ok(End::Rollback("undone"))
    });
    assert_eq!(refused.await.unwrap(), "undone");
    assert_eq!(count(&options).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_work_is_rolled_back_and_holds_no_lock_when_its_error_is_returned() {
    let (db, options) = counter().await;
    let first = db.run(backend).await.unwrap();
    let failed = db
        .transaction::<()>(async |c| {
            count_up(c).await?;
            sql(c, "select 1 / 0").await?;
            Ok(End::Commit(()))
        })
        .await;
    assert!(matches!(failed, Err(Error::Bug { .. })), "{failed:?}");
    assert_eq!(count(&options).await.unwrap(), 0);
    // The connection is as good as before.
    assert_eq!(db.run(backend).await.unwrap(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_is_stopped_has_certainly_done_nothing() {
    let (db, options) = counter().await;
    let first = db.run(backend).await.unwrap();
    let stopped = db
        .transaction::<()>(async |c| {
            count_up(c).await?;
            sql(
                c,
                "set local statement_timeout = '20ms'; select pg_sleep(9)",
            )
            .await?;
            Ok(End::Commit(()))
        })
        .await;
    assert!(
        matches!(
            stopped,
            Err(Error::Away {
                uncertain: false,
                ..
            })
        ),
        "{stopped:?}"
    );
    assert_eq!(count(&options).await.unwrap(), 0);
    assert_eq!(db.run(backend).await.unwrap(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_abandoned_during_a_statement_releases_its_locks() {
    let (db, options) = counter().await;
    let abandoned = db.transaction::<()>(async |c| {
        count_up(c).await?;
        sql(c, "select pg_sleep(9)").await?;
        Ok(End::Commit(()))
    });
    let asleep = "select count(*) from pg_stat_activity where query = 'select pg_sleep(9)' and datname = current_database()";
    let mut admin = options.connect().await.unwrap();
    tokio::select! {
        biased;
        _ = abandoned => unreachable!("it is asleep"),
        () = eventually("it is asleep", async || {
            sqlx::query_scalar::<_, i64>(asleep).fetch_one(&mut options.connect().await.unwrap()).await.unwrap() == 1
        }) => {}
    }
    // PostgreSQL notices that the client is gone at its next write: here, at the end of the
    // statement.
    sql(
        &mut admin,
        "select pg_cancel_backend(pid) from pg_stat_activity where query = 'select pg_sleep(9)'",
    )
    .await
    .unwrap();
    eventually("the lock is given back", async || {
        count(&options).await.is_ok_and(|count| count == 0)
    })
    .await;
    // Its permit in the pool is free.
    db.run(backend).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_under_a_transaction_leaves_nobody_certain_and_its_connection_is_not_used_again()
 {
    let (db, options) = counter().await;
    let first = db.run(backend).await.unwrap();
    let mut admin = options.connect().await.unwrap();
    let ended = db
        .transaction::<()>(async |c| {
            count_up(c).await?;
            sql(
                &mut admin,
                &format!("select pg_terminate_backend({first}, 5000)"),
            )
            .await?;
            count_up(c).await?;
            Ok(End::Commit(()))
        })
        .await;
    assert!(
        matches!(
            ended,
            Err(Error::Away {
                uncertain: true,
                ..
            })
        ),
        "{ended:?}"
    );
    assert_eq!(count(&options).await.unwrap(), 0);
    assert_ne!(db.run(backend).await.unwrap(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_uncertain() {
    let proxy = Proxy::start(&socket_dir());
    let (_, options) = counter().await;
    let db = Db::new(proxy.options(&options), 1);
    let lost = db
        .transaction(async |c| {
            count_up(c).await?;
            proxy.lose_next_answer();
            Ok(End::Commit(()))
        })
        .await;
    assert!(
        matches!(
            lost,
            Err(Error::Away {
                uncertain: true,
                ..
            })
        ),
        "{lost:?}"
    );
    // It was committed without an announcement.
    eventually("it is committed", async || {
        count(&options).await.is_ok_and(|count| count == 1)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_falls_silent_is_given_up_and_its_place_is_free() {
    let proxy = Proxy::start(&socket_dir());
    let (_, options) = counter().await;
    let timings = DatabaseTimings {
        response: Duration::from_secs(1),
        ..DatabaseTimings::default()
    };
    let db = Db::with_timings(proxy.options(&options), 1, timings);
    let first = db.run(backend).await.unwrap();
    proxy.fall_silent();
    let silent = db.run(backend).await;
    assert!(
        matches!(
            silent,
            Err(Error::Away {
                uncertain: true,
                ..
            })
        ),
        "{silent:?}"
    );
    assert_ne!(db.run(backend).await.unwrap(), first);
}
