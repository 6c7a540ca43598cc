//! A client that costs little: requests are bytes that were made before, and of an answer only its status
//! and its length are looked at.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Maximum headers of an answer.
const MAX_HEADERS: usize = 32;

/// A connection that is kept.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    answer: Vec<u8>,
    head: usize,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            answer: Vec::with_capacity(64 * 1024),
            head: 0,
        })
    }

    /// Sends a request and reads its answer to the end. `Some`: why it was refused.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<Option<String>> {
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
        if status == 200 {
            return Ok(None);
        }
        let code = serde_json::from_slice::<serde_json::Value>(self.body()).ok();
        let code = code
            .as_ref()
            .and_then(|body| body.get("errorcode"))
            .and_then(|code| code.as_str());
        Ok(Some(code.map_or_else(|| status.to_string(), str::to_owned)))
    }

    /// Sends a request, and hangs up after a while without having read its answer.
    pub(crate) async fn send_and_go(mut self, request: &[u8], after: Duration) {
        // Whether it arrives is what nobody is to know.
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

/// Status, length of the head, length of the body. `None`: the head is not there yet.
fn parse(answer: &[u8]) -> io::Result<Option<(u16, usize, usize)>> {
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
    let length = length.ok_or_else(|| wrong("an answer without a length".into()))?;
    Ok(Some((response.code.unwrap_or(0), head, length)))
}
