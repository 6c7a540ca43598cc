//! Names of people, without invisible characters or ones that change the direction of others.

use std::{borrow::Cow, fmt};

use precis_core::profile::PrecisFastInvocation;
use precis_profiles::{OpaqueString, UsernameCasePreserved};
use serde::{Deserialize, Deserializer, Serialize, de};
use unicode_normalization::char::is_combining_mark;

/// Maximum length of a nick, a station's name and a full name, in characters.
const MAX_NICK: usize = 64;
const MAX_STATION_NAME: usize = 64;
const MAX_FULL_NAME: usize = 128;
/// Maximum bytes per character; longer text is refused without a closer look.
const BYTES: usize = 4;

/// A person's full name: an `OpaqueString` of RFC 8265, 4.2, in its normal form.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(transparent)]
pub struct FullName(String);

impl FullName {
    /// The required form, for errors.
    pub const EXPECTED: &'static str = "1 to 128 characters, with something visible, without control or format characters, leading or trailing spaces, a leading accent";

    /// Checks and normalizes a name: decomposed accents, and spaces of other kinds. Returns `None` for
    /// any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        freeform(text, MAX_FULL_NAME).map(Self)
    }

    /// The normalized name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A user's name for a station, or an operator's for an apikey: an `OpaqueString` of RFC 8265, 4.2,
/// in its normal form.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(transparent)]
pub struct StationName(String);

impl StationName {
    /// The required form, for errors.
    pub const EXPECTED: &'static str = "1 to 64 characters, with something visible, without control or format characters, leading or trailing spaces, a leading accent";

    /// Checks and normalizes a name, as [`FullName`] does. Returns `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        freeform(text, MAX_STATION_NAME).map(Self)
    }

    /// The normalized name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The short name that others see: a user name of RFC 8265, 3.4 (`UsernameCasePreserved`), possibly
/// of several parts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(transparent)]
pub struct Nick(String);

impl Nick {
    /// The required form, for errors.
    pub const EXPECTED: &'static str = "1 to 64 characters: letters, digits and ASCII signs, with single spaces between words (RFC 8265)";

    /// Checks and normalizes a nick: fullwidth letters and decomposed accents. Returns `None` for
    /// any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // Checked before the work; normalizing may make a text longer or shorter.
        if text.len() > MAX_NICK * BYTES * 4 {
            return None;
        }
        // RFC 8265, 3.5.1: the parts are separated by single spaces.
        let parts: Option<Vec<Cow<'_, str>>> = text
            .split(' ')
            .map(|part| {
                UsernameCasePreserved::enforce(part)
                    .ok()
                    .filter(|part| is_visible(part))
            })
            .collect();
        let nick = parts?.join(" ");
        fits(&nick, MAX_NICK).then_some(Self(nick))
    }

    /// The normalized nick.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The skeleton of the nick: see [`skeleton`].
    #[must_use]
    pub fn skeleton(&self) -> String {
        skeleton(&self.0)
    }
}

/// The skeleton of a name: names that may be taken for each other have the same one (Unicode TS 39,
/// 4), whatever their spaces and the case of their Latin letters. For comparing, not for showing.
// Another result than before takes a migration that empties those that are stored.
#[must_use]
pub fn skeleton(name: &str) -> String {
    let lower = |text: &str| {
        unicode_security::skeleton(text)
            .filter(|c| *c != ' ')
            .collect::<String>()
            .to_lowercase()
    };
    let seen = lower(name);
    // In both cases: `I` looks like `l`, and `m` like `rn`, while `i` and `M` do not.
    lower(&lower(&seen.to_uppercase()))
}

fn freeform(text: &str, most: usize) -> Option<String> {
    // Checked before the work, as for a nick.
    if text.len() > most * BYTES * 4 {
        return None;
    }
    let name = OpaqueString::enforce(text).ok()?;
    // Names that look alike must not differ in spaces at their ends.
    (fits(&name, most) && name.trim() == &*name && is_visible(&name)).then(|| name.into_owned())
}

/// Whether something of a text is seen, and nothing of it on what stands before it: it does not begin
/// with a combining mark, and has more than spaces.
fn is_visible(text: &str) -> bool {
    // U+2800 is a braille cell without dots: a symbol, which looks like a space.
    let is_seen = |c: char| !c.is_whitespace() && c != '\u{2800}' && !is_combining_mark(c);
    !text.starts_with(is_combining_mark) && text.contains(is_seen)
}

fn fits(text: &str, most: usize) -> bool {
    text.len() <= most * BYTES && (1..=most).contains(&text.chars().count())
}

