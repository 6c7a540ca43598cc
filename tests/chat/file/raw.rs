//! Requests about files on connections of their own, of which little is on its way.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use parlance_wire::e2ee::sha256;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::world::{File, Person, now};

/// The head of a request about a file.
fn head(person: &Person, line: &str, request: &Value, length: usize) -> String {
    let request = request.to_string();
    format!(
        "{line} HTTP/1.1\r\nHost: x\r\nOzeki-User: {}\r\nOzeki-Station: {}\r\n\
         Ozeki-Signature: {}\r\nOzeki-Request: {}\r\nContent-Length: {length}\r\n\r\n",
        person.user,
        person.station,
        person.signs("chatserver", "chatfileserver", &request),
        URL_SAFE_NO_PAD.encode(&request),
    )
}

async fn connects(socket: TcpSocket, person: &Person, head: &str) -> TcpStream {
    let address = person.world.url.trim_start_matches("http://");
    let mut connection = socket.connect(address.parse().unwrap()).await.unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    connection
}

/// Begins to send the whole of a file of one to four records.
pub(super) async fn begins_to_put(person: &Person, file: &File) -> TcpStream {
    let request = json!({
        "action": "put", "fileid": file.id, "record": 0, "sha256": hex::encode(sha256(&[&file.bytes])),
        "length": file.bytes.len(), "clientversioncode": 4, "timestamp": now(),
    });
    let line = "POST /?srv=chatserver&api=chatfileserver";
    let socket = TcpSocket::new_v4().unwrap();
    // What is sent is on its way, or with the server, but not here.
    socket.set_send_buffer_size(4096).unwrap();
    let head = head(person, line, &request, file.bytes.len());
    connects(socket, person, &head).await
}

/// Bytes of a buffer for a slow reader: more than a segment. Linux takes a peer whose window has no room for one for
/// stopped.
pub(super) const NARROW: u32 = 64 << 10;

/// Begins to read a file, of which this many bytes are on their way.
pub(super) async fn begins_to_get(person: &Person, file: &File, buffer: u32) -> TcpStream {
    let request = json!({
        "action": "get", "fileid": file.id, "clientversioncode": 4, "timestamp": now(),
    });
    let line = format!("GET /file/{}", file.id);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(buffer).unwrap();
    connects(socket, person, &head(person, &line, &request, 0)).await
}

/// The status of an answer.
pub(super) async fn status(connection: &mut TcpStream) -> String {
    let mut text = [0; 12];
    connection.read_exact(&mut text).await.unwrap();
    String::from_utf8_lossy(&text[9..]).into_owned()
}

/// Reads on until the head of an answer has ended.
pub(super) async fn reads_head(connection: &mut TcpStream) {
    let mut end = vec![];
    while !end.ends_with(b"\r\n\r\n") {
        end.push(connection.read_u8().await.unwrap());
    }
}
