//! Files: uploads and downloads over the wire.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use parlance_wire::{e2ee::sha256, request::file::FileDigest};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Answer, Conversation, Person, now};

/// Bytes of a record.
pub(crate) const RECORD: usize = 262_144;

/// A file as its uploader has it.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub id: String,
    pub bytes: Vec<u8>,
}

/// The answer to reading a file.
#[derive(Debug)]
pub(crate) struct Download {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Download {
    /// The refusal that it is.
    pub(crate) fn answer(&self) -> Answer {
        Answer {
            status: self.status,
            headers: self.headers.clone(),
            text: String::from_utf8(self.bytes.clone()).unwrap(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

impl File {
    /// A new file of this size.
    pub(crate) fn new(size: usize) -> Self {
        let id = Uuid::new_v4();
        let seed = id.as_bytes().iter().cycle().zip(0_u64..);
        let bytes = seed.map(|(byte, n)| byte ^ n.to_le_bytes()[0] ^ n.to_le_bytes()[2]);
        Self {
            id: id.to_string(),
            bytes: bytes.take(size).collect(),
        }
    }

    /// `count` records, beginning with this one.
    pub(crate) fn records(&self, first: usize, count: usize) -> &[u8] {
        let end = ((first + count) * RECORD).min(self.bytes.len());
        &self.bytes[first * RECORD..end]
    }

    pub(crate) fn digest(&self) -> String {
        let hashes: Vec<u8> = self
            .bytes
            .chunks(RECORD)
            .flat_map(|record| sha256(&[record]))
            .collect();
        FileDigest::of(&hashes).to_string()
    }
}

impl Person {
    /// Sends a request about a file whose JSON is its body.
    pub(crate) async fn asks_file(&self, action: &str, id: &str, mut fields: Value) -> Answer {
        fields["action"] = action.into();
        fields["fileid"] = id.into();
        self.asks_as(4, "chatfileserver", fields).await
    }

    pub(crate) async fn begins(&self, file: &File, conversation: &Conversation) -> Answer {
        let fields = json!({
            "conversationid": conversation.id, "instance": conversation.instance, "size": file.bytes.len()
        });
        self.asks_file("create", &file.id, fields).await
    }

    /// Sends records, from this one on.
    pub(crate) async fn puts(&self, file: &File, first: usize, records: &[u8]) -> Answer {
        let fields = json!({
            "fileid": file.id, "record": first, "sha256": hex::encode(sha256(&[records])), "length": records.len()
        });
        self.puts_as(fields, records).await
    }

    /// Sends a body, of which the request says whatever it says.
    pub(crate) async fn puts_as(&self, mut fields: Value, body: &[u8]) -> Answer {
        fields["action"] = "put".into();
        fields["clientversioncode"] = 4.into();
        fields["timestamp"] = now().into();
        self.posts_with(&fields.to_string(), body).await
    }

    /// Sends a body, with this text as its request.
    pub(crate) async fn posts_with(&self, request: &str, body: &[u8]) -> Answer {
        let url = format!("{}/?srv=chatserver&api=chatfileserver", self.world.url);
        let call = self.world.http.post(url).body(body.to_vec());
        let call = self.with_request(call, request);
        Answer::of(call.send().await.unwrap()).await
    }

    pub(crate) fn with_request(
        &self,
        call: reqwest::RequestBuilder,
        request: &str,
    ) -> reqwest::RequestBuilder {
        call.header("Ozeki-User", &self.user)
            .header("Ozeki-Station", &self.station)
            .header("Ozeki-Request", URL_SAFE_NO_PAD.encode(request))
            .header(
                "Ozeki-Signature",
                self.signs("chatserver", "chatfileserver", request),
            )
    }

    pub(crate) async fn completes(&self, file: &File) -> Answer {
        self.asks_file("complete", &file.id, json!({ "digest": file.digest() }))
            .await
    }

    /// Uploads a new file of this size.
    pub(crate) async fn uploads(&self, size: usize, conversation: &Conversation) -> File {
        let file = File::new(size);
        self.begins(&file, conversation).await.ok();
        for first in (0..size.div_ceil(RECORD)).step_by(4) {
            self.puts(&file, first, file.records(first, 4)).await.ok();
        }
        self.completes(&file).await.ok();
        file
    }

    /// Reads a file, or this range of it.
    pub(crate) async fn gets(&self, id: &str, range: Option<&str>) -> Download {
        let request =
            json!({ "action": "get", "fileid": id, "clientversioncode": 4, "timestamp": now() });
        self.gets_with(id, &request.to_string(), range).await
    }

    /// Reads a file, with this text as the request.
    pub(crate) async fn gets_with(&self, id: &str, request: &str, range: Option<&str>) -> Download {
        let call = self.world.http.get(format!("{}/file/{id}", self.world.url));
        let mut call = self.with_request(call, request);
        if let Some(range) = range {
            call = call.header("Range", range);
        }
        let response = call.send().await.unwrap();
        Download {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            bytes: response.bytes().await.unwrap().to_vec(),
        }
    }

    /// Adds a message with these files.
    pub(crate) async fn adds_files(
        &self,
        conversation: &Conversation,
        message: &Value,
        files: &[&File],
    ) -> Answer {
        let ids: Vec<&str> = files.iter().map(|file| file.id.as_str()).collect();
        let fields = json!({ "message": message.to_string(), "files": ids });
        let request = super::request("add", conversation, fields);
        self.asks_as(4, "chatconversation", request).await
    }
}
