//! Files: an operation is 1 MiB, sent in one request or read in one, in each kind of store. Beside them,
//! messages that are sent while files flow, and what a plain handler and nginx take for the same.

use std::{
    ffi::OsStr,
    path::Path,
    sync::Arc,
    sync::atomic::{AtomicBool, Ordering},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use uuid::Uuid;

use super::{
    client::Client,
    cost::CostMeter,
    file_floor, file_flow,
    fixture::{Fixture, Needs},
    load::{self, Load},
    options::Bench,
    report::{Measurement, Results},
    requests::{self, Caller, Signer, UnsignedRequest},
    scratch::{interrupted, scratch_directory},
    target::Target,
    workload::Workload,
};
use crate::{
    settings::{FileStore, Settings},
    store::seed::Seeder,
};
use parlance_wire::{
    e2ee::sha256,
    id::FileId,
    request::file::{BodyHash, FileDigest, MAX_RECORDS, RECORD},
    signature::REQUEST_HEADER,
    time::Timestamp,
    version::ClientVersion,
};

/// Bytes of an operation.
pub(super) const PIECE: usize = 1 << 20;
/// Messages a second while files flow, and their number.
const MESSAGES: (f64, usize) = (200.0, 2000);
/// Connections over which they are sent.
const MESSENGERS: usize = 8;

/// Measures each store, and prints each row as soon as it is there.
///
/// # Errors
/// One sentence for people.
pub(super) async fn run(
    bench: &Bench,
    settings: &Settings,
    tell: &mut impl FnMut(&str) -> Result<(), String>,
) -> Result<Vec<Measurement>, String> {
    let dir = scratch_directory("parlance-bench-files")?;
    let result = tokio::select! {
        result = measure(bench, settings, &dir, tell) => result,
        () = interrupted() => Err("interrupted".into()),
    };
    // An error of the measurement matters more than what it leaves behind.
    let removed = tokio::fs::remove_dir_all(&dir).await;
    let rows = result?;
    removed.map_err(|error| format!("{} cannot be removed: {error}", dir.display()))?;
    Ok(rows)
}

async fn measure(
    bench: &Bench,
    settings: &Settings,
    dir: &Path,
    tell: &mut impl FnMut(&str) -> Result<(), String>,
) -> Result<Vec<Measurement>, String> {
    if !bench.json {
        tell(&format!("{}  (an operation is 1 MiB)", Measurement::head()))?;
    }
    let mut rows = vec![];
    let mut add = |more: Vec<Measurement>| {
        for row in more {
            let floor = ["nginx", "actix"].iter().find_map(|floor| {
                let (what, of) = row.name.split_once(", ")?;
                let name = format!("{what}, {floor}");
                let is_floor = ["nginx", "actix"].contains(&of);
                rows.iter()
                    .find(|row: &&Measurement| !is_floor && row.name == name)
            });
            let row = match floor {
                Some(floor) => row.beside(floor),
                None => row,
            };
            if !bench.json {
                tell(&row.line())?;
            }
            rows.push(row);
        }
        Ok::<_, String>(())
    };
    add(file_floor::actix(bench, dir).await?)?;
    add(file_floor::nginx(bench, dir).await?)?;
    let mut places = vec![
        ("postgres", FileStore::Postgres),
        ("directory", FileStore::Dir(dir.join("store"))),
    ];
    if let Some(FileStore::S3(bucket)) = &settings.file_store {
        let mut bucket = bucket.clone();
        // A store is one server's, and a scratch server is a new one.
        bucket.prefix = format!("bench-{}", Uuid::new_v4().simple());
        places.push(("s3", FileStore::S3(bucket)));
    }
    for (name, place) in places {
        add(of_store(bench, settings, name, &place).await?)?;
    }
    Ok(rows)
}

/// The rows of a store.
async fn of_store(
    bench: &Bench,
    settings: &Settings,
    name: &str,
    place: &FileStore,
) -> Result<Vec<Measurement>, String> {
    let place = place.to_string();
    let mut variables = vec![
        ("FILE_STORE", OsStr::new(&place)),
        ("MAX_FILE_BYTES", OsStr::new("4294967296")),
        ("FILE_QUOTA", OsStr::new("1000000000000")),
    ];
    if let Some(keys) = &settings.stores.s3_keys {
        variables.push(("AWS_ACCESS_KEY_ID", OsStr::new(&keys.id)));
        variables.push(("AWS_SECRET_ACCESS_KEY", OsStr::new(&keys.secret)));
        variables.push(("AWS_REGION", OsStr::new(&keys.region)));
    }
    // What the floors have left in the system's cache would be written in the middle of a measurement.
    tokio::task::spawn_blocking(nix::unistd::sync)
        .await
        .map_err(|error| error.to_string())?;
    let target = Target::scratch(None, settings, &variables).await?;
    let measured = measure_store(bench, &target, name).await;
    target.leave().await?;
    measured
}

async fn measure_store(
    bench: &Bench,
    target: &Target,
    name: &str,
) -> Result<Vec<Measurement>, String> {
    let mut seed = Seeder::connect(&target.db)
        .await
        .map_err(|error| error.to_string())?;
    let backend = seed.backend().await.map_err(|error| error.to_string())?;
    let signer = Signer::new(&target.host)?;
    let needs = Needs {
        long: false,
        short_lists: false,
        long_lists: false,
    };
    let fixture = Fixture::create(&target.db, bench, needs, &signer).await?;
    let connections = bench
        .connections
        .map_or(Workload::Files.connections(), usize::from);
    let operations = bench.operations.unwrap_or(Workload::Files.operations());
    let pieces = (operations / connections).max(1);
    let files = Files {
        target,
        signer: &signer,
        fixture: &fixture,
        meter: CostMeter::of(target.process().await, backend),
        body: body(),
    };
    let load = Load {
        connections,
        rate: bench.rate,
        operations: connections * pieces,
    };
    let (mut up, mut down) = (vec![], vec![]);
    // The first one opens connections and plans statements.
    for run in 0..=bench.runs {
        let uploads = files.begin(connections, pieces).await?;
        let one = files.once(load, files.puts(&uploads)?, &mut seed).await?;
        files.complete(&uploads).await?;
        let other = files.once(load, files.gets(&uploads)?, &mut seed).await?;
        if run > 0 {
            up.push(one);
            down.push(other);
        }
    }
    let alone = files.messages(bench.bytes).await?;
    let beside = files.messages_beside_files(bench.bytes, pieces)?;
    let [many_up, many_down] = file_flow::many(&files).await?;
    let slow = file_flow::slow_and_stalled(&files).await?;
    let mut rows = vec![
        Measurement::median(format!("up, {name}"), connections, &up),
        Measurement::median(format!("down, {name}"), connections, &down),
        Measurement::median(format!("messages alone, {name}"), MESSENGERS, &[alone]),
        Measurement::median(format!("messages beside, {name}"), MESSENGERS, &[beside]),
        Measurement::median(
            format!("20 x 100 MiB up, {name}"),
            file_flow::MANY,
            &[many_up],
        ),
        Measurement::median(
            format!("20 x 100 MiB down, {name}"),
            file_flow::MANY,
            &[many_down],
        ),
    ];
    rows.extend(
        slow.map(|(what, results)| Measurement::median(format!("{what}, {name}"), 1, &[results])),
    );
    Ok(rows)
}

/// The bytes of an operation; what they are does not matter.
pub(super) fn body() -> Vec<u8> {
    sha256(&[b"a body"])
        .into_iter()
        .cycle()
        .take(PIECE)
        .collect()
}

/// A store that is measured.
pub(super) struct Files<'a> {
    pub target: &'a Target,
    signer: &'a Signer,
    fixture: &'a Fixture,
    pub meter: CostMeter,
    body: Vec<u8>,
}

