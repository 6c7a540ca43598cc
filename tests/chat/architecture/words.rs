//! Words that must not be used, each with its replacement: terms of the field, each with one
//! meaning.

use super::files::sources;

/// Each word and its replacement. A pattern matches whole words, ignoring case; with `*` at its end
/// it matches the beginning of a word.
const GIVEN_UP: &[(&str, &str)] = &[
    ("slate", "pending notifications"),
    ("slates", "pending notifications"),
    ("keep_house", "evict_idle"),
    ("keep_company", "heartbeat"),
    ("unsay", "withdraw"),
    ("lend", "take_in_flight"),
    ("calms_down", "drain"),
    ("hang_up", "disconnect"),
    ("be_gone", "mark_offline_after_grace"),
    ("user_anywhere", "verify_user"),
    ("/// Where.", "what the item is for, or nothing"),
    ("/// Who.", "what the item is for, or nothing"),
    ("/// Which.", "what the item is for, or nothing"),
    ("/// What.", "what the item is for, or nothing"),
    ("/// The truth.", "the database"),
];

/// Returns `true` when a text contains a pattern.
fn has(text: &str, pattern: &str) -> bool {
    let (text, pattern) = (text.to_lowercase(), pattern.to_lowercase());
    let (pattern, is_beginning) = match pattern.strip_suffix('*') {
        Some(pattern) => (pattern.to_owned(), true),
        None => (pattern, false),
    };
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(&pattern).any(|(at, found)| {
        let before = text[..at].chars().next_back();
        let after = text[at + found.len()..].chars().next();
        !before.is_some_and(is_word) && (is_beginning || !after.is_some_and(is_word))
    })
}

#[test]
fn a_word_is_found_whole_in_any_case_and_at_the_beginning_where_that_is_meant() {
    assert!(has("The slate of a station", "slate") && has("a SLATE.", "slate"));
    assert!(!has("translates", "slate") && !has("slated", "slate") && !has("my_slate", "slate"));
    assert!(has("const MOST_IDS", "most_*") && !has("ALMOST_ALL", "most_*"));
    assert!(has("    /// Where.", "/// Where.") && !has("/// Where it is.", "/// Where."));
}

#[test]
fn no_forbidden_word_is_used() {
    let mut found = vec![];
    let prose = ["docs", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];
    let mut all = sources(&["src", "crates", "tests"], ".rs");
    all.extend(sources(&prose, ".md"));
    for source in all {
        // This list names them.
        if source.path.ends_with("architecture/words.rs") {
            continue;
        }
        for (number, line) in source.text.lines().enumerate() {
            for (pattern, instead) in GIVEN_UP {
                if has(line, pattern) {
                    found.push(format!(
                        "{}:{}: {pattern}: write {instead}",
                        source.path,
                        number + 1
                    ));
                }
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
