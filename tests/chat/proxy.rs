//! A proxy between a server and its PostgreSQL, which counts round trips, cuts connections, and
//! loses answers.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use parlance::settings::{Database, Settings};
use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::broadcast,
};

use crate::world::{World, database, settings, socket_dir};

const SOCKET: &str = ".s.PGSQL.5432";
const SSL_REQUEST: [u8; 4] = 80_877_103_u32.to_be_bytes();

/// The state of a proxy.
pub(crate) struct Proxy {
    dir: tempfile::TempDir,
    state: Arc<State>,
}

struct State {
    round_trips: AtomicUsize,
    connections: AtomicUsize,
    is_cut: AtomicBool,
    loses_next_answer: AtomicBool,
    is_silent: AtomicBool,
    cut: broadcast::Sender<()>,
}

impl Proxy {
    /// Starts a proxy between clients that use [`Proxy::options`] and the PostgreSQL at `upstream`.
    pub(crate) fn start(upstream: &Path) -> Self {
        let state = Arc::new(State {
            round_trips: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            is_cut: AtomicBool::new(false),
            loses_next_answer: AtomicBool::new(false),
            is_silent: AtomicBool::new(false),
            cut: broadcast::channel(1).0,
        });
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(SOCKET)).unwrap();
        let (shared, upstream) = (state.clone(), upstream.join(SOCKET));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !shared.is_cut.load(Ordering::SeqCst) {
                    shared.connections.fetch_add(1, Ordering::SeqCst);
                    let server = UnixStream::connect(&upstream).await.unwrap();
                    tokio::spawn(shared.clone().carry(client, server));
                }
            }
        });
        Self { dir, state }
    }

    /// The options for the same database through the proxy.
    pub(crate) fn options(&self, options: &PgConnectOptions) -> PgConnectOptions {
        options.clone().socket(self.dir.path())
    }

    /// Number of times that a client has waited for an answer.
    pub(crate) fn round_trips(&self) -> usize {
        self.state.round_trips.load(Ordering::SeqCst)
    }

    /// Number of connections opened so far.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Cuts all connections, and refuses new ones.
    pub(crate) fn cut(&self) {
        self.state.is_cut.store(true, Ordering::SeqCst);
        let _ = self.state.cut.send(());
    }

    /// Accepts connections again.
    pub(crate) fn mend(&self) {
        self.state.is_cut.store(false, Ordering::SeqCst);
    }

    /// Existing connections stay open, but transfer nothing any more; new ones work.
    pub(crate) fn fall_silent(&self) {
        self.state.is_silent.store(true, Ordering::SeqCst);
        let _ = self.state.cut.send(());
    }

    /// Executes the next statement, but cuts its connection before the answer.
    pub(crate) fn lose_next_answer(&self) {
        self.state.loses_next_answer.store(true, Ordering::SeqCst);
    }
}

impl State {
    async fn carry(self: Arc<Self>, client: UnixStream, server: UnixStream) {
        let mut cut = self.cut.subscribe();
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let requests = async {
            let mut is_greeting = true;
            loop {
                // Packets of the startup phase have no type.
                let kind = if is_greeting {
                    None
                } else {
                    Some(from_client.read_u8().await?)
                };
                let length = from_client.read_u32().await?;
                let mut rest = vec![0; length as usize - 4];
                from_client.read_exact(&mut rest).await?;
                if let Some(kind) = kind {
                    to_server.write_u8(kind).await?;
                } else {
                    is_greeting = rest == SSL_REQUEST;
                }
                to_server.write_u32(length).await?;
                to_server.write_all(&rest).await?;
                // A Sync requests an answer, and so does a simple query.
                if matches!(kind, Some(b'S' | b'Q')) {
                    self.round_trips.fetch_add(1, Ordering::SeqCst);
                    if self.loses_next_answer.swap(false, Ordering::SeqCst) {
                        return Ok::<_, std::io::Error>(true);
                    }
                }
            }
        };
        let answers = tokio::io::copy(&mut from_server, &mut to_client);
        let lose = tokio::select! {
            lose = requests => lose.unwrap_or(false),
            _ = answers => false,
            _ = cut.recv() => {
                if self.is_silent.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                false
            }
        };
        if lose {
            // The client is gone, but the statement has to finish before the server's side is
            // closed.
            drop((from_client, to_client));
            let mut sink = vec![0; 65536];
            let _ = from_server.read(&mut sink).await;
        }
    }
}

/// A world whose server connects to its database through a proxy.
pub(crate) async fn behind_a_proxy(change: impl FnOnce(&mut Settings)) -> (Arc<World>, Proxy) {
    let options = database().await;
    let proxy = Proxy::start(&socket_dir());
    let mut settings = settings();
    change(&mut settings);
    settings.database = Database::Given(Box::new(proxy.options(&options)));
    (World::start(settings, options).await, proxy)
}
