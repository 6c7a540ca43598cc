//! Files that flow: many at once, which the server must not hold in memory; over a slow line, which has to
//! come to an end; and ones that stop, whose senders and readers have to be dropped.

use std::{
    collections::BTreeMap,
    io,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    client::Client,
    files::{Files, PIECE, Upload, kb},
    load::Tally,
    report::Results,
};

/// Files that are sent, and read, at once.
pub(super) const MANY: usize = 20;
/// Operations of each: 100 MiB.
const PIECES: usize = 100;
/// A line of 64 kbit a second: so many bytes each time.
const SLOW: (usize, Duration) = (800, Duration::from_millis(100));
/// The buffer of a connection that sends slowly, or stops, so that it is the server that has to wait.
const BUFFER: u32 = 4096;
/// That of one that reads slowly, as large as a real one's at least. Linux takes a reader whose window is smaller than
/// what it has ready to send for one that has stopped, however steadily it reads.
const READING: u32 = 64 << 10;
/// Bytes of a segment over an Ethernet line.
#[cfg(target_os = "linux")]
const SEGMENT: u32 = 1460;
/// Operations of a file that nobody reads: more than lies in buffers.
const STALLED_PIECES: usize = 64;
/// What writing to a connection says that the server has dropped.
const GONE: [io::ErrorKind; 2] = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
/// How often to look whether the server has dropped a connection.
const PROBE: Duration = Duration::from_millis(500);
/// How long any of it may take: less than a signed request is good for.
const AT_MOST: Duration = Duration::from_mins(4);

/// Sends 20 files of 100 MiB at once, and reads them.
pub(super) async fn many(files: &Files<'_>) -> Result<[Results; 2], String> {
    let uploads = files.begin(MANY, PIECES).await?;
    let up = at_once(files, &uploads, |upload, piece| files.put(upload, piece)).await?;
    files.complete(&uploads).await?;
    let down = at_once(files, &uploads, |upload, piece| files.get(upload, piece)).await?;
    Ok([up, down])
}

/// Each file over a connection of its own. Requests are made when they are sent: all of them would take
/// gigabytes.
async fn at_once(
    files: &Files<'_>,
    uploads: &[Upload],
    request: impl Fn(&Upload, usize) -> Result<Vec<u8>, String>,
) -> Result<Results, String> {
    let failed = |error: io::Error| error.to_string();
    let clients = uploads
        .iter()
        .map(|_| Client::connect(files.target.address));
    let clients = try_join_all(clients).await.map_err(failed)?;
    files.meter.reset_peak();
    let (before, begun) = (files.meter.cpu(), Instant::now());
    let request = &request;
    let flows = uploads
        .iter()
        .zip(clients)
        .map(|(upload, mut client)| async move {
            let mut answers = vec![];
            for piece in 0..upload.pieces {
                let request = request(upload, piece)?;
                let sent = Instant::now();
                let refusal = client.ask(&request).await.map_err(failed)?;
                answers.push((sent.elapsed(), refusal));
            }
            Ok::<_, String>(answers)
        });
    let answers = try_join_all(flows).await?;
    let mut tally = Tally::new()?;
    tally.took = begun.elapsed();
    for (latency, refusal) in answers.into_iter().flatten() {
        tally.count(latency, refusal);
    }
    let mut results = Results::of(&tally, files.meter.cpu().since(before));
    results.server_peak_kb = files.meter.server_peak().map(kb);
    results.postgres_kb = files.meter.postgres_memory().map(kb);
    Ok(results)
}

