//! What strangers may send, before anyone knows who they are: it is refused with a sentence, or it is what it says, and it
//! never panics. The programs of `script/fuzz` look for what breaks this; the tests try it with the seeds.

use actix_web::{http::header::HeaderValue, test::TestRequest};
use parlance::{
    api::{self, Action, Api, conversation, notification::ClientFrame, request::Head},
    chat::error::Error,
    server::Claim,
};
use parlance_wire::{
    id::{MessageId, ReportId},
    key::{PublicKey, VerifyingKey},
    time::Timestamp,
};
use serde_json::{Value, json};

/// Someone's public key. Nobody who fuzzes has the private one.
const KEY: &str = include_str!("seeds/public.key");

/// A request's body; the first byte says to which API.
pub(super) fn request(data: &[u8]) {
    let Some((which, body)) = data.split_first() else {
        return;
    };
    let (api, ..) = Api::ALL[usize::from(*which) % Api::ALL.len()];
    if let Err(refusal) = Head::parse(body).and_then(|head| Action::parse(api, &head, body)) {
        told(&refusal);
    }
}

/// The headers that say who asks, a line each, and the body that is signed.
pub(super) fn signature(data: &[u8]) {
    let mut lines = data.splitn(4, |byte| *byte == b'\n');
    let mut request = TestRequest::post();
    for name in ["Ozeki-User", "Ozeki-Station", "Ozeki-Signature"] {
        let Ok(value) = HeaderValue::from_bytes(lines.next().unwrap_or_default()) else {
            return;
        };
        request = request.insert_header((name, value));
    }
    let body = lines.next().unwrap_or_default();
    let request = request.to_http_request();
    let claim = Claim::of_headers(&request);
    for refusal in [
        claim.user().err(),
        claim.station().err(),
        claim.signature().err(),
    ]
    .into_iter()
    .flatten()
    {
        told(&refusal);
    }
    let key = VerifyingKey::from(PublicKey::parse(KEY.trim()).expect("a key"));
    if let Ok(signature) = claim.signature() {
        assert!(
            !key.verifies(body, &signature),
            "a signature was made without the key"
        );
    }
    if let Ok(text) = std::str::from_utf8(body) {
        assert!(PublicKey::parse(text).is_none_or(|key| key.as_str() == text));
    }
}

/// The fields of a cursor, a line each: two ids, two times, and how many rows.
pub(super) fn cursor(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut lines = text.splitn(5, '\n').map(|line| {
        if line == "-" {
            Value::Null
        } else {
            line.into()
        }
    });
    let mut next = || lines.next().unwrap_or_default();
    let (message, report, at, reported_at) = (next(), next(), next(), next());
    let limit = next();
    let limit: Value = limit
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or(limit);
    for (action, which) in [("download", "first"), ("downloadpartial", "last")] {
        let mut body = json!({
            "action": action, "conversationid": "8ca16186c36a4e0a1ef2096e6c60b613", "instance": "PqjfKSn7V8", "limit": limit,
        });
        for (field, value) in [
            ("messageid", &message),
            ("reportid", &report),
            ("messagedate", &at),
            ("reportdate", &reported_at),
        ] {
            body[format!("{which}{field}")] = value.clone();
        }
        let body = body.to_string();
        match api::request::action::<conversation::Action>(action, body.as_bytes()) {
            Err(refusal) => told(&refusal),
            Ok(
                conversation::Action::Download {
                    firstmessageid: id,
                    firstreportid: report,
                    firstmessagedate: at,
                    ..
                }
                | conversation::Action::DownloadPartial {
                    lastmessageid: id,
                    lastreportid: report,
                    lastmessagedate: at,
                    ..
                },
            ) => {
                // What was understood is what is written again.
                assert!(id.is_none_or(|id| MessageId::parse(&id.to_string()) == Some(id)));
                assert!(report.is_none_or(|id| ReportId::parse(&id.to_string()) == Some(id)));
                assert!(at.is_none_or(|at| Timestamp::parse(&at.to_string()) == Some(at)));
            }
            Ok(other) => panic!("{action} was read as {other:?}"),
        }
    }
}

/// A text frame of a WebSocket.
pub(super) fn frame(data: &[u8]) {
    let said =
        Head::parse(data).and_then(|head| api::request::action::<ClientFrame>(&head.action, data));
    if let Err(refusal) = said {
        told(&refusal);
    }
}

/// A refusal is the sender's fault, and one short sentence for a person.
fn told(refusal: &Error) {
    let (status, code) = api::error::row(refusal);
    assert!((400..500).contains(&status), "{refusal:?}");
    let answer: Value =
        serde_json::from_slice(&api::error::body(refusal)).expect("an answer is JSON");
    let sentence = answer["errormessage"].as_str().expect("a sentence");
    assert_eq!(answer["errorcode"], code);
    assert!(
        !sentence.is_empty() && sentence.chars().count() <= 400,
        "{sentence:?}"
    );
    assert!(!sentence.contains(char::is_control), "{sentence:?}");
}
