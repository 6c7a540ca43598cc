//! Moments. The wire writes them as `yyyy-MM-dd HH:mm:ss` in UTC; PostgreSQL keeps microseconds.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDateTime, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const WIRE: &str = "%Y-%m-%d %H:%M:%S";
const TAKES: &str = "a time in UTC, `yyyy-MM-dd HH:mm:ss`";

/// A moment in UTC, to the microsecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, sqlx::Type)]
#[sqlx(transparent)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// The present moment, cut to what PostgreSQL keeps. Read once per request and handed on.
    #[must_use]
    pub fn now() -> Self {
        Self(Utc::now().trunc_subsecs(6))
    }

    /// Reads the wire's form, to the letter. `None`: not such a time.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let moment = Self(NaiveDateTime::parse_from_str(text, WIRE).ok()?.and_utc());
        // chrono also takes signs, missing zeros and leap seconds: those would not be kept as given.
        let is_plain = text.len() == 19 && moment.to_string() == text && moment.0.timestamp_subsec_nanos() == 0;
        (is_plain && (1..=9999).contains(&moment.0.year())).then_some(moment)
    }

    /// Seconds since 1970, rounded down.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.timestamp()
    }

    /// This moment without its fraction of a second: what the wire can say of it.
    #[must_use]
    pub fn whole_seconds(self) -> Self {
        Self(self.0.trunc_subsecs(0))
    }

    /// Later by a span; never beyond the year 9999, which is the last that the wire can write.
    #[must_use]
    pub fn plus(self, span: TimeDelta) -> Self {
        match self.0.checked_add_signed(span) {
            Some(later) if later.year() <= 9999 => Self(later),
            _ => self,
        }
    }

    /// How far two moments lie apart, whichever is first.
    #[must_use]
    pub fn distance(self, other: Self) -> TimeDelta {
        (self.0 - other.0).abs()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.format(WIRE).fmt(f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(TAKES)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                Timestamp::parse(text).ok_or_else(|| E::custom(format_args!("expected {TAKES}")))
            }
        }
        from.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_and_written_as_published() {
        let text = "2024-03-08 14:12:48";
        let moment = Timestamp::parse(text).unwrap();
        assert_eq!(moment.to_string(), text);
        assert_eq!(moment.unix_seconds(), 1_709_907_168);
    }

    #[test]
    fn anything_but_the_published_form_is_no_time() {
        for wrong in [
            "",
            "2024-03-08",
            "2024-03-08T14:12:48",
            "2024-3-8 14:12:48",
            "2024-02-30 14:12:48",
            "2024-03-08 24:00:00",
            "2024-03-08 23:59:60",
            "+2024-03-08 14:12:48",
            "2024-03-08 14:12:48 ",
            "12024-03-08 14:12:48",
            "-999-03-08 14:12:48",
            "-9999-01-01 00:00:00",
            "+12024-01-01 00:00:00",
            "0000-01-01 00:00:00",
        ] {
            assert!(Timestamp::parse(wrong).is_none(), "{wrong}");
        }
    }
}