text_form!(FullName);
text_form!(Nick);
text_form!(StationName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_no_invisible_or_direction_changing_character() {
        for name in [
            "Ann",
            "Ann Example",
            "José",
            "Анна",
            "安娜",
            "דנה",
            "Ann-Marie (work)",
        ] {
            assert!(
                Nick::parse(name).is_some_and(|nick| nick.as_str() == name),
                "{name}"
            );
            assert!(FullName::parse(name).is_some(), "{name}");
        }
        for wrong in [
            "",
            " Ann",
            "Ann ",
            "A\nn",
            "A\u{7f}n",
            "An\u{200b}n",
            "\u{202e}nnA",
            "\u{2066}Ann",
            "Ann\u{feff}",
            "An\u{ad}n",
            "Ann\u{2028}",
            "Ann\u{e0041}",
            "Ann\u{e000}",
        ] {
            assert!(Nick::parse(wrong).is_none(), "{wrong:?}");
            assert!(FullName::parse(wrong).is_none(), "{wrong:?}");
        }
        // A nick consists of words; a full name may have any visible text.
        assert!(Nick::parse("Ann  Example").is_none() && FullName::parse("Ann  Example").is_some());
        assert!(Nick::parse("Ann ☺").is_none() && FullName::parse("Ann ☺").is_some());
    }

    #[test]
    fn a_name_is_seen_and_does_not_change_what_stands_before_it() {
        for wrong in [
            "\u{2800}",
            "\u{2800}\u{2800} \u{2800}",
            "\u{301}",
            "\u{301}Ann",
            "\u{2800}\u{301}",
        ] {
            assert!(FullName::parse(wrong).is_none(), "{wrong:?}");
            assert!(StationName::parse(wrong).is_none(), "{wrong:?}");
            assert!(Nick::parse(wrong).is_none(), "{wrong:?}");
        }
        assert!(Nick::parse("Ann \u{301}").is_none());
        // Braille, and marks on letters.
        assert!(FullName::parse("\u{2801}\u{2800}\u{281d}").is_some());
        for name in ["ไก่", "हिन्दी", "Z\u{35b}"] {
            assert!(Nick::parse(name).is_some(), "{name}");
        }
    }

    #[test]
    fn every_kind_of_name_has_one_form() {
        let (decomposed, composed) = ("Jose\u{301} at\u{a0}home", "José at home");
        for name in [
            FullName::parse(decomposed).unwrap().as_str(),
            StationName::parse(decomposed).unwrap().as_str(),
            Nick::parse("Jose\u{301} at home").unwrap().as_str(),
        ] {
            assert_eq!(name, composed);
        }
    }

    #[test]
    fn a_nick_is_normalised() {
        assert_eq!(Nick::parse("Jose\u{301}").unwrap().as_str(), "José");
        assert_eq!(Nick::parse("Ａｎｎ").unwrap().as_str(), "Ann");
    }

    #[test]
    fn nicks_that_look_alike_have_one_skeleton() {
        let skeleton = |nick: &str| Nick::parse(nick).unwrap().skeleton();
        for (one, other) in [
            ("Boss", "Воss"),
            ("Boss", "boss"),
            ("Boss", "B0ss"),
            ("Modern", "Modem"),
            ("Ivan", "lvan"),
            ("ivan", "lvan"),
            ("IVAN", "Ivan"),
            ("Mary", "mary"),
            ("Mary", "rnary"),
            ("MARY", "mary"),
            ("Ann Example", "AnnExample"),
        ] {
            assert_eq!(skeleton(one), skeleton(other), "{one} {other}");
        }
        for (one, other) in [("Ann", "Anna"), ("Ivan", "Evan"), ("Mary", "Nary")] {
            assert_ne!(skeleton(one), skeleton(other), "{one} {other}");
        }
        for small in 'a'..='z' {
            let capital = small.to_ascii_uppercase().to_string();
            assert_eq!(skeleton(&capital), skeleton(&small.to_string()), "{small}");
        }
    }

    #[test]
    fn a_name_is_as_long_as_it_may_be_and_no_longer() {
        for letter in ["a", "é", "𠀋"] {
            assert!(Nick::parse(&letter.repeat(64)).is_some(), "{letter}");
            assert!(Nick::parse(&letter.repeat(65)).is_none(), "{letter}");
            assert!(FullName::parse(&letter.repeat(128)).is_some(), "{letter}");
            assert!(FullName::parse(&letter.repeat(129)).is_none(), "{letter}");
        }
        assert!(Nick::parse(&"a".repeat(1 << 20)).is_none());
    }
}
