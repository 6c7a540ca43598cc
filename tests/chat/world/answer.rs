//! Answers of the server.

use serde_json::{Value, json};

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub(super) async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self {
            status,
            headers,
            text: response.text().await.unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Asserts that it is a successful answer.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        let json = self.json();
        assert_eq!(
            (self.status, &json["status"], &json["errormessage"]),
            (200, &json!("OK"), &json!("")),
            "{}",
            self.text
        );
        json
    }

    /// Asserts that it is this refusal.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> Value {
        let json = self.json();
        assert_eq!(
            (self.status, &json["status"], &json["errorcode"]),
            (status, &json!("ERROR"), &json!(code)),
            "{}",
            self.text
        );
        assert!(
            json["errormessage"]
                .as_str()
                .is_some_and(|sentence| !sentence.is_empty()),
            "{}",
            self.text
        );
        assert!(self.headers.contains_key("X-Request-Id"));
        json
    }
}
