//! A cheap HTTP client: requests are bytes made beforehand, and only the status and length of an
//! answer are parsed.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Maximum headers of an answer.
const MAX_HEADERS: usize = 32;

/// A connection that is kept alive, and opened again if the server closed it while it was idle.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    stream: TcpStream,
    answer: Vec<u8>,
    head: usize,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            address,
            stream: open(address).await?,
            // One buffer for all answers: a new allocation each time would count as the client's
            // cost.
            answer: Vec::with_capacity(64 * 1024),
            head: 0,
        })
    }

    /// Sends a request and reads the whole answer. Returns the error code of a refusal, or `None`
    /// for OK.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<Option<String>> {
        // Nothing is under way: whatever can be read is a timeout or the end. A measurement may need
        // longer to make its first request than the server waits for it.
        if self.stream.try_read(&mut [0]).is_ok() {
            self.stream = open(self.address).await?;
        }
        self.stream.write_all(request).await?;
        self.answer.clear();
        let (status, head, length) = loop {
            self.read().await?;
            if let Some(parsed) = parse(&self.answer)? {
                break parsed;
            }
        };
        while self.answer.len() < head + length {
            self.read().await?;
        }
        self.head = head;
        if (200..300).contains(&status) {
            return Ok(None);
        }
        let code = serde_json::from_slice::<serde_json::Value>(self.body()).ok();
        let code = code
            .as_ref()
            .and_then(|body| body.get("errorcode"))
            .and_then(|code| code.as_str());
        Ok(Some(code.map_or_else(|| status.to_string(), str::to_owned)))
    }

    /// Sends a request, waits a while, and closes the connection without reading the answer.
    pub(crate) async fn send_and_go(mut self, request: &[u8], after: Duration) {
        // The error is ignored: the caller simulates a client that never learns the outcome.
        let _ = self.stream.write_all(request).await;
        tokio::time::sleep(after).await;
    }

    /// The body of the last answer.
    #[must_use]
    pub(crate) fn body(&self) -> &[u8] {
        self.answer.get(self.head..).unwrap_or_default()
    }

    async fn read(&mut self) -> io::Result<()> {
        if self.stream.read_buf(&mut self.answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // Nagle's algorithm would hold back the end of a request until the server acknowledged its beginning.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Parses an answer's head: the status, the length of the head and the length of the body. Returns
/// `None` until the head is complete.
fn parse(answer: &[u8]) -> io::Result<Option<(u16, usize, usize)>> {
    // Parsed from the beginning after each read: a head nearly always arrives whole.
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let httparse::Status::Complete(head) = response
        .parse(answer)
        .map_err(|error| wrong(error.to_string()))?
    else {
        return Ok(None);
    };
    let length = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
    // No chunked bodies: the server always knows the length, and a decoder would cost the client
    // time.
    let length = length.ok_or_else(|| wrong("an answer without a length".into()))?;
    Ok(Some((response.code.unwrap_or(0), head, length)))
}
