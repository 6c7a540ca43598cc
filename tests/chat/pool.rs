//! The connection pool: it is shared by all threads, callers wait when it is exhausted, and
//! connections are returned whatever happens to the work.

use std::{
    pin::pin,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::{future::join_all, poll};
use parlance::{
    settings::Database,
    store::{Db, error::Error},
    timings::DatabaseTimings,
};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, postgres::PgConnectOptions};
use tokio::{runtime::Handle, sync::oneshot};

use crate::{
    cli::{bad, good, parlance, run},
    embedded::Server,
    proxy::Proxy,
    world::{Person, World, database, settings, socket_dir},
};

/// A role with full access to a database, but a connection limit.
async fn limited(options: &PgConnectOptions, connections: u32) -> PgConnectOptions {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("limited_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut admin = options.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!(
        "create role {name} login connection limit {connections};
        grant all on schema public to {name};
        grant all on all tables in schema public to {name}; grant all on all sequences in schema public to {name}"
    )))
    .execute(&mut admin)
    .await
    .unwrap();
    options.clone().username(&name)
}

/// The URL with that role.
fn url(options: &PgConnectOptions) -> String {
    let socket = options.get_socket().unwrap().display();
    format!(
        "postgres://{}@localhost/{}?host={socket}",
        options.get_username(),
        options.get_database().unwrap()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_start_a_node_says_that_its_role_may_have_fewer_connections_than_it_wants() {
    let options = limited(&database().await, 6).await;
    let mut command = parlance(&options);
    command
        .env("DATABASE_URL", url(&options))
        .env("LISTEN_ADDR", "127.0.0.1:0")
        .stderr(Stdio::piped());
    let server = Server::start_as(&mut command);
    assert!(
        server.logged("allows 6 connections, and this node wants 9"),
        "{}",
        server.log.lock().unwrap()
    );
    server.stop();
}

async fn backend(c: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(c)
        .await
}

async fn sleep(c: &mut PgConnection, seconds: f64) -> sqlx::Result<()> {
    sqlx::query("select pg_sleep($1)")
        .bind(seconds)
        .execute(c)
        .await
        .map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_have_fewer_connections_than_the_node_wants_refuses_nobody() {
    let options = database().await;
    let mut settings = settings();
    (settings.workers, settings.database_connections) = (4, 8);
    settings.database = Database::Given(Box::new(limited(&options, 6).await));
    let world = World::start(settings, options.clone()).await;
    let ann = world.person("Ann").await;
    // Each from a client of its own, so that any of the threads may serve it.
    let stranger = || Person {
        world: World::at(&world.url, options.clone()),
        ..ann.clone()
    };
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
    let second_device = std::thread::spawn(move || handle.block_on(theirs.run(backend)));
    let first = second_device.join().unwrap().unwrap();
    assert_eq!(db.run(backend).await.unwrap(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_connection_is_waited_for_where_none_can_be_opened() {
    let db = Db::new(limited(&database().await, 1).await, 3);
    let (slow, others) = tokio::join!(
        db.run(async |c| sleep(c, 0.5).await),
        join_all((0..2).map(|_| db.run(backend)))
    );
    slow.unwrap();
    assert!(others.iter().all(Result::is_ok), "{others:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_waits_for_a_connection_and_gets_an_error_if_none_is_returned() {
    let options = database().await;
    let db = Db::new(options.clone(), 1);
    let (slow, next) = tokio::join!(db.run(async |c| sleep(c, 0.5).await), db.run(backend));
    assert!(slow.is_ok() && next.is_ok());
    let db = Db::with_timings(
        options,
        1,
        DatabaseTimings {
            // Long enough to open the first connection on a busy machine.
            acquire: Duration::from_secs(2),
            ..DatabaseTimings::default()
        },
    );
    tokio::select! {
        biased;
        _ = db.run(async |c| sleep(c, 9.0).await) => unreachable!("who waits for it has given up by then"),
        next = db.run(backend) => assert!(matches!(next, Err(Error::Away { uncertain: false, .. })), "{next:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn abandoned_work_releases_its_permit_and_closes_its_connection() {
    let db = Db::new(database().await, 1);
    let first = db.run(backend).await.unwrap();
    let abandoned = db.run(async |c| {
        sqlx::raw_sql("begin; create table half_done (n int)")
            .execute(&mut *c)
            .await?;
        sleep(c, 9.0).await
    });
    assert!(
        tokio::time::timeout(Duration::from_millis(300), abandoned)
            .await
            .is_err()
    );
    let half_done = db.run(async |c| {
        sqlx::query_scalar::<_, Option<String>>("select to_regclass('half_done')::text")
            .fetch_one(c)
            .await
    });
    assert_eq!(half_done.await.unwrap(), None);
    assert_ne!(db.run(backend).await.unwrap(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_ended_is_not_handed_out_twice() {
    let options = database().await;
    let db = Db::new(options.clone(), 2);
    let first = db.run(backend).await.unwrap();
    let mut admin = options.connect().await.unwrap();
    sqlx::query("select pg_terminate_backend($1, 5000)")
        .bind(first)
        .execute(&mut admin)
        .await
        .unwrap();
    assert!(db.run(backend).await.is_err());
    assert_ne!(db.run(backend).await.unwrap(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_session_took_too_long_is_not_handed_out_again() {
    let db = Db::new(database().await, 1);
    for code in ["25P03", "25P04", "57P01", "08006"] {
        let first = db.run(backend).await.unwrap();
        let ends =
            format!("do $$ begin raise exception 'it ends' using errcode = '{code}'; end $$");
        assert!(
            db.run(async |c| sqlx::raw_sql(AssertSqlSafe(ends)).execute(c).await)
                .await
                .is_err()
        );
        assert_ne!(db.run(backend).await.unwrap(), first, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waiters_rarely_retry_a_connection_that_the_database_refuses() {
    let proxy = Proxy::start(&socket_dir());
    let db = Db::new(proxy.options(&limited(&database().await, 1).await), 4);
    db.run(backend).await.unwrap();
    let before = proxy.connections();
    join_all((0..4).map(async |_| {
        for _ in 0..100 {
            db.run(async |c| sleep(c, 0.001).await).await.unwrap();
        }
    }))
    .await;
    // Four connections are refused at first. If each caller tried that had to wait, there would be
    // hundreds.
    let opened = proxy.connections() - before;
    assert!(opened < 100, "{opened} were opened for 400 callers");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_waiter_gets_the_next_connection_where_none_can_be_opened() {
    let db = Db::new(limited(&database().await, 1).await, 3);
    let order = Mutex::new(vec![]);
    let ((tell, told), (release, released)) = (oneshot::channel(), oneshot::channel());
    let work = async |_: &mut PgConnection| {
        tell.send(()).unwrap();
        released.await.unwrap();
        Ok::<_, sqlx::Error>(())
    };
    let works = async |name: &'static str| {
        db.run(async |c| sleep(c, 0.0).await).await.unwrap();
        order.lock().unwrap().push(name);
    };
    let mut comes_again = pin!(async {
        db.run(work).await.unwrap();
        works("first again").await;
    });
    tokio::select! {
        () = &mut comes_again => unreachable!("it is not to end yet"),
        told = told => told.unwrap(),
    }
    // Now it is known that no more can be opened.
    let in_vain = tokio::time::timeout(Duration::from_secs(2), db.run(backend));
    assert!(in_vain.await.is_err());
    let (mut second, mut third) = (pin!(works("second")), pin!(works("third")));
    assert!(poll!(&mut second).is_pending() && poll!(&mut third).is_pending());
    release.send(()).unwrap();
    tokio::join!(comes_again, second, third);
    assert_eq!(*order.lock().unwrap(), ["second", "third", "first again"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_find_a_connection_beside_a_server_that_may_not_have_all_that_it_wants() {
    let world = World::new().await;
    let (ann, ..) = world.conversation().await;
    let options = world.store.options();
    let mut command = parlance(options);
    let url = url(&limited(options, 6).await);
    let server = Server::start_as(
        command
            .env("DATABASE_URL", &url)
            .env("LISTEN_ADDR", "127.0.0.1:0")
            .stderr(Stdio::piped()),
    );
    // As many as needed until all of its connections are open.
    let stranger = || Person {
        world: World::at(&server.url, options.clone()),
        ..ann.clone()
    };
    join_all((0..40).map(async |_| stranger().logs_in().await)).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("backup");
    for arguments in [
        &["user", "disable", "ben@example.org"][..],
        &["doctor"],
        &["backup", file.to_str().unwrap()],
    ] {
        good(&run(
            parlance(options).env("DATABASE_URL", &url).args(arguments),
            "",
        ));
    }
    server.stop();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_have_one_connection_only_is_refused_at_the_start() {
    let options = database().await;
    let mut command = parlance(&options);
    command
        .env("DATABASE_URL", url(&limited(&options, 1).await))
        .env("LISTEN_ADDR", "127.0.0.1:0");
    let sentence = bad(&run(&mut command, ""));
    assert!(sentence.contains("allows 1 connection"), "{sentence}");
}
