//! A world for a test: a server as production starts it, on a database of its own, and people who
//! use it over the wire.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::Duration,
};

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use parlance::{
    server::{self, Running},
    settings::{Database, LogFormat, Registration, Settings},
    store::{self, Db, doctor},
    timings::Timings,
};
use parlance_wire::{id::UserId, text::Email};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, postgres::PgConnectOptions};
use uuid::Uuid;

/// One PostgreSQL for all tests, started by the code that starts the embedded one. It runs in a
/// thread of its own, and goes when the process goes.
static CLUSTER: LazyLock<PgConnectOptions> = LazyLock::new(|| {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            clean_up();
            let mut settings = settings();
            settings.data_dir =
                std::env::temp_dir().join(format!("{DIRECTORY}{}", std::process::id()));
            settings.database_connections = 300;
            let (db, embedded) = store::embedded::open(&settings).await.unwrap();
            store::migrate(&db).await.unwrap();
            db.close().await;
            let embedded = embedded.unwrap();
            tell.send(PgConnectOptions::from_str(embedded.url()).unwrap())
                .unwrap();
            std::future::pending::<()>().await;
        });
    });
    told.recv().unwrap()
});

const DIRECTORY: &str = "parlance-test-";

/// Removes what earlier runs left: their PostgreSQL ended after they did.
fn clean_up() {
    for entry in std::fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
        let is_old = entry.file_name().to_string_lossy().starts_with(DIRECTORY)
            && std::fs::File::open(entry.path().join("lock"))
                .is_ok_and(|lock| lock.try_lock().is_ok());
        if is_old && !entry.path().join("postgres/postmaster.pid").exists() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// The settings of a test: the defaults, but small, and open to registration.
pub(crate) fn settings() -> Settings {
    Settings {
        listen_addr: "127.0.0.1:0".parse().unwrap(),
        public_url: "http://127.0.0.1:0".into(),
        database: Database::Embedded,
        database_connections: 4,
        data_dir: PathBuf::from("unused"),
        pg_bin: None,
        registration: Registration::Open,
        message_lifetime: TimeDelta::days(7),
        expiry_grace: TimeDelta::days(7),
        max_message_bytes: 64 * 1024,
        max_body_bytes: 1024 * 1024,
        signature_window: TimeDelta::minutes(5),
        login_tries: 10,
        registrations: 1000,
        bad_signatures: 600,
        trusted_proxies: vec![],
        allow_unsigned_notifications: false,
        requests_per_user: 32,
        sockets_per_user: 20,
        sockets: 1000,
        nats_url: None,
        tls: None,
        metrics_addr: None,
        workers: 1,
        log_format: LogFormat::Human,
        timings: Timings::default(),
        conversations_per_user: 1000,
        new_conversations_per_day: 100,
    }
}

/// A database of a test's own, made from the migrated template.
pub(crate) async fn database() -> PgConnectOptions {
    copy_of("parlance").await
}

/// A database for one test, which no server has used yet.
pub(crate) async fn empty_database() -> PgConnectOptions {
    copy_of("template0").await
}

async fn copy_of(template: &str) -> PgConnectOptions {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let cluster = &*CLUSTER;
    let mut admin = PgConnection::connect_with(&cluster.clone().database("postgres"))
        .await
        .unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!(
        "create database {name} template {template}"
    )))
    .execute(&mut admin)
    .await
    .unwrap();
    cluster.clone().database(&name)
}

