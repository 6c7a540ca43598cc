//! E-mail addresses, from which user ids are derived. No two addresses may look alike.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

/// Maximum size of an address (RFC 5321, 4.5.3.1.3, without the angle brackets).
const MAX_ADDRESS: usize = 254;
/// Maximum size of the part before the `@` (RFC 5321, 4.5.3.1.1).
const MAX_LOCAL_PART: usize = 64;
/// Maximum size of a host name and of each of its labels (RFC 1035, 2.3.4).
const MAX_HOST: usize = 253;
const MAX_LABEL: usize = 63;

/// An e-mail address, trimmed and lower-cased. A user id is derived from it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(transparent)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type))]
#[cfg_attr(feature = "sqlx", sqlx(transparent))]
pub struct Email(String);

impl Email {
    /// The required form, for errors.
    pub const EXPECTED: &'static str = "an e-mail address in ASCII, of at most 254 bytes, whose host is a name (an international one as punycode)";

    /// Normalizes and checks an address. The part before the `@` is a dot-string of RFC 5321
    /// without `&` and the backquote; the host is a name of letters, digits and hyphens that does
    /// not end with a number or a dot. Deliverability is not checked. Returns `None` for any other
    /// text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // As published: the id is derived from this form, so that each way of writing an address is
        // the same user.
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        let (name, host) = text.split_once('@')?;
        let fits = text.len() <= MAX_ADDRESS && name.len() <= MAX_LOCAL_PART;
        let text = text.to_ascii_lowercase();
        let host = host.to_ascii_lowercase();
        (fits && is_dot_string(name) && is_host(&host)).then_some(Self(text))
    }

    /// The normalized address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// RFC 5321 `atext` words separated by single dots.
// Without `&` and "`", because addresses are shown by programs that are not all careful with HTML
// and shells.
fn is_dot_string(text: &str) -> bool {
    text.split('.').all(|word| {
        !word.is_empty()
            && word
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%'*+-/=?^_{|}~".contains(&b))
    })
}

/// A name of RFC 1123 in lower case. Its last label is not a number, which would make it an IPv4
/// address.
pub(super) fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let ends_with_number = text
        .rsplit('.')
        .next()
        .is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
    text.len() <= MAX_HOST
        && text.split('.').all(is_label)
        && !ends_with_number
        && is_punycode(text)
}

/// Returns `true` if each label that begins with `xn--` is the canonical IDNA encoding of a name.
fn is_punycode(host: &str) -> bool {
    !host.split('.').any(|label| label.starts_with("xn--"))
        || idna::domain_to_ascii_strict(host).is_ok_and(|ascii| ascii == host)
}

text_form!(Email);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_is_normalised_before_anything_is_made_from_it() {
        for (given, normal) in [
            (" Ann@Example.ORG ", "ann@example.org"),
            ("ann@localhost", "ann@localhost"),
            (
                "o'brien+chat@mail-1.example.org",
                "o'brien+chat@mail-1.example.org",
            ),
            ("ann@XN--Bcher-KVA.example", "ann@xn--bcher-kva.example"),
        ] {
            assert_eq!(Email::parse(given).unwrap().as_str(), normal);
        }
    }

    #[test]
    fn addresses_that_look_like_others_are_refused() {
        for wrong in [
            "",
            "ann",
            "@example.org",
            "ann@",
            "a@b@c",
            "an n@example.org",
            "ann\0@example.org",
            // Letters that look like others, and invisible characters.
            "аnn@example.org",
            "ann\u{200b}@example.org",
            "ann\u{202e}@example.org",
            "ann@exаmple.org",
            "ann@bücher.example",
            "jose\u{301}@example.org",
            "jos\u{e9}@example.org",
            "\u{a0}ann@example.org",
            // Another spelling of the same host, or no host.
            "ann@example.org.",
            "ann@.example.org",
            "ann@example..org",
            "ann@-example.org",
            "ann@exa_mple.org",
            "ann@[127.0.0.1]",
            "ann@127.0.0.1",
            "ann@xn--a.example",
            "ann@xn--example-.org",
            // Characters with a meaning in HTML, SQL or a shell.
            "<script>@x",
            "\"a;b\"@x",
            "a&b@example.org",
            "a`b@example.org",
            ".ann@example.org",
            "ann.@example.org",
            "a..b@example.org",
        ] {
            assert!(Email::parse(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn an_address_is_as_long_as_it_may_be_and_no_longer() {
        let long = |name: usize, last: usize| {
            let label = "b".repeat(63);
            let host = format!("{label}.{label}.{}", "c".repeat(last));
            format!("{}@{host}", "a".repeat(name))
        };
        assert!(Email::parse(&long(64, 61)).is_some_and(|email| email.as_str().len() == 254));
        assert!(Email::parse(&long(64, 62)).is_none() && Email::parse(&long(65, 1)).is_none());
        assert!(Email::parse(&format!("a@{}", "b".repeat(64))).is_none());
    }
}
