//! Reading a file: record by record, as fast as the peer takes it.

use std::{
    io,
    ops::Range,
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest, HttpResponse,
    body::SizedStream,
    http::{
        Method, StatusCode,
        header::{self, HeaderName},
    },
    rt,
    web::{self, Bytes},
};
use futures_util::{Stream, stream};
use tracing::Instrument;

use super::{
    super::{
        address::network,
        answer::{GRACE, MIN_RATE},
        budget::Share,
        load::InProgress,
        request_log::Target,
    },
    InHeader, RequestLog, header_of,
    range::{RequestedRange, parse_range},
    state_of,
};
use crate::{
    api::error::Error,
    chat::{self, error::Error as ChatError},
    server::state::State,
    store::file::Found,
    telemetry::with_causes,
};
use parlance_wire::{
    id::{FileId, UserId},
    request::{
        Api,
        file::{Action, RECORD},
    },
    signature::REQUEST_HEADER,
};

/// The paths at which files are read, next to the API's.
pub(in crate::server) const PATHS: [&str; 2] = ["/file/{id}", "/ozeki/file/{id}"];

/// Headers of each answer: whatever a browser takes the bytes for, it runs nothing in them.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_TYPE, "application/octet-stream"),
    (header::CONTENT_DISPOSITION, "attachment"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; sandbox",
    ),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
    (header::ACCEPT_RANGES, "bytes"),
];

/// Answers with a file, or with a part of it.
pub(in crate::server) async fn download(
    http: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, Error> {
    RequestLog::update(&http, |log| log.target = Target::Api(Api::File));
    let state = state_of(&http)?;
    let header = header_of(&http)?.ok_or(Error::SignatureMissing(REQUEST_HEADER))?;
    let request = InHeader::read(&state, &http, header).await?;
    let Action::Get { fileid } = request.action else {
        return Err(Error::bad_request("action must be get."));
    };
    if FileId::parse(&path) != Some(fileid) {
        return Err(Error::bad_request("fileid must be that of the path."));
    }
    let in_progress = state.load.begin(request.user).await?;
    let found = chat::file::readable(&state.services, request.user, fileid).await?;
    let size = found.layout.size();
    let range = http.headers().get(header::RANGE);
    let range = range.map(|range| range.to_str().unwrap_or_default());
    let (status, bytes) = match parse_range(range, size) {
        RequestedRange::All => (StatusCode::OK, 0..size),
        RequestedRange::Part(bytes) => (StatusCode::PARTIAL_CONTENT, bytes),
        RequestedRange::Unsatisfiable => return Err(Error::RangeNotSatisfiable(size)),
    };
    // The record that is being sent, and the next one.
    let memory = usize::try_from((2 * RECORD).min(bytes.end - bytes.start)).unwrap_or(usize::MAX);
    let share = state
        .load
        .try_answer(request.user, network(request.address), memory)?;
    let mut response = HttpResponse::build(status);
    for (name, value) in HEADERS {
        response.insert_header((name, value));
    }
    if let Some(digest) = found.digest {
        response.insert_header((header::ETAG, format!("\"{digest}\"")));
    }
    if status == StatusCode::PARTIAL_CONTENT {
        let (first, last) = (bytes.start, bytes.end - 1);
        response.insert_header((
            header::CONTENT_RANGE,
            format!("bytes {first}-{last}/{size}"),
        ));
    }
    let length = bytes.end - bytes.start;
    let mut sending = Sending {
        state,
        found,
        // Of a HEAD nothing is sent: then nothing is read, either.
        left: if http.method() == Method::HEAD {
            bytes.end..bytes.end
        } else {
            bytes
        },
        begun: Instant::now(),
        sent: 0,
        first: None,
        _held: (in_progress, share),
    };
    if !sending.left.is_empty() {
        // Before the status is sent: a store that is away is an answer, too.
        sending.first = Some(sending.next().await?);
    }
    Ok(response.body(SizedStream::new(length, sending.pieces())))
}

/// A file that is being sent.
struct Sending {
    state: web::Data<State>,
    found: Found,
    left: Range<u64>,
    begun: Instant,
    sent: u64,
    /// The first piece, which was read before the answer began.
    first: Option<Bytes>,
    /// Released once it is sent or abandoned.
    _held: (InProgress, Share<UserId>),
}

impl Sending {
    /// The pieces of the answer. Each record is read when the peer has taken the one before.
    fn pieces(self) -> impl Stream<Item = Result<Bytes, io::Error>> {
        stream::try_unfold(self, async |mut sending| {
            if let Some(first) = sending.first.take() {
                return Ok(Some((first, sending)));
            }
            if sending.left.is_empty() {
                return Ok(None);
            }
            let seconds = sending.sent / MIN_RATE as u64;
            if sending.begun.elapsed() > GRACE + Duration::from_secs(seconds) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let piece = sending.next().await.map_err(|error| {
                // The status was sent long ago: the connection is cut, so that no client takes a part
                // for the whole.
                tracing::info!(error = with_causes(&error), "a file was cut short");
                io::Error::other("the file was cut short")
            })?;
            Ok(Some((piece, sending)))
        })
    }

    async fn next(&mut self) -> Result<Bytes, ChatError> {
        let (first, record) = (self.left.start % RECORD, self.left.start / RECORD);
        let (state, found) = (self.state.clone(), self.found);
        let record = u32::try_from(record).map_err(|error| ChatError::Internal(error.into()))?;
        // In a task of its own: if the peer hangs up, this future is dropped, and a statement dropped
        // half-way costs a database connection.
        let read = async move { chat::file::read(&state.services, &found, record).await };
        let read = rt::spawn(read.in_current_span());
        let bytes = read
            .await
            .map_err(|error| ChatError::Internal(error.into()))??;
        let count = (bytes.len() as u64).saturating_sub(first);
        let count = count.min(self.left.end - self.left.start);
        if count == 0 {
            return Err(ChatError::Internal(
                "a record is shorter than its file says".into(),
            ));
        }
        let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        self.left.start += count;
        self.sent += count;
        self.state.metrics.count_file_bytes("sent", count);
        Ok(bytes.slice(index(first)..index(first + count)))
    }
}