/// A file that is sent, and read.
#[derive(Clone, Copy)]
pub(super) struct Upload {
    caller: Caller,
    file: FileId,
    /// Its size, in operations.
    pub pieces: usize,
}

fn asked(caller: Caller, mut fields: serde_json::Value) -> UnsignedRequest {
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("clientversioncode".into(), ClientVersion::V4.code().into());
        // As clients of version 4 send one.
        let nonce = Uuid::new_v4().simple().to_string();
        fields.insert("nonce".into(), nonce.into());
    }
    UnsignedRequest {
        caller,
        api: "chatfileserver",
        fields,
    }
}

/// All pieces of files of the same size, the first one of each first.
fn pieces(uploads: &[Upload]) -> impl Iterator<Item = (&Upload, usize)> {
    let of_each = uploads.first().map_or(0, |upload| upload.pieces);
    (0..of_each).flat_map(move |piece| uploads.iter().map(move |upload| (upload, piece)))
}

impl Files<'_> {
    async fn ask(&self, caller: Caller, fields: serde_json::Value) -> Result<(), String> {
        let request = self
            .signer
            .request(asked(caller, fields), Timestamp::now())?;
        let failed = |error: std::io::Error| error.to_string();
        let mut client = Client::connect(self.target.address).await.map_err(failed)?;
        match client.ask(&request).await.map_err(failed)? {
            None => Ok(()),
            Some(code) => Err(format!("a file could not be made: {code}")),
        }
    }

    /// Begins a file of so many pieces of each of so many users.
    pub(super) async fn begin(&self, count: usize, pieces: usize) -> Result<Vec<Upload>, String> {
        let mut uploads = vec![];
        for number in 0..count {
            let found = self.fixture.of_many(number, 0);
            let (caller, pair) = found.ok_or("there are no conversations")?;
            let id = Uuid::new_v4().to_string();
            let create = json!({
                "action": "create", "conversationid": pair.conversation_id,
                "instance": self.fixture.instance, "fileid": id, "size": pieces * PIECE,
            });
            self.ask(caller, create).await?;
            let file = FileId::parse(&id).ok_or("an id that is none")?;
            uploads.push(Upload {
                caller,
                file,
                pieces,
            });
        }
        Ok(uploads)
    }

    pub(super) async fn complete(&self, uploads: &[Upload]) -> Result<(), String> {
        let record = usize::try_from(RECORD).map_err(|error| error.to_string())?;
        let hashes: Vec<u8> = self
            .body
            .chunks(record)
            .flat_map(|record| sha256(&[record]))
            .collect();
        for upload in uploads {
            let digest = FileDigest::of(&hashes.repeat(upload.pieces));
            let complete = json!({ "action": "complete", "fileid": upload.file, "digest": digest });
            self.ask(upload.caller, complete).await?;
        }
        Ok(())
    }

    /// The request that sends a piece of a file.
    pub(super) fn put(&self, upload: &Upload, piece: usize) -> Result<Vec<u8>, String> {
        let records = usize::try_from(MAX_RECORDS).map_err(|error| error.to_string())?;
        let put = json!({
            "action": "put", "fileid": upload.file, "record": piece * records,
            "sha256": BodyHash::of(&self.body), "length": PIECE,
        });
        let (json, headers) = self
            .signer
            .sign(asked(upload.caller, put), Timestamp::now())?;
        let mut request = format!(
            "POST /?srv=chatserver&api=chatfileserver HTTP/1.1\r\n{headers}{REQUEST_HEADER}: {}\r\nContent-Length: {PIECE}\r\n\r\n",
            URL_SAFE_NO_PAD.encode(json)
        )
        .into_bytes();
        request.extend_from_slice(&self.body);
        Ok(request)
    }

    /// The request that reads a piece of a file.
    pub(super) fn get(&self, upload: &Upload, piece: usize) -> Result<Vec<u8>, String> {
        let (first, last) = (piece * PIECE, (piece + 1) * PIECE - 1);
        self.get_range(upload, &format!("bytes={first}-{last}"))
    }

    /// The request that reads a part of a file.
    pub(super) fn get_range(&self, upload: &Upload, range: &str) -> Result<Vec<u8>, String> {
        let Upload { caller, file, .. } = upload;
        let get = json!({ "action": "get", "fileid": file });
        let (json, headers) = self.signer.sign(asked(*caller, get), Timestamp::now())?;
        let request = format!(
            "GET /file/{file} HTTP/1.1\r\n{headers}{REQUEST_HEADER}: {}\r\nRange: {range}\r\n\r\n",
            URL_SAFE_NO_PAD.encode(json)
        );
        Ok(request.into_bytes())
    }

    /// The requests that send files.
    fn puts(&self, uploads: &[Upload]) -> Result<Vec<Vec<u8>>, String> {
        let put = |(upload, piece)| self.put(upload, piece);
        pieces(uploads).map(put).collect()
    }

    /// The requests that read files.
    fn gets(&self, uploads: &[Upload]) -> Result<Vec<Vec<u8>>, String> {
        let get = |(upload, piece)| self.get(upload, piece);
        pieces(uploads).map(get).collect()
    }

    async fn once(
        &self,
        load: Load,
        requests: Vec<Vec<u8>>,
        seed: &mut Seeder,
    ) -> Result<Results, String> {
        let failed = |error: sqlx::Error| error.to_string();
        let wal = seed.wal().await.map_err(failed)?;
        let mut before = self.meter.cpu();
        let begin = || {
            self.meter.reset_peak();
            before = self.meter.cpu();
        };
        let tally = load::run(self.target.address, load, Arc::new(requests), begin).await?;
        let mut results = Results::of(&tally, self.meter.cpu().since(before));
        let wal = seed.wal().await.map_err(failed)? - wal;
        #[expect(
            clippy::cast_precision_loss,
            reason = "a run writes far less than 2^52 bytes"
        )]
        let each = wal as f64 / load.operations as f64;
        results.wal_bytes = Some(each);
        results.server_peak_kb = self.meter.server_peak().map(kb);
        results.postgres_kb = self.meter.postgres_memory().map(kb);
        Ok(results)
    }

    /// Messages at a steady pace.
    async fn messages(&self, bytes: usize) -> Result<Results, String> {
        let (rate, operations) = MESSAGES;
        let found = self.fixture.of_many(0, 0);
        let (caller, pair) = found.ok_or("there are no conversations")?;
        let instance = &self.fixture.instance;
        let add = |_| requests::add(caller, pair.conversation_id, instance, bytes);
        let messages = self.signer.requests(operations, add)?;
        let load = Load {
            connections: MESSENGERS,
            rate: Some(rate),
            operations,
        };
        let mut before = self.meter.cpu();
        let begin = || before = self.meter.cpu();
        let tally = load::run(self.target.address, load, Arc::new(messages), begin).await?;
        Ok(Results::of(&tally, self.meter.cpu().since(before)))
    }

    /// The same, while two files are sent, and then read, again and again. Both have a thread each: signing the
    /// requests of a file takes a thread a tenth of a second, which the messages on it would wait for.
    fn messages_beside_files(&self, bytes: usize, pieces: usize) -> Result<Results, String> {
        let has_ended = AtomicBool::new(false);
        let flow = async || {
            let load = Load {
                connections: 2,
                rate: None,
                operations: 2 * pieces,
            };
            while !has_ended.load(Ordering::Relaxed) {
                let uploads = self.begin(load.connections, pieces).await?;
                let send = Arc::new(self.puts(&uploads)?);
                load::run(self.target.address, load, send, || ()).await?;
                self.complete(&uploads).await?;
                let read = Arc::new(self.gets(&uploads)?);
                load::run(self.target.address, load, read, || ()).await?;
            }
            Ok::<_, String>(())
        };
        std::thread::scope(|scope| {
            let flow = scope.spawn(|| block_on(flow()));
            let messages = scope.spawn(|| block_on(self.messages(bytes)));
            let results = messages.join().map_err(|_| "messages: a panic")?;
            has_ended.store(true, Ordering::Relaxed);
            flow.join().map_err(|_| "files: a panic")??;
            results
        })
    }
}

/// Runs a future on a thread that has no runtime yet.
fn block_on<T>(future: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(future)
}

#[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 KB")]
pub(super) fn kb(memory: u64) -> f64 {
    memory as f64
}