/// The process of the test cluster's PostgreSQL.
pub(crate) fn postmaster() -> i32 {
    let file = socket_dir()
        .with_file_name("postgres")
        .join("postmaster.pid");
    std::fs::read_to_string(file)
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

/// The directory of the test cluster's socket.
pub(crate) fn socket_dir() -> PathBuf {
    CLUSTER.get_socket().cloned().unwrap()
}

/// A server, its database, and a client.
pub(crate) struct World {
    running: Mutex<Option<Running>>,
    pub db: PgPool,
    /// The database, for what is called behind the wire.
    pub store: Db,
    pub url: String,
    http: reqwest::Client,
}

impl World {
    pub(crate) async fn new() -> Arc<Self> {
        Self::with(|_| ()).await
    }

    /// With other settings than the usual ones.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Arc<Self> {
        let options = database().await;
        let mut settings = settings();
        settings.database = Database::Given(Box::new(options.clone()));
        change(&mut settings);
        Self::on(settings, options).await
    }

    /// With a server on settings that are complete; `options` is the test's own way to the database.
    pub(crate) async fn on(settings: Settings, options: PgConnectOptions) -> Arc<Self> {
        let running = server::start(settings).await.unwrap();
        let world = Self::at(&format!("http://{}", running.address), options);
        *world.running.lock().unwrap() = Some(running);
        world
    }

    /// What a server that runs elsewhere serves, from its database.
    pub(crate) fn at(url: &str, options: PgConnectOptions) -> Arc<Self> {
        let (store, url) = (Db::new(options.clone(), 2), url.to_owned());
        let db = sqlx::postgres::PgPoolOptions::new()
            .max_connections(2)
            .connect_lazy_with(options);
        Arc::new(Self {
            running: Mutex::new(None),
            db,
            store,
            url,
            http: reqwest::Client::new(),
        })
    }

    /// A person who has registered and logged in, from one station.
    pub(crate) async fn person(self: &Arc<Self>, name: &str) -> Person {
        let email = format!("{}@example.org", name.to_lowercase());
        let key = key(name);
        let public_key = public_key(&key);
        let person = Person {
            world: self.clone(),
            name: name.to_owned(),
            user: UserId::of(&Email::parse(&email).unwrap()).to_string(),
            station: Uuid::new_v4().simple().to_string(),
            key,
        };
        let apikey = format!("the apikey of {name}");
        let request = json!({ "action": "register", "email": email, "fullname": format!("{name} Example"), "nick": name, "apikey": apikey, "publickey": public_key, "rsakey": "opaque" });
        let registered = self
            .posts("chatserver", "chatlogin", &[], &request.to_string())
            .await;
        assert!([200, 409].contains(&registered.status), "{registered:?}");
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
    pub(crate) async fn talk(self: &Arc<Self>) -> (Person, Person, Talk) {
        let (ann, ben) = self.friends().await;
        let talk = ann.creates(&ben).await;
        (ann, ben, talk)
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

    /// Asks with another method, or at another path.
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

    /// How many rows a table has.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {table}")))
            .fetch_one(&self.db)
            .await
            .unwrap()
    }

    /// Runs a statement on the database, behind the server's back.
    pub(crate) async fn sql(&self, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
            .execute(&self.db)
            .await
            .unwrap();
    }

    /// Stops the server and checks what must hold of any database that it leaves behind.
    pub(crate) async fn end(&self) {
        let wrong = doctor::examine(&self.store).await.unwrap();
        assert!(wrong.is_empty(), "{wrong:#?}");
        self.db.close().await;
        self.stop().await;
    }

    /// How many messages and reports wait to be stored.
    pub(crate) fn waiting(&self) -> usize {
        self.running.lock().unwrap().as_ref().unwrap().waiting()
    }

    /// Another server on the same database.
    pub(crate) async fn another(&self) -> Arc<Self> {
        self.another_with(|_| ()).await
    }

    /// As [`World::another`], with other settings than the usual ones.
    pub(crate) async fn another_with(&self, change: impl FnOnce(&mut Settings)) -> Arc<Self> {
        let options = self.store.options().clone();
        let mut settings = settings();
        change(&mut settings);
        settings.database = Database::Given(Box::new(options.clone()));
        Self::on(settings, options).await
    }

    /// A connection to the server.
    pub(crate) async fn connection(&self) -> tokio::net::TcpStream {
        tokio::net::TcpStream::connect(self.url.trim_start_matches("http://"))
            .await
            .unwrap()
    }

    /// Has the server read its certificate again.
    pub(crate) fn reads_certificate_again(&self) -> Result<bool, String> {
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

/// A conversation, as one of its participants knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Talk {
    pub id: String,
    pub instance: String,
}

/// Someone with a key, at a station.
#[derive(Clone)]
pub(crate) struct Person {
    pub world: Arc<World>,
    pub name: String,
    pub user: String,
    pub station: String,
    pub key: Arc<KeyPair>,
}

impl Person {
    /// The same person at another station, logged in.
    pub(crate) async fn elsewhere(&self) -> Self {
        let other = Self {
            station: Uuid::new_v4().simple().to_string(),
            ..self.clone()
        };
        other.logs_in().await;
        other
    }

    pub(crate) async fn logs_in(&self) {
        let body = json!({ "action": "login", "apikey": format!("the apikey of {}", self.name) })
            .to_string();
        self.world
            .posts(
                "chatserver",
                "chatlogin",
                &[("Ozeki-Station", &self.station)],
                &body,
            )
            .await
            .is_ok();
    }

    /// Asks something of chatserver, signed, as a published client does.
    pub(crate) async fn asks(&self, api: &str, fields: Value) -> Answer {
        self.asks_as(3, api, fields).await
    }

    /// As [`Person::asks`], with a client of another version.
    pub(crate) async fn asks_as(&self, version: i64, api: &str, mut fields: Value) -> Answer {
        fields["clientversioncode"] = version.into();
        fields["timestamp"] = now().into();
        self.sends("chatserver", api, &fields.to_string()).await
    }

    /// Signs a body as it stands, and sends it.
    pub(crate) async fn sends(&self, srv: &str, api: &str, body: &str) -> Answer {
        let signature = self.signs(srv, api, body);
        let headers = [
            ("Ozeki-User", &*self.user),
            ("Ozeki-Station", &*self.station),
            ("Ozeki-Signature", &*signature),
        ];
        self.world.posts(srv, api, &headers, body).await
    }

    /// A signed request, byte by byte, for what a well-behaved client does not do.
    pub(crate) fn request(&self, version: i64, api: &str, mut fields: Value) -> Vec<u8> {
        fields["clientversioncode"] = version.into();
        fields["timestamp"] = now().into();
        let body = fields.to_string();
        let signature = self.signs("chatserver", api, &body);
        format!(
            "POST /?srv=chatserver&api={api} HTTP/1.1\r\nHost: x\r\nOzeki-User: {}\r\nOzeki-Station: {}\r\n\
             Ozeki-Signature: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
            self.user,
            self.station,
            body.len()
        )
        .into_bytes()
    }

    pub(crate) fn signs(&self, srv: &str, api: &str, body: &str) -> String {
        sign(
            &self.key,
            &format!("{srv}\n{api}\n{}\n{}\n{body}", self.user, self.station),
        )
    }

    pub(crate) async fn befriends(&self, other: &Self) {
        self.asks(
            "chatfriends",
            json!({ "action": "add", "friendid": other.user }),
        )
        .await
        .is_ok();
        other
            .asks(
                "chatfriends",
                json!({ "action": "accept", "friendid": self.user }),
            )
            .await
            .is_ok();
    }

    /// Creates the direct conversation with a friend.
    pub(crate) async fn creates(&self, other: &Self) -> Talk {
        let answer = self.asks("chatconversation", self.creation(other)).await;
        Talk::of(&answer.is_ok()["conversation"])
    }

    /// What [`Person::creates`] asks.
    pub(crate) fn creation(&self, other: &Self) -> Value {
        let secrets = HashMap::from([
            (&self.user, format!("secret for {}", self.name)),
            (&other.user, format!("secret for {}", other.name)),
        ]);
        let names = HashMap::from([
            (&self.user, format!("name for {}", self.name)),
            (&other.user, format!("name for {}", other.name)),
        ]);
        json!({ "action": "create", "participantid": other.user, "secrets": secrets, "displaynames": names })
    }

    /// Asks something of a conversation; with its instance, which most actions want.
    pub(crate) async fn does(&self, action: &str, talk: &Talk, fields: Value) -> Answer {
        self.asks("chatconversation", on(action, talk, fields))
            .await
    }

    /// Adds a message; answers its id.
    pub(crate) async fn adds(&self, talk: &Talk, data: &str) -> String {
        let message = message(data);
        self.does("add", talk, json!({ "message": message.to_string() }))
            .await
            .is_ok();
        message["ID"].as_str().unwrap().to_owned()
    }

    /// Says that messages were seen.
    pub(crate) async fn views(&self, talk: &Talk, ids: &[String]) -> Answer {
        let report = json!({ "action": "viewed", "conversationid": talk.id, "instance": talk.instance, "messageids": ids });
        self.asks("chatreports", report).await
    }

    /// All messages and reports, from the beginning.
    pub(crate) async fn reads(&self, talk: &Talk) -> Value {
        self.does("download", talk, json!({})).await.is_ok()
    }

    /// All messages, however many there are: page by page.
    pub(crate) async fn reads_all(&self, talk: &Talk) -> Vec<Value> {
        let mut all: Vec<Value> = vec![];
        loop {
            let cursor =
                json!({ "firstmessageid": all.last().map(|message| message["ID"].clone()) });
            let page = self.does("download", talk, cursor).await.is_ok();
            // The first row is the cursor's own.
            let new = page["messages"]
                .as_array()
                .unwrap()
                .iter()
                .skip(usize::from(!all.is_empty()))
                .cloned();
            let before = all.len();
            all.extend(new);
            if all.len() == before {
                return all;
            }
        }
    }

    /// What the station has yet to hear. It shows that it has what it heard before, whatever connection is used.
    pub(crate) async fn hears(&self) -> News {
        static RECEIPTS: LazyLock<Mutex<HashMap<(String, String), Value>>> =
            LazyLock::new(Mutex::default);
        let listener = (self.world.url.clone(), self.station.clone());
        let received = RECEIPTS.lock().unwrap().get(&listener).cloned();
        let answer = self
            .asks_as(
                4,
                "chatnotification",
                json!({ "action": "download", "received": received }),
            )
            .await
            .is_ok();
        RECEIPTS
            .lock()
            .unwrap()
            .insert(listener, answer["receipt"].clone());
        let ids = |field: &str| {
            answer[field]
                .as_array()
                .unwrap()
                .iter()
                .map(|id| id.as_str().unwrap().to_owned())
                .collect()
        };
        News {
            conversations: ids("conversationchangedof"),
            lists: ids("conversationlistchangedof"),
            friends: ids("friendavailabilitesof"),
        }
    }

    /// The conversation, as this person's list shows it.
    pub(crate) async fn sees(&self, talk: &Talk) -> Value {
        let list = self
            .asks("chatconversation", json!({ "action": "list" }))
            .await
            .is_ok();
        let found = list["conversations"]
            .as_array()
            .unwrap()
            .iter()
            .find(|c| c["id"] == talk.id.as_str())
            .cloned();
        found.unwrap_or_else(|| panic!("{} does not see {talk:?}", self.name))
    }

    /// Says so before any socket is opened, so that one that is opened is no news.
    pub(crate) async fn is_available(&self) {
        self.asks("chatavailability", json!({ "action": "useravailable" }))
            .await
            .is_ok();
    }

    /// How available their only friend is, as their list shows it.
    pub(crate) async fn friend_is(&self) -> String {
        let list = self
            .asks("chatfriends", json!({ "action": "list" }))
            .await
            .is_ok();
        list["availabilities"][0]["availability"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Waits until their only friend is as available as this.
    pub(crate) async fn sees_friend(&self, availability: &str) {
        eventually(availability, async || {
            self.friend_is().await == availability
        })
        .await;
    }

    /// Listens from now on: a station's first answer always names the caller.
    pub(crate) async fn listens(&self) {
        assert_eq!(self.hears().await.lists, [self.user.clone()]);
    }
}

/// What a station hears.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    pub conversations: Vec<String>,
    pub lists: Vec<String>,
    pub friends: Vec<String>,
}

impl Talk {
    pub(crate) fn of(conversation: &Value) -> Self {
        Self {
            id: conversation["id"].as_str().unwrap().to_owned(),
            instance: conversation["instance"].as_str().unwrap().to_owned(),
        }
    }
}

/// An action on a conversation, with its instance.
pub(crate) fn on(action: &str, talk: &Talk, mut fields: Value) -> Value {
    fields["action"] = action.into();
    fields["conversationid"] = talk.id.clone().into();
    fields["instance"] = talk.instance.clone().into();
    fields
}

/// A new message, as a client makes it.
pub(crate) fn message(data: &str) -> Value {
    json!({ "ID": Uuid::new_v4().to_string(), "Type": "Message", "Created": now(), "ValidUntil": at(TimeDelta::days(7)), "Data": data })
}

/// The present moment, as the wire writes it.
pub(crate) fn now() -> String {
    at(TimeDelta::zero())
}

/// A moment so far from now, as the wire writes it.
pub(crate) fn at(distance: TimeDelta) -> String {
    (DateTime::<Utc>::from(std::time::SystemTime::now()) + distance)
        .format("%Y-%m-%d %H:%M:%S")
        .to_string()
}

pub(crate) fn sign(key: &KeyPair, text: &str) -> String {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        text.as_bytes(),
        &mut signature,
    )
    .unwrap();
    STANDARD.encode(signature)
}

/// The key of someone of this name, made once.
pub(crate) fn key(name: &str) -> Arc<KeyPair> {
    static KEYS: LazyLock<Mutex<HashMap<String, Arc<KeyPair>>>> = LazyLock::new(Mutex::default);
    let mut keys = KEYS.lock().unwrap();
    keys.entry(name.to_owned())
        .or_insert_with(|| Arc::new(KeyPair::generate(KeySize::Rsa2048).unwrap()))
        .clone()
}

pub(crate) fn public_key(key: &KeyPair) -> String {
    let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    STANDARD.encode(der.as_ref())
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self {
            status,
            headers,
            text: response.text().await.unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// It is a good answer.
    #[track_caller]
    pub(crate) fn is_ok(&self) -> Value {
        let json = self.json();
        assert_eq!(
            (self.status, &json["status"], &json["errormessage"]),
            (200, &json!("OK"), &json!("")),
            "{}",
            self.text
        );
        json
    }

    /// It is this refusal.
    #[track_caller]
    pub(crate) fn is_refused(&self, status: u16, code: &str) -> Value {
        let json = self.json();
        assert_eq!(
            (self.status, &json["status"], &json["errorcode"]),
            (status, &json!("ERROR"), &json!(code)),
            "{}",
            self.text
        );
        assert!(
            json["errormessage"]
                .as_str()
                .is_some_and(|sentence| !sentence.is_empty()),
            "{}",
            self.text
        );
        assert!(self.headers.contains_key("X-Request-Id"));
        json
    }
}

/// Waits until something holds. Events are awaited; this is for what other processes do.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(
            std::time::Instant::now() < deadline,
            "{what} did not come true"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A file beside the tests.
pub(crate) fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
