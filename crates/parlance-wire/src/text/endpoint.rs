//! The address at which a push service accepts pushes for a station. With it, a client chooses
//! where the server connects to, so its form leaves no room for interpretation.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::email::is_host;

/// An address of a push service (RFC 8030): `https`, a host's name, and a path, without a port, a
/// user or a fragment.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(transparent)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type))]
#[cfg_attr(feature = "sqlx", sqlx(transparent))]
pub struct PushEndpoint(String);

impl PushEndpoint {
    /// The required form, for errors.
    pub const EXPECTED: &'static str = "an https:// address without a port, whose host is a name with a dot, of at most 1024 bytes";
    /// Maximum bytes.
    // Those of the large services have about 200 (Google, Apple) to 400 (Microsoft).
    pub const MAX_BYTES: usize = 1024;
    const SCHEME: &'static str = "https://";

    /// Checks the form. Returns `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, path) = text.strip_prefix(Self::SCHEME)?.split_once('/')?;
        let is_path = path
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/?".contains(&b));
        // A name without a dot, such as `localhost`, is not one of a public push service.
        let is_name = is_host(host) && host.contains('.') && host == host.to_ascii_lowercase();
        (text.len() <= Self::MAX_BYTES && is_path && is_name).then(|| Self(text.to_owned()))
    }

    /// The address, as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host's name.
    #[must_use]
    pub fn host(&self) -> &str {
        self.split().0
    }

    /// The path and the query, as a request line has them.
    #[must_use]
    pub fn path(&self) -> &str {
        self.split().1
    }

    /// The scheme and the host: the origin of RFC 6454.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.0.strip_suffix(self.path()).unwrap_or(Self::SCHEME)
    }

    fn split(&self) -> (&str, &str) {
        let rest = self.0.strip_prefix(Self::SCHEME).unwrap_or_default();
        rest.split_at(rest.find('/').unwrap_or(rest.len()))
    }
}

text_form!(PushEndpoint);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_names_a_host_and_a_path() {
        for (text, host, path) in [
            (
                "https://fcm.googleapis.com/fcm/send/dA:APA91b-_x",
                "fcm.googleapis.com",
                "/fcm/send/dA:APA91b-_x",
            ),
            (
                "https://wns2-par02p.notify.windows.com/w/?token=BQYAAA%2fb%3d",
                "wns2-par02p.notify.windows.com",
                "/w/?token=BQYAAA%2fb%3d",
            ),
            ("https://push.example/", "push.example", "/"),
        ] {
            let endpoint = PushEndpoint::parse(text).unwrap();
            assert_eq!((endpoint.host(), endpoint.path()), (host, path));
            assert_eq!(endpoint.origin(), format!("https://{host}"));
        }
    }

    #[test]
    fn what_could_lead_elsewhere_is_refused() {
        let long = format!("https://push.example/{}", "a".repeat(1024));
        for wrong in [
            "",
            "http://push.example/a",
            "HTTPS://push.example/a",
            "ftp://push.example/a",
            "//push.example/a",
            "https://push.example",
            // An address, in each of the ways in which one can be written.
            "https://127.0.0.1/a",
            "https://127.1/a",
            "https://2130706433/a",
            "https://0x7f.1/a",
            "https://0x7f000001/a",
            "https://[::1]/a",
            "https://[::ffff:10.0.0.1]/a",
            // Names that only mean something within a network.
            "https://localhost/a",
            "https://db/a",
            // A port, a user, a fragment.
            "https://push.example:443/a",
            "https://push.example:22/a",
            "https://ann@push.example/a",
            "https://push.example@10.0.0.1/a",
            "https://push.example/a#b",
            // Characters that parsers disagree about.
            "https://push.example\\@10.0.0.1/a",
            "https://push.example/a b",
            "https://push.example/a\r\nHost: b",
            "https://push.example/\u{e4}",
            "https://push.example./a",
            "https://PUSH.example/a",
            "https://p\u{fc}sh.example/a",
            " https://push.example/a",
            &long,
        ] {
            assert_eq!(PushEndpoint::parse(wrong), None, "{wrong:?}");
        }
    }
}
