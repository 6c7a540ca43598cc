//! The connections to PostgreSQL: shared by all threads, waited for when there are no more, and given back whatever
//! becomes of the work.

use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use parlance::{settings::Database, store::Db};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, postgres::PgConnectOptions};
use tokio::runtime::Handle;

use crate::{
    cli::parlance,
    embedded::Server,
    world::{Person, World, database, settings},
};

/// A role that may use everything in a database, but have so many connections only.
async fn limited(options: &PgConnectOptions, connections: u32) -> PgConnectOptions {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("limited_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut admin = options.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!(
        "create role {name} login connection limit {connections};
        grant all on schema public to {name};
        grant all on all tables in schema public to {name}"
    )))
    .execute(&mut admin)
    .await
    .unwrap();
    options.clone().username(&name)
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_start_a_node_says_that_its_role_may_have_fewer_connections_than_it_wants() {
    let options = limited(&database().await, 6).await;
    let socket = options.get_socket().unwrap().display();
    let url = format!("postgres://{}@localhost/{}?host={socket}", options.get_username(), options.get_database().unwrap());
    let mut command = parlance(&options);
    command.env("DATABASE_URL", url).env("LISTEN_ADDR", "127.0.0.1:0").stderr(Stdio::piped());
    let server = Server::start_as(&mut command);
    assert!(server.logged("allows 6 connections, and this node wants 9"), "{}", server.log.lock().unwrap());
    server.stop();
}

async fn backend(c: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::query_scalar("select pg_backend_pid()").fetch_one(c).await
}

async fn sleep(c: &mut PgConnection, seconds: f64) -> sqlx::Result<()> {
    sqlx::query("select pg_sleep($1)").bind(seconds).execute(c).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_have_fewer_connections_than_the_node_wants_refuses_nobody() {
    let options = database().await;
    let mut settings = settings();
    (settings.workers, settings.database_connections) = (4, 8);
    settings.database = Database::Given(Box::new(limited(&options, 6).await));
    let world = World::on(settings, options.clone()).await;
    let ann = world.person("Ann").await;
    // Each from a client of its own: so it comes to any of the threads.
    let stranger = || Person { world: World::at(&world.url, options.clone()), ..ann.clone() };
    for _ in 0..2 {
        join_all((0..40).map(async |_| stranger().logs_in().await)).await;
        for _ in 0..40 {
            stranger().logs_in().await;
        }
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_another_thread_is_used_where_none_can_be_opened() {
    let db = Arc::new(Db::new(limited(&database().await, 1).await, 2));
    let (theirs, handle) = (db.clone(), Handle::current());
    let elsewhere = std::thread::spawn(move || handle.block_on(theirs.run(backend)));
    let first = elsewhere.join().unwrap().unwrap();
    assert_eq!(db.run(backend).await.unwrap(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_in_use_is_waited_for_where_none_can_be_opened() {
    let db = Db::new(limited(&database().await, 1).await, 3);
    let (slow, others) = tokio::join!(db.run(async |c| sleep(c, 0.5).await), join_all((0..2).map(|_| db.run(backend))));
    slow.unwrap();
    assert!(others.iter().all(Result::is_ok), "{others:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_all_in_use_waits_for_one_and_is_told_when_none_comes_back() {
    let db = Db::new(database().await, 1);
    let (slow, next) = tokio::join!(db.run(async |c| sleep(c, 0.5).await), db.run(backend));
    assert!(slow.is_ok() && next.is_ok());
    let (slow, next) = tokio::join!(db.run(async |c| sleep(c, 7.0).await), db.run(backend));
    assert!(slow.is_ok() && matches!(next, Err(sqlx::Error::PoolTimedOut)), "{next:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_is_abandoned_gives_its_place_back_and_takes_its_connection_with_it() {
    let db = Db::new(database().await, 1);
    let first = db.run(backend).await.unwrap();
    let abandoned = db.run(async |c| {
        sqlx::raw_sql("begin; create table half_done (n int)").execute(&mut *c).await?;
        sleep(c, 9.0).await
    });
    assert!(tokio::time::timeout(Duration::from_millis(300), abandoned).await.is_err());
    let half_done = db.run(async |c| sqlx::query_scalar::<_, Option<String>>("select to_regclass('half_done')::text").fetch_one(c).await);
    assert_eq!(half_done.await.unwrap(), None);
    assert_ne!(db.run(backend).await.unwrap(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_ended_is_not_handed_out_twice() {
    let options = database().await;
    let db = Db::new(options.clone(), 2);
    let first = db.run(backend).await.unwrap();
    let mut admin = options.connect().await.unwrap();
    sqlx::query("select pg_terminate_backend($1, 5000)").bind(first).execute(&mut admin).await.unwrap();
    assert!(db.run(backend).await.is_err());
    assert_ne!(db.run(backend).await.unwrap(), first);
}
