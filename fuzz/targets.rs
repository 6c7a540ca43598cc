//! Data that strangers may send before they are identified: it is either refused with a sentence or
//! parsed correctly, and never causes a panic. The programs of `script/fuzz` look for
//! counterexamples; the tests run the seeds.

use parlance_wire::{
    id::{MessageId, ReportId},
    key::{PublicKey, VerifyingKey},
    request::{self, Action, Api, Head, conversation, notification::ClientFrame},
    signature::Claim,
    time::Timestamp,
};
use serde_json::{Value, json};

/// A public key, whose private key the fuzzer does not have.
const KEY: &str = include_str!("seeds/public.key");

/// A request's body; the first byte selects the API.
pub(super) fn request(data: &[u8]) {
    let Some((which, body)) = data.split_first() else {
        return;
    };
    let api = Api::ALL[usize::from(*which) % Api::ALL.len()];
    if let Err(error) = Head::parse(body).and_then(|head| Action::parse(api, &head, body)) {
        is_short(&error.to_string());
    }
}

/// The headers that identify the sender, one per line, and the signed body.
pub(super) fn signature(data: &[u8]) {
    let mut lines = data.splitn(4, |byte| *byte == b'\n');
    let mut header = || std::str::from_utf8(lines.next().unwrap_or_default());
    let (Ok(user), Ok(station), Ok(signature)) = (header(), header(), header()) else {
        return;
    };
    let body = lines.next().unwrap_or_default();
    let claim = Claim {
        user: Some(user),
        station: Some(station),
        signature: Some(signature),
    };
    for error in [
        claim.user().err(),
        claim.station().err(),
        claim.signature().err(),
    ]
    .into_iter()
    .flatten()
    {
        is_short(&error.to_string());
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

/// The fields of a cursor, one per line: two ids, two times, and the number of rows.
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
        match request::action::<conversation::Action>(action, body.as_bytes()) {
            Err(error) => is_short(&error.to_string()),
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
                // The parsed value is written the same way again.
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
        Head::parse(data).and_then(|head| request::action::<ClientFrame>(&head.action, data));
    if let Err(error) = said {
        is_short(&error.to_string());
    }
}

/// An error is one short sentence for a person.
fn is_short(sentence: &str) {
    assert!(
        !sentence.is_empty() && sentence.chars().count() <= 400,
        "{sentence:?}"
    );
    assert!(!sentence.contains(char::is_control), "{sentence:?}");
}
