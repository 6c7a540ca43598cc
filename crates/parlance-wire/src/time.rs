//! Moments. The wire writes them as `yyyy-MM-dd HH:mm:ss` in UTC; PostgreSQL keeps microseconds.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, SubsecRound, TimeDelta, Timelike, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const EXPECTED: &str = "a time in UTC, `yyyy-MM-dd HH:mm:ss`";

/// A moment in UTC, to the microsecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type))]
#[cfg_attr(feature = "sqlx", sqlx(transparent))]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// The present moment, truncated to PostgreSQL's precision. Read once per request and passed on.
    #[must_use]
    pub fn now() -> Self {
        // A time that is read back has to equal the stored one.
        Self(Utc::now().trunc_subsecs(6))
    }

    /// Parses exactly the wire's form. Returns `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // By hand, as chrono also accepts months of one digit, and signs.
        let text: &[u8; 19] = text.as_bytes().try_into().ok()?;
        let [
            y1,
            y2,
            y3,
            y4,
            b'-',
            m1,
            m2,
            b'-',
            d1,
            d2,
            b' ',
            h1,
            h2,
            b':',
            n1,
            n2,
            b':',
            s1,
            s2,
        ] = *text
        else {
            return None;
        };
        let number = |digits: &[u8]| {
            let digit = |number: u32, digit: &u8| {
                digit
                    .is_ascii_digit()
                    .then(|| number * 10 + u32::from(digit - b'0'))
            };
            digits.iter().try_fold(0, digit)
        };
        let year = i32::try_from(number(&[y1, y2, y3, y4])?)
            .ok()
            // There is no year 0; PostgreSQL would show it as 1 BC.
            .filter(|year| *year > 0)?;
        let date = NaiveDate::from_ymd_opt(year, number(&[m1, m2])?, number(&[d1, d2])?)?;
        let moment =
            date.and_hms_opt(number(&[h1, h2])?, number(&[n1, n2])?, number(&[s1, s2])?)?;
        Some(Self(moment.and_utc()))
    }

    /// Writes the wire's form.
    fn text(self) -> [u8; 19] {
        // By hand: a page of history has hundreds of times, and a formatter parses its pattern for
        // each.
        let mut text = *b"0000-00-00 00:00:00";
        let mut write = |at: usize, digits: usize, mut number: u32| {
            for place in text.iter_mut().skip(at).take(digits).rev() {
                *place = b'0' + u8::try_from(number % 10).unwrap_or_default();
                number /= 10;
            }
        };
        write(0, 4, self.0.year().unsigned_abs());
        write(5, 2, self.0.month());
        write(8, 2, self.0.day());
        write(11, 2, self.0.hour());
        write(14, 2, self.0.minute());
        write(17, 2, self.0.second());
        text
    }

    /// Seconds since 1970, rounded down.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.timestamp()
    }

    /// The moment with this many seconds since 1970. Returns `None` outside of the years that the
    /// wire can write.
    #[must_use]
    pub fn from_unix_seconds(seconds: i64) -> Option<Self> {
        let moment = DateTime::from_timestamp(seconds, 0)?;
        (1..=9999).contains(&moment.year()).then_some(Self(moment))
    }

    /// This moment without its fraction of a second, as on the wire.
    #[must_use]
    pub fn whole_seconds(self) -> Self {
        Self(self.0.trunc_subsecs(0))
    }

    /// A later moment, but never after the year 9999, the last one that the wire can write.
    #[must_use]
    pub fn plus(self, span: TimeDelta) -> Self {
        match self.0.checked_add_signed(span) {
            // Otherwise unchanged: a year of five digits could be stored, but no client could read
            // it.
            Some(later) if later.year() <= 9999 => Self(later),
            _ => self,
        }
    }

    /// The distance between two moments, in whatever order.
    #[must_use]
    pub fn distance(self, other: Self) -> TimeDelta {
        (self.0 - other.0).abs()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Digits and separators only, so this is always UTF-8.
        f.write_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                Timestamp::parse(text).ok_or_else(|| E::custom(format_args!("expected {EXPECTED}")))
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

    #[test]
    fn every_time_that_can_be_read_is_written_as_it_was() {
        for text in [
            "0001-01-01 00:00:00",
            "0999-12-31 23:59:59",
            "1969-12-31 23:59:59",
            "2024-02-29 09:05:01",
            "9999-12-31 23:59:59",
        ] {
            let moment = Timestamp::parse(text).unwrap();
            assert_eq!(
                (moment.to_string(), serde_json::to_string(&moment).unwrap()),
                (text.to_owned(), format!("\"{text}\""))
            );
        }
    }

    #[test]
    fn every_timestamp_can_be_written() {
        let last = Timestamp::parse("9999-12-31 23:59:59").unwrap();
        assert_eq!(
            (last.plus(TimeDelta::seconds(1)), last.plus(TimeDelta::MAX)),
            (last, last)
        );
        assert_eq!(
            last.plus(-TimeDelta::seconds(59)).to_string(),
            "9999-12-31 23:59:00"
        );
        let (one, other) = (
            Timestamp::parse("2024-03-08 14:12:48").unwrap(),
            Timestamp::parse("2024-03-08 14:12:50").unwrap(),
        );
        assert_eq!(
            (one.distance(other), other.distance(one)),
            (TimeDelta::seconds(2), TimeDelta::seconds(2))
        );
        assert_eq!(
            Timestamp(one.0 + TimeDelta::milliseconds(999)).whole_seconds(),
            one
        );
    }
}
