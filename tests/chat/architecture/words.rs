//! Words that must not be used, each with its replacement: terms of the field, each with one
//! meaning. The server, the web client, its tests, the scripts and the documentation are checked.

use super::files::sources;

/// Each word and its replacement. A pattern matches whole words, ignoring case; with `*` at its end
/// it matches the beginning of a word.
// Only words that are wrong wherever they stand. Others, as "floor" or "turn", are right in one
// place and wrong in the next, and are left to the reviewer.
const GIVEN_UP: &[(&str, &str)] = &[
    ("slate", "pending notifications"),
    ("slates", "pending notifications"),
    ("lent", "in_flight"),
    ("lend", "take_in_flight"),
    ("is_doubtful", "is_unconfirmed"),
    ("is_sure", "ack"),
    ("remind", "mark_changed"),
    ("hang_up", "disconnect"),
    ("is_everything", "resync"),
    ("compare everything", "resync"),
    ("leave_out", "drop_rows"),
    ("left_out", "ids_only"),
    ("is_worth", "worth_caching"),
    ("come_in", "login"),
    ("is_asked", "incoming"),
    ("unsay", "withdraw"),
    ("knock", "handshake"),
    ("converse", "run"),
    ("be_gone", "mark_offline_after_grace"),
    ("look_at", "verify"),
    ("user_anywhere", "verify_user"),
    ("keep_house", "evict_idle"),
    ("keep_company", "heartbeat"),
    ("hear_of_changed_users", "watch_user_changes"),
    ("heed", "on_connection_event"),
    ("misses_any", "has_gap"),
    ("is_served", "running"),
    ("OtherContent", "IdConflict"),
    ("forth", "forward"),
    ("hand_on", "a function"),
    ("trusted_idle", "PING_AFTER_IDLE"),
    ("patience", "a timeout that says of what"),
    ("guest_book", "users.lock"),
    ("see_guests_off", "wait_for_users"),
    ("patient_lock", "lock_timeout"),
    ("reap", "expire"),
    ("scenery", "seed"),
    ("calms_down", "drain"),
    ("sights", "visibility"),
    ("most_*", "max_*"),
    ("is_one", "the adjective"),
    ("is_on", "the adjective"),
    ("is_all", "the adjective"),
    ("is_over", "ended"),
    ("twice is as once", "idempotent"),
    ("doorFor", "loginContext"),
    ("askHow", "fetchHashing"),
    ("enterVault", "logInWithVault"),
    ("wakingOf", "pushSettings"),
    ("setWaking", "setPushSettings"),
    ("fetchNews", "fetchIncoming"),
    ("onNews", "onMessage"),
    ("newsOf", "incomingOf"),
    ("onFresh", "onIncoming"),
    ("isBarred", "isUnauthorized"),
    ("onBarred", "onUnauthorized"),
    ("whyBarred", "whyUnauthorized"),
    ("barred", "unauthorized"),
    ("noteAsked", "addSentRequest"),
    ("forgetAsked", "removeSentRequest"),
    ("settleAsked", "settleSentRequests"),
    ("showAsked", "showSentRequests"),
    ("readPost", "readTabMessage"),
    ("AccountShown", "AccountView"),
    ("fetchPatiently", "fetchWithRetries"),
    ("unchosen", "clearChosen"),
    ("besideOf", "nameHint"),
    ("letGo", "evict"),
    ("hereCount", "availableCount"),
    ("openWay", "openProxy"),
    ("openFloor", "openBaseline"),
    ("timesOfTheWay", "deliveryTimes"),
    ("patience_ms", "a timeout that says of what"),
    ("oneself", "the user, themselves"),
    ("whom one", "whom the user"),
    ("the tab that leads", "the leading tab"),
    ("let in any more", "authorized"),
    ("lies here", "is stored on this device"),
    ("lies on the device", "is stored on the device"),
    ("is told of", "is notified of"),
    ("at the door", "where it comes in"),
    ("/// Where.", "what the item is for, or nothing"),
    ("/// Who.", "what the item is for, or nothing"),
    ("/// Which.", "what the item is for, or nothing"),
    ("/// What.", "what the item is for, or nothing"),
    ("/// The truth.", "the database"),
];

