//! A world for a test: a server as production starts it, on a database of its own, and people who
//! use it over the wire.

mod answer;
mod changes;
mod cluster;
mod conversation;
mod epoch;
mod file;
mod held;
mod hold;
mod key;
mod person;
mod signer;
mod socket;
mod store;

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use parlance::{
    clock::Clock,
    server::{self, Running},
    settings::{Database, Invites, LogFormat, PerUser, Registration, Settings, StoreOptions},
    store::{
        Db,
        audit::Actor,
        doctor,
        file::{LeftOver, examine},
        user,
    },
    timings::{DatabaseTimings, Timings},
};
use parlance_wire::{e2ee::MemberKey, id::UserId, text::Email, time::Timestamp};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool, postgres::PgConnectOptions};
use tokio::time::Instant;
use uuid::Uuid;

pub(crate) use self::{
    answer::Answer,
    changes::Changes,
    cluster::{database, empty_database, postmaster, socket_dir},
    conversation::{Conversation, message, request},
    epoch::{Epoch, Roster, secret},
    file::{File, RECORD},
    held::Held,
    hold::Hold,
    key::{key, public_key, sign},
    person::Person,
    signer::Signer,
    socket::{Socket, address, handshake},
    store::{Kind, S3Server, directory, lying, s3_keys, stores},
};

/// The settings of a test: the defaults, but small, and open to registration.
pub(crate) fn settings() -> Settings {
    Settings {
        listen_addr: "127.0.0.1:0".parse().unwrap(),
        public_url: "http://127.0.0.1:0".into(),
        database: Database::Embedded,
        database_connections: 4,
        data_dir: PathBuf::from("unused"),
        pg_bin: None,
        postgres_settings: Vec::new(),
        registration: Registration::Open,
        invites: Invites::Everyone,
        message_lifetime: TimeDelta::days(7),
        max_message_lifetime: TimeDelta::days(365_250),
        expiry_grace: TimeDelta::days(7),
        max_message_bytes: 64 * 1024,
        max_body_bytes: 1024 * 1024,
        max_file_bytes: 100 << 20,
        file_disk: None,
        file_store: None,
        stores: StoreOptions::new(Some(s3_keys())),
        signature_window: TimeDelta::minutes(5),
        login_tries: 10,
        logins: 100_000,
        registrations: 1000,
        bad_signatures: 600,
        trusted_proxies: vec![],
        allowed_origins: vec![],
        allow_unsigned_notifications: false,
        requests_per_user: 32,
        sockets_per_user: 20,
        sockets: 1000,
        nats_url: Vec::new(),
        nats_credentials: None,
        tls: None,
        push: None,
        metrics_addr: None,
        workers: 1,
        log_format: LogFormat::Human,
        timings: Timings {
            // Changes that follow each other are told one by one.
            request_told: Duration::ZERO,
            // Tests hold locks on purpose, and much is started at once on a busy machine.
            database: DatabaseTimings {
                acquire: Duration::from_secs(30),
                response: Duration::from_secs(40),
                statement: Duration::from_secs(30),
                lock: Duration::from_secs(30),
            },
            ..Timings::default()
        },
        clock: Clock::default(),
        // No test meets these by chance.
        per_user: PerUser {
            messages: 100_000,
            message_bytes: 1 << 40,
            stored_bytes: 1 << 40,
            conversations: 1000,
            new_conversations: 100,
            friend_requests: 100_000,
            lookups: 100_000,
            presence_changes: 100_000,
            changes: 1_000_000,
            own_changes: 1_000_000,
            epoch_secrets: 1_000_000_000,
            new_stations: 100_000,
            file_bytes: 1 << 40,
            file_quota: 1 << 30,
        },
    }
}

/// The actor of changes that are made directly.
pub(crate) fn operator() -> Actor {
    Actor {
        name: "the operator".into(),
        origin: "a test".into(),
    }
}

/// A server, its database, and a client.
pub(crate) struct World {
    running: Mutex<Option<Running>>,
    /// What stands for each person in a roster, as everyone knows it.
    members: Mutex<BTreeMap<UserId, MemberKey>>,
    pub db: PgPool,
    /// The database, for calls that bypass the wire.
    pub store: Db,
    pub url: String,
    /// The server's clock.
    pub clock: Clock,
    http: reqwest::Client,
}

impl World {
    pub(crate) async fn new() -> Arc<Self> {
        Self::with(|_| ()).await
    }

