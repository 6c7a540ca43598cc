//! The lines of the log: docs/operating.md says what each warning and each error means.

use super::files::sources;

/// What begins a warning or an error. The last one is of `store/embedded/supervise.rs`.
const LINES: [&str; 3] = ["tracing::warn!(", "tracing::error!(", " warn(&error,"];

/// The messages of a file's warnings and errors: the last text of each.
fn messages(text: &str) -> Vec<String> {
    let mut found = vec![];
    for begin in LINES {
        found.extend(text.split(begin).skip(1).filter_map(last_literal));
    }
    found
}

/// The last text within the parentheses that are open.
fn last_literal(text: &str) -> Option<String> {
    let (mut depth, mut last) = (1, None);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            '"' => last = Some(rest.by_ref().take_while(|c| *c != '"').collect()),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    last
}

/// Whether a line with this message is one of those that a phrase of the page stands for.
fn is_meant(phrase: &str, message: &str) -> bool {
    let phrase = phrase.replace(" N ", " … ");
    let parts: Vec<&str> = phrase.split('…').map(str::trim).collect();
    let mut rest = message;
    let in_order = parts.iter().all(|part| match rest.split_once(*part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    });
    // A word or two would stand for too much.
    in_order && parts.iter().map(|part| part.len()).sum::<usize>() >= 8
}

#[test]
fn what_a_phrase_stands_for_is_found() {
    let text = "tracing::warn!(error = f(&e), \"the clock (or {x}) jumped to {now}\");";
    let messages = messages(text);
    assert_eq!(messages, ["the clock (or {x}) jumped to {now}"]);
    for (phrase, is_it) in [
        ("… jumped to …", true),
        ("the clock … jumped", true),
        ("jumped … the clock", false),
        ("the …", false),
    ] {
        assert_eq!(is_meant(phrase, &messages[0]), is_it, "{phrase}");
    }
}

#[test]
fn each_warning_and_error_is_explained() {
    let page = sources(&["docs/operating.md"], "md").remove(0).text;
    let table = page.split("## The log").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let phrases: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    let mut missing = vec![];
    for source in sources(&["src"], ".rs") {
        for message in messages(&source.text) {
            // Formatted elsewhere.
            let is_text = message.contains(' ');
            if is_text && !phrases.iter().any(|phrase| is_meant(phrase, &message)) {
                missing.push(format!("{}: {message}", source.path));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "docs/operating.md explains none of {missing:#?}"
    );
}
