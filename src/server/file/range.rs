//! The header `Range` (RFC 9110, 14.2): a single range of bytes.

use std::ops::Range;

/// The bytes that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RequestedRange {
    /// All of it: there is no range, or one that is not understood, which counts as none.
    All,
    Part(Range<u64>),
    /// Bytes that are not there.
    Unsatisfiable,
}

/// The bytes that the header asks for, of a file of this size.
pub(super) fn parse_range(header: Option<&str>, size: u64) -> RequestedRange {
    let Some(range) = header.and_then(parse) else {
        return RequestedRange::All;
    };
    let part = match range {
        (Some(first), last) => first..last.map_or(size, |last| last.saturating_add(1).min(size)),
        (None, Some(count)) => size.saturating_sub(count)..size,
        (None, None) => return RequestedRange::All,
    };
    if part.is_empty() {
        RequestedRange::Unsatisfiable
    } else {
        RequestedRange::Part(part)
    }
}

/// The first and the last byte; without a first one, the number of bytes at the end. Several ranges
/// are not understood: nobody needs them here.
fn parse(header: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (unit, range) = header.trim().split_once('=')?;
    if !unit.trim_end().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let number = |text: &str| match text {
        "" => Some(None),
        text if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            // A number that does not fit is beyond every file.
            Some(Some(text.parse().unwrap_or(u64::MAX)))
        }
        _ => None,
    };
    let (first, last) = (number(first)?, number(last)?);
    let is_backwards = first.zip(last).is_some_and(|(first, last)| first > last);
    (!is_backwards).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_understood_or_counts_as_none() {
        for (header, part) in [
            ("bytes=0-9", 0..10),
            ("bytes=10-", 10..100),
            ("bytes=-10", 90..100),
            ("bytes=-1000", 0..100),
            ("Bytes = 99-1000", 99..100),
            ("bytes=5-99999999999999999999999", 5..100),
        ] {
            assert_eq!(
                parse_range(Some(header), 100),
                RequestedRange::Part(part),
                "{header}"
            );
        }
        for header in [
            "bytes=100-",
            "bytes=-0",
            "bytes=99999999999999999999999-",
            "bytes=100-200",
        ] {
            assert_eq!(
                parse_range(Some(header), 100),
                RequestedRange::Unsatisfiable,
                "{header}"
            );
        }
        for header in [
            "",
            "bytes",
            "bytes=-",
            "bytes=9-0",
            "bytes=a-b",
            "bytes=+1-2",
            "lines=0-1",
            "bytes=0-1,5-6",
        ] {
            assert_eq!(
                parse_range(Some(header), 100),
                RequestedRange::All,
                "{header}"
            );
        }
        assert_eq!(parse_range(None, 100), RequestedRange::All);
    }
}