    /// With settings other than the usual ones.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Arc<Self> {
        let options = database().await;
        let mut settings = settings();
        settings.database = Database::Given(Box::new(options.clone()));
        change(&mut settings);
        Self::start(settings, options).await
    }

    /// With complete settings for the server; `options` is the test's own connection to the
    /// database.
    pub(crate) async fn start(settings: Settings, options: PgConnectOptions) -> Arc<Self> {
        let clock = settings.clock.clone();
        // Boxed, as it is large, and in every test.
        let running = Box::pin(server::start(settings)).await.unwrap();
        let world = Self::served(&format!("http://{}", running.address), options, clock);
        *world.running.lock().unwrap() = Some(running);
        world
    }

    /// The world of a server that was started elsewhere.
    pub(crate) fn at(url: &str, options: PgConnectOptions) -> Arc<Self> {
        Self::served(url, options, Clock::default())
    }

    fn served(url: &str, options: PgConnectOptions, clock: Clock) -> Arc<Self> {
        let (store, url) = (Db::new(options.clone(), 2), url.to_owned());
        let db = sqlx::postgres::PgPoolOptions::new()
            .max_connections(2)
            .connect_lazy_with(options);
        Arc::new(Self {
            running: Mutex::new(None),
            members: Mutex::default(),
            db,
            store,
            url,
            clock,
            http: reqwest::Client::new(),
        })
    }

    /// A person who has registered and logged in, from one station.
    pub(crate) async fn person(self: &Arc<Self>, name: &str) -> Person {
        let email = format!("{}@example.org", name.to_lowercase());
        let public_key = public_key(&key(name));
        let apikey = format!("the apikey of {name}");
        let registration = json!({ "action": "register", "email": email, "fullname": format!("{name} Example"), "nick": name, "apikey": apikey, "publickey": public_key, "rsakey": "opaque" });
        let registered = self
            .posts("chatserver", "chatlogin", &[], &registration.to_string())
            .await;
        assert!([200, 409].contains(&registered.status), "{registered:?}");
        self.returning(name).await
    }

    /// A person who has registered before, logged in from one station.
    pub(crate) async fn returning(self: &Arc<Self>, name: &str) -> Person {
        let email = format!("{}@example.org", name.to_lowercase());
        let person = Person {
            world: self.clone(),
            name: name.to_owned(),
            user: UserId::of(&Email::parse(&email).unwrap()).to_string(),
            station: Uuid::new_v4().simple().to_string(),
            key: key(name),
        };
        self.members
            .lock()
            .unwrap()
            .entry(person.id())
            .or_insert(MemberKey::Rsa(person.rsa()));
        person.logs_in().await;
        person
    }

    /// Two people who are friends.
    pub(crate) async fn friends(self: &Arc<Self>) -> (Person, Person) {
        let (ann, ben) = (self.person("Ann").await, self.person("Ben").await);
        ann.befriends(&ben).await;
        (ann, ben)
    }

    /// Two friends with a conversation, and its id and instance.
    pub(crate) async fn conversation(self: &Arc<Self>) -> (Person, Person, Conversation) {
        let (ann, ben) = self.friends().await;
        let conversation = ann.creates(&ben).await;
        (ann, ben, conversation)
    }

    /// Posts a body with these headers.
    pub(crate) async fn posts(
        &self,
        srv: &str,
        api: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = self
            .http
            .post(format!("{}/?srv={srv}&api={api}", self.url))
            .body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(request.send().await.unwrap()).await
    }

    /// Sends a request with another method, or to another path.
    pub(crate) async fn sends(&self, method: &str, path: &str) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        Answer::of(
            self.http
                .request(method, format!("{}{path}", self.url))
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    /// Number of rows of a table.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {table}")))
            .fetch_one(&self.db)
            .await
            .unwrap()
    }

    /// Disables or enables a user, like an operator. Returns whether there is such a user.
    pub(crate) async fn sets_disabled(&self, person: &Person, disabled: bool) -> bool {
        let user = UserId::parse(&person.user).unwrap();
        self.sets_user_disabled(user, disabled).await
    }

    pub(crate) async fn sets_user_disabled(&self, user: UserId, disabled: bool) -> bool {
        user::set_disabled(&self.store, user, disabled, &operator(), Timestamp::now())
            .await
            .unwrap()
    }

    /// The link that makes the first account.
    pub(crate) async fn first_link(&self) -> Option<String> {
        let link = self.running.lock().unwrap().as_ref().unwrap().first_link();
        link.await.unwrap()
    }

    /// Runs a statement directly on the database. Messages that it stores or deletes count for their
    /// senders, as the server's do.
    pub(crate) async fn sql(&self, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
            .execute(&self.db)
            .await
            .unwrap();
        let changes = ["into messages", "update messages", "delete from messages"];
        if changes.iter().any(|change| statement.contains(change)) {
            self.counts_messages().await;
        }
    }

    /// Counts what the messages take that were not stored or deleted by a server.
    pub(crate) async fn counts_messages(&self) {
        sqlx::query(
            "insert into usage_changes (user_ids, bytes)
            select array[user_id], array[sum(bytes)::bigint] from (
                select user_id, bytes from stored_bytes
                union all select user_id, -bytes from usage
                union all select user_id, -bytes from usage_change
            ) counted
            group by user_id having sum(bytes) <> 0",
        )
        .execute(&self.db)
        .await
        .unwrap();
    }

    /// Stops the server and checks the invariants of the database that it leaves behind.
    pub(crate) async fn end(&self) {
        let wrong = doctor::examine(&self.store).await.unwrap();
        assert!(wrong.is_empty(), "{wrong:#?}");
        let files = examine(&self.store, &stores(), LeftOver::Report)
            .await
            .unwrap();
        let wrong = files.findings();
        assert!(wrong.is_empty(), "{wrong:#?}");
        self.db.close().await;
        self.stop().await;
    }

    /// Where the server's metrics are.
    pub(crate) fn metrics_url(&self) -> String {
        let running = self.running.lock().unwrap();
        let address = running.as_ref().unwrap().metrics_address.unwrap();
        format!("http://{address}/metrics")
    }

    /// Number of messages and reports that wait to be stored.
    pub(crate) fn waiting(&self) -> usize {
        self.running.lock().unwrap().as_ref().unwrap().waiting()
    }

    /// Another server on the same database.
    pub(crate) async fn another(&self) -> Arc<Self> {
        self.another_with(|_| ()).await
    }

    /// Like [`World::another`], with settings other than the usual ones.
    pub(crate) async fn another_with(&self, change: impl FnOnce(&mut Settings)) -> Arc<Self> {
        let options = self.store.options().clone();
        let mut settings = settings();
        change(&mut settings);
        settings.database = Database::Given(Box::new(options.clone()));
        Self::start(settings, options).await
    }

    /// A connection to the server.
    pub(crate) async fn connection(&self) -> tokio::net::TcpStream {
        tokio::net::TcpStream::connect(self.url.trim_start_matches("http://"))
            .await
            .unwrap()
    }

    /// Waits for heartbeats of each node on this database. After two of them, one has certainly
    /// begun after this call.
    pub(crate) async fn heartbeats(&self, count: usize) {
        let seen = async || -> HashMap<Uuid, DateTime<Utc>> {
            sqlx::query_as("select node_id, alive_until from nodes where ended_at is null")
                .fetch_all(&self.db)
                .await
                .unwrap()
                .into_iter()
                .collect()
        };
        for _ in 0..count {
            let before = seen().await;
            eventually("a heartbeat", async || {
                let now = seen().await;
                before
                    .iter()
                    .all(|(node, was)| now.get(node).is_none_or(|is| is != was))
            })
            .await;
        }
    }

    /// The process of a statement that waits for a lock, once there is one.
    pub(crate) async fn blocked_process(&self) -> i32 {
        let waiting = "select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
        let mut found = None;
        eventually("a statement waits", async || {
            found = sqlx::query_scalar(waiting)
                .fetch_optional(&self.db)
                .await
                .unwrap();
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    /// Makes the server read its certificate again.
    pub(crate) fn reads_certificate_again(&self) -> Result<bool, server::CertificateError> {
        self.running
            .lock()
            .unwrap()
            .as_ref()
            .unwrap()
            .read_certificate_again()
    }

    /// Stops the server.
    pub(crate) async fn stop(&self) {
        let running = self.running.lock().unwrap().take();
        if let Some(running) = running {
            running.stop().await;
        }
    }
}

/// The present moment, as the wire writes it.
pub(crate) fn now() -> String {
    at(TimeDelta::zero())
}

/// The moment at this distance from now, as the wire writes it.
pub(crate) fn at(distance: TimeDelta) -> String {
    (DateTime::<Utc>::from(std::time::SystemTime::now()) + distance)
        .format("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// Waits until something holds. Events are awaited; this is for changes made by other processes.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(Instant::now() < deadline, "{what} did not come true");
        // A sleep, as a database, a program or a file does not notify of changes.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A file beside the tests.
pub(crate) fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