/// Returns `true` when a text contains a pattern. An underscore separates words, unless the pattern
/// has one itself.
fn has(text: &str, pattern: &str) -> bool {
    let (text, pattern) = (text.to_lowercase(), pattern.to_lowercase());
    let (pattern, is_beginning) = match pattern.strip_suffix('*') {
        Some(pattern) => (pattern.to_owned(), true),
        None => (pattern, false),
    };
    let is_name = pattern.contains('_');
    let is_word = |c: char| c.is_alphanumeric() || (c == '_' && is_name);
    text.match_indices(&pattern).any(|(at, found)| {
        let before = text[..at].chars().next_back();
        let after = text[at + found.len()..].chars().next();
        !before.is_some_and(is_word) && (is_beginning || !after.is_some_and(is_word))
    })
}

/// A text's lines in one, without the marks of comments, so that a phrase is found where it is wrapped.
fn unwrapped(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.trim();
        let marks = ["///", "//!", "//", "--", "*", "#", ">"];
        let mark = marks.iter().find_map(|mark| line.strip_prefix(mark));
        mark.unwrap_or(line).trim_start()
    });
    lines.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_word_is_found_whole_in_any_case_and_at_the_beginning_where_that_is_meant() {
    assert!(has("The slate of a station", "slate") && has("a SLATE.", "slate"));
    assert!(!has("translates", "slate") && !has("slated", "slate"));
    assert!(has("my_slate", "slate") && !has("not_is_one", "is_one"));
    assert!(has("const MOST_IDS", "most_*") && !has("ALMOST_ALL", "most_*"));
    let wrapped = unwrapped("    /// It has to compare\n    /// everything.");
    assert!(has(&wrapped, "compare everything"));
    assert!(has("    /// Where.", "/// Where.") && !has("/// Where it is.", "/// Where."));
}

#[test]
fn no_forbidden_word_is_used() {
    let mut found = vec![];
    let prose = [
        "docs",
        "crates/parlance-client/README.md",
        "crates/parlance-wire/README.md",
        ".github",
        "CODE_OF_CONDUCT.md",
        "README.md",
        "ARCHITECTURE.md",
        "BENCHMARKS.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
    ];
    let web = [
        "web/core",
        "web/ui",
        "web/browser",
        "web/worker",
        "web/node",
        "web/test",
        "web/build.mjs",
        "web/test.mjs",
        "web/types.mjs",
    ];
    let mut all = sources(&["src", "crates", "tests", "fuzz"], ".rs");
    all.extend(sources(&prose, ".md"));
    // Not migrations: one that has landed is never edited.
    all.extend(sources(&["src"], ".sql"));
    for ending in [".ts", ".tsx", ".mjs", ".css", ".md"] {
        all.extend(sources(&web, ending));
    }
    all.extend(sources(&["build.rs"], ".rs"));
    all.extend(sources(&["tests"], ".py"));
    all.extend(sources(&[".github"], ".yml"));
    // Scripts have no ending, and what is deployed has several.
    all.extend(sources(&[".ci", "script", "deploy"], ""));
    all.extend(sources(
        &[
            ".env.example",
            "Cargo.toml",
            "Dockerfile",
            "docker-compose.yml",
        ],
        "",
    ));
    for source in all {
        // This list names them.
        if source.path.ends_with("architecture/words.rs") {
            continue;
        }
        let text = source.text.to_lowercase();
        let wrapped = unwrapped(&text);
        for (pattern, instead) in GIVEN_UP {
            let mut note = |place: &str| {
                found.push(format!(
                    "{}{place}: {pattern}: write {instead}",
                    source.path
                ));
            };
            if has(&source.path, pattern) {
                note("");
            }
            // Line by line only where it may stand: there are far more files than findings.
            let part = pattern.to_lowercase();
            let part = part.trim_end_matches('*');
            if text.contains(part) {
                for (number, line) in source.text.lines().enumerate() {
                    if has(line, pattern) {
                        note(&format!(":{}", number + 1));
                    }
                }
            } else if wrapped.contains(part) && has(&wrapped, pattern) {
                note(" (in two lines)");
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