/// A piece over a slow line, each way; and how long it takes until somebody is dropped who stops sending, or
/// reading. All at once, as they take minutes.
pub(super) async fn slow_and_stalled(
    files: &Files<'_>,
) -> Result<[(&'static str, Results); 4], String> {
    let uploads = files.begin(4, STALLED_PIECES).await?;
    let [slow, stalled, read, unread] = uploads.as_slice() else {
        return Err("four files were to be begun".into());
    };
    let complete = [*read, *unread];
    let sent = at_once(files, &complete, |upload, piece| files.put(upload, piece)).await?;
    if let Some((code, _)) = sent.errors.first_key_value() {
        return Err(format!("a file could not be sent: {code}"));
    }
    files.complete(&complete).await?;
    let (slow, stalled) = (files.put(slow, 0)?, files.put(stalled, 0)?);
    let (read, unread) = (files.get(read, 0)?, files.get_range(unread, "bytes=0-")?);
    let (sent, given_up, read, dropped) = tokio::join!(
        told(send_slowly(files, &slow)),
        told(stop_sending(files, &stalled)),
        told(read_slowly(files, &read)),
        told(stop_reading(files, &unread)),
    );
    Ok([
        ("1 MiB up, 64 kbit/s", sent),
        ("stalled up, dropped", given_up),
        ("1 MiB down, 64 kbit/s", read),
        ("stalled down, dropped", dropped),
    ])
}

/// How long something took, or why it failed.
async fn told(flow: impl Future<Output = io::Result<()>>) -> Results {
    let begun = Instant::now();
    let outcome = timeout(AT_MOST, flow)
        .await
        .unwrap_or_else(|late| Err(late.into()));
    #[expect(
        clippy::cast_precision_loss,
        reason = "minutes are far below 2^52 microseconds"
    )]
    let took = begun.elapsed().as_micros() as f64;
    match outcome {
        Ok(()) => Results {
            p50_us: Some(took),
            max_us: Some(took),
            ..Results::default()
        },
        Err(error) => Results {
            errors: BTreeMap::from([(error.to_string(), 1)]),
            ..Results::default()
        },
    }
}

async fn send_slowly(files: &Files<'_>, request: &[u8]) -> io::Result<()> {
    let mut connection = connect(files, BUFFER).await?;
    let (bytes, every) = SLOW;
    let mut line = interval(every);
    line.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for some in request.chunks(bytes) {
        line.tick().await;
        connection.write_all(some).await?;
    }
    read_head(&mut connection, "200").await
}

async fn read_slowly(files: &Files<'_>, request: &[u8]) -> io::Result<()> {
    let mut connection = connect(files, READING).await?;
    connection.write_all(request).await?;
    read_head(&mut connection, "206").await?;
    let (bytes, every) = SLOW;
    let mut line = interval(every);
    line.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut some, mut read) = (vec![0; bytes], 0);
    // Beside the rest of the head.
    while read < PIECE {
        line.tick().await;
        match connection.read(&mut some).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => read += count,
        }
    }
    Ok(())
}

/// Returns when the server has answered half a request.
async fn stop_sending(files: &Files<'_>, request: &[u8]) -> io::Result<()> {
    let mut connection = connect(files, BUFFER).await?;
    let half = request.len() / 2;
    connection
        .write_all(request.get(..half).unwrap_or_default())
        .await?;
    read_head(&mut connection, "408").await
}

/// Returns when the server has dropped the connection.
async fn stop_reading(files: &Files<'_>, request: &[u8]) -> io::Result<()> {
    let mut connection = connect(files, BUFFER).await?;
    connection.write_all(request).await?;
    loop {
        tokio::time::sleep(PROBE).await;
        // A server ignores an empty line before a request; one that has gone away refuses it.
        match connection.write_all(b"\r\n").await {
            Ok(()) => {}
            Err(error) if GONE.contains(&error.kind()) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

async fn connect(files: &Files<'_>, receive: u32) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_send_buffer_size(BUFFER)?;
    socket.set_recv_buffer_size(receive)?;
    // Loopback's own segments of 64 KiB never fit into the window of such a buffer: the server's kernel would take
    // a reader that is slow for one that has stopped.
    #[cfg(target_os = "linux")]
    nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::TcpMaxSeg, &SEGMENT)?;
    socket.connect(files.target.address).await
}

/// Reads the first bytes of an answer, with this status.
async fn read_head(connection: &mut TcpStream, status: &str) -> io::Result<()> {
    let mut head = [0; 12];
    connection.read_exact(&mut head).await?;
    let head = String::from_utf8_lossy(&head);
    match head.rsplit(' ').next() {
        Some(got) if got == status => Ok(()),
        _ => Err(io::Error::other(format!("the answer was {head}"))),
    }
}
