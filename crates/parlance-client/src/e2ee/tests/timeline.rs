//! What a conversation shows: the same cases as those of the web client (`web/test/unit/timeline.test.ts`).

use parlance_wire::{
    id::{MessageId, UserId},
    time::Timestamp,
    word::ReportType,
};

use crate::e2ee::{
    Content, FileReference, Kind, Reply, WireType,
    timeline::{Entry, Progress, Reactions, Row, Standing, Timeline, Trouble},
};

fn user(n: u8) -> UserId {
    UserId::parse(&format!("{n:032}")).unwrap()
}

fn id(n: i64) -> MessageId {
    MessageId::parse(&format!("00000000-0000-0000-0000-{n:012}")).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::parse(&format!("2026-11-24 12:00:{seconds:02}")).unwrap()
}

fn text(text: &str) -> Kind {
    Kind::Text {
        text: text.into(),
        reply: None,
        mentions: vec![],
    }
}

fn edit(of: i64, text: &str) -> Kind {
    Kind::Edit {
        of: id(of),
        text: text.into(),
        mentions: vec![],
    }
}

fn delete(of: i64) -> Kind {
    Kind::Delete { of: vec![id(of)] }
}

fn react(of: i64, emoji: &str, off: bool) -> Kind {
    Kind::Reaction {
        of: id(of),
        emoji: emoji.into(),
        off,
    }
}

fn row(seq: i64, by: u8, kind: Kind) -> Row {
    Row {
        seq,
        id: id(seq),
        user: user(by),
        at: at(seq),
        until: None,
        wire_type: kind.wire_type(),
        content: Some(Content::Known(kind)),
        standing: if by == CLEO {
            Standing::Admin
        } else {
            Standing::Other
        },
        is_signed: true,
        has_problem: false,
    }
}

/// A row of a direct conversation.
fn of_two(row: Row) -> Row {
    Row {
        standing: Standing::OneOfTwo,
        ..row
    }
}

const ANN: u8 = 1;
const BEN: u8 = 2;
/// An admin.
const CLEO: u8 = 3;

fn timeline(rows: impl IntoIterator<Item = Row>) -> Timeline {
    let mut timeline = Timeline::new(user(ANN));
    for row in rows {
        timeline.add(row);
    }
    timeline
}

fn entries(timeline: &Timeline) -> Vec<Entry> {
    timeline.entries(at(30))
}

fn show(rows: impl IntoIterator<Item = Row>) -> Vec<Entry> {
    entries(&timeline(rows))
}

fn texts(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| &entry.text[..]).collect()
}

#[test]
fn only_its_writer_can_change_a_text_and_the_newest_change_counts() {
    let shown = show([
        row(1, ANN, text("one")),
        row(2, ANN, edit(1, "two")),
        row(3, BEN, edit(1, "forged")),
        row(4, ANN, edit(1, "three")),
        row(5, BEN, edit(1, "forged again")),
    ]);
    assert_eq!(texts(&shown), ["three"]);
    assert!(shown[0].is_edited);
    assert!(!show([row(1, ANN, text("one"))])[0].is_edited);
}

#[test]
fn what_is_deleted_says_nothing_and_others_cannot_delete_but_admins_can() {
    let shown = show([
        row(1, ANN, text("mine")),
        row(2, ANN, text("hers")),
        row(3, ANN, text("stays")),
        row(4, ANN, delete(1)),
        row(5, CLEO, delete(2)),
        row(6, BEN, delete(3)),
        row(7, BEN, react(1, "👍", false)),
    ]);
    let seen = shown.iter().map(|one| (one.is_deleted, &one.text[..]));
    assert_eq!(
        seen.collect::<Vec<_>>(),
        [(true, ""), (true, ""), (false, "stays")]
    );
    assert!(shown[0].reactions.is_empty());
    // In a direct conversation nobody is an admin.
    let of_two = show([row(1, ANN, text("hers")), of_two(row(2, CLEO, delete(1)))]);
    assert!(!of_two[0].is_deleted);
    // By the server, for everyone.
    let mut erased = timeline([row(1, BEN, text("erased"))]);
    erased.erase(id(1));
    assert!(entries(&erased)[0].is_deleted);
}

#[test]
fn whoever_becomes_an_admin_later_or_is_one_no_longer_has_deleted_what_they_could_then() {
    let as_of = |standing, row: Row| Row { standing, ..row };
    let shown = show([
        row(1, ANN, text("deleted by an admin of then")),
        row(2, ANN, text("not deleted by one of now")),
        as_of(Standing::Admin, row(3, BEN, delete(1))),
        as_of(Standing::Other, row(4, CLEO, delete(2))),
        // Since then they have changed places.
        as_of(Standing::Other, row(5, BEN, text("I was one"))),
        as_of(Standing::Admin, row(6, CLEO, text("I am one"))),
    ]);
    let deleted = shown.iter().map(|one| one.is_deleted);
    assert_eq!(deleted.collect::<Vec<_>>(), [true, false, false, false]);
}

#[test]
fn a_reaction_has_one_state_for_each_person_and_emoji() {
    let shown = show([
        row(1, ANN, text("x")),
        row(2, BEN, react(1, "👍", false)),
        row(3, BEN, react(1, "👍", false)),
        row(4, ANN, react(1, "👍", false)),
        row(5, CLEO, react(1, "🎉", false)),
        row(6, CLEO, react(1, "🎉", true)),
    ]);
    let thumbs = Reactions {
        emoji: "👍".into(),
        users: vec![user(BEN), user(ANN)],
    };
    assert_eq!(shown[0].reactions, [thumbs]);
}

#[test]
fn an_update_that_nobody_signed_has_no_effect() {
    let unsigned = |row: Row| Row {
        is_signed: false,
        ..row
    };
    let shown = show([
        row(1, ANN, text("x")),
        unsigned(row(2, ANN, edit(1, "y"))),
        unsigned(row(3, ANN, delete(1))),
        unsigned(row(4, BEN, text("shown with a warning"))),
    ]);
    assert_eq!(texts(&shown), ["x", "shown with a warning"]);
    assert_eq!((shown[0].is_deleted, shown[0].trouble), (false, None));
    assert_eq!(shown[1].trouble, Some(Trouble::HasProblem));
}

#[test]
fn a_signed_update_counts_although_something_else_is_wrong() {
    let warned = |row: Row| Row {
        has_problem: true,
        ..row
    };
    let shown = show([
        row(1, ANN, text("x")),
        row(2, ANN, text("deleted")),
        warned(row(3, ANN, edit(1, "y"))),
        warned(row(4, ANN, delete(2))),
        // Whose it is counts as ever.
        warned(row(5, BEN, edit(1, "z"))),
        warned(row(6, BEN, text("shown with a warning"))),
    ]);
    assert_eq!(texts(&shown), ["y", "", "shown with a warning"]);
    assert_eq!((shown[0].is_edited, shown[0].trouble), (true, None));
    assert!(shown[1].is_deleted);
    assert_eq!(shown[2].trouble, Some(Trouble::HasProblem));
}

#[test]
fn an_unknown_kind_shows_its_other_text_and_nothing_is_dropped() {
    let of = |seq, content| Row {
        content,
        ..row(seq, BEN, text(""))
    };
    let unknown = |alt: Option<&str>| {
        Some(Content::Unknown {
            kind: "poll".into(),
            alt: alt.map(str::to_owned),
        })
    };
    let shown = show([
        of(1, unknown(Some("a poll"))),
        of(2, unknown(Some(""))),
        of(3, unknown(None)),
        of(4, Some(Content::Newer(2))),
        of(5, None),
        // An update that cannot be opened is none to show.
        Row {
            wire_type: WireType::Update,
            ..of(6, None)
        },
    ]);
    let seen = shown.iter().map(|one| (&one.text[..], one.trouble));
    assert_eq!(
        seen.collect::<Vec<_>>(),
        [
            ("a poll", None),
            ("", Some(Trouble::NewerClient)),
            ("", Some(Trouble::NewerClient)),
            ("", Some(Trouble::NewerClient)),
            ("", Some(Trouble::Unreadable)),
        ]
    );
}

#[test]
fn what_receipts_say_only_goes_up() {
    let mut timeline = timeline([
        row(1, ANN, text("a")),
        row(5, ANN, text("b")),
        row(9, ANN, text("c")),
        row(10, BEN, text("d")),
    ]);
    timeline.report(user(BEN), id(1), ReportType::Viewed);
    timeline.report(user(BEN), id(1), ReportType::Delivered);
    timeline.report(user(BEN), id(5), ReportType::Delivered);
    // One's own say nothing, nor those of what is not here.
    timeline.report(user(ANN), id(9), ReportType::Viewed);
    timeline.report(user(BEN), id(11), ReportType::Viewed);
    let shown = entries(&timeline);
    let seen = shown.iter().map(|one| (one.progress, one.seen_by.len()));
    assert_eq!(
        seen.collect::<Vec<_>>(),
        [
            (Some(Progress::Seen), 1),
            (Some(Progress::Delivered), 0),
            (Some(Progress::Sent), 0),
            (None, 0),
        ]
    );
    // Once it is here.
    timeline.add(row(11, ANN, text("e")));
    assert_eq!(entries(&timeline)[2].progress, Some(Progress::Seen));
}

#[test]
fn a_reply_shows_its_target_and_not_what_it_claims_of_it() {
    let reply = Kind::Text {
        text: "no".into(),
        reply: Some(Reply {
            id: id(1),
            user: user(CLEO),
            quote: "something else".into(),
        }),
        mentions: vec![user(BEN)],
    };
    let answer = row(3, ANN, reply);
    let quoted = |rows: &[Row]| {
        let shown = show(rows.iter().chain([&answer]).cloned());
        let reply = shown.last().unwrap().reply.clone().unwrap();
        (reply.user, reply.quote)
    };
    let target = [row(1, BEN, text("x")), row(2, BEN, edit(1, "y"))];
    assert_eq!(quoted(&target), (user(BEN), "y".into()));
    assert_eq!(quoted(&[]), (user(CLEO), "something else".into()));
    let deleted = [row(1, BEN, text("x")), row(2, BEN, delete(1))];
    assert_eq!(quoted(&deleted), (user(BEN), String::new()));
    let over = Row {
        until: Some(at(30)),
        ..row(1, BEN, text("x"))
    };
    assert_eq!(quoted(&[over]), (user(CLEO), "something else".into()));
    let long = [row(1, BEN, text(&"é".repeat(201)))];
    assert_eq!(quoted(&long).1, "é".repeat(200));
    let shown = show([answer.clone()]);
    assert_eq!(shown[0].mentions, [user(BEN)]);
}

#[test]
fn files_are_shown_with_what_they_reply_to_and_quoted_by_their_names() {
    let file = |name: &str| -> FileReference {
        serde_json::from_value(serde_json::json!({
            "id": "fc2515cb-e483-4f64-936b-98f680565c96", "name": name, "mime": "image/png", "size": 1, "records": 1,
            "key": "", "digest": "",
        }))
        .unwrap()
    };
    let reply = |of: i64| {
        Some(Reply {
            id: id(of),
            user: user(CLEO),
            quote: String::new(),
        })
    };
    let files = |seq, names: &[&str], text: &str, reply| {
        let kind = Kind::File {
            files: names.iter().map(|name| file(name)).collect(),
            text: text.into(),
            reply,
            mentions: vec![user(CLEO)],
        };
        row(seq, BEN, kind)
    };
    let shown = show([
        files(1, &["a.png", "b.png"], "", None),
        files(2, &["c.png"], "caption", reply(1)),
        row(3, BEN, edit(2, "better")),
        files(4, &["d.png"], "", reply(2)),
    ]);
    assert_eq!(shown[1].reply.as_ref().unwrap().quote, "a.png, b.png");
    assert_eq!(shown[2].reply.as_ref().unwrap().quote, "better");
    assert_eq!(shown[0].mentions, [user(CLEO)]);
    assert_eq!((shown[1].files.len(), &shown[1].text[..]), (1, "better"));
}

#[test]
fn what_is_over_is_not_shown() {
    let over = Row {
        until: Some(at(30)),
        ..row(1, BEN, text("x"))
    };
    let stays = Row {
        until: Some(at(31)),
        ..row(2, BEN, text("y"))
    };
    assert_eq!(texts(&show([over, stays])), ["y"]);
}

#[test]
fn the_result_does_not_depend_on_the_order_in_which_rows_came() {
    // Numbers that look like random ones, the same each time.
    let mut state = 1_u64;
    let mut below = |end: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % end
    };
    for _ in 0..200 {
        let mut rows: Vec<Row> = (1..=30)
            .map(|seq| {
                let of = 1 + below(30).cast_signed();
                let kind = match below(4) {
                    0 => text(&format!("text {seq}")),
                    1 => edit(of, &format!("edit {seq}")),
                    2 => react(of, ["👍", "🎉"][usize::from(below(2) == 0)], below(5) < 2),
                    _ => delete(of),
                };
                row(
                    seq,
                    [ANN, BEN, CLEO][usize::try_from(below(3)).unwrap()],
                    kind,
                )
            })
            .collect();
        let in_order = show(rows.clone());
        rows.sort_by_cached_key(|_| below(1000));
        assert_eq!(show(rows), in_order);
    }
}

#[test]
fn admins_pin_in_a_group_and_either_of_the_two_in_a_direct_conversation() {
    let pin = |of, off| Kind::Pin { of: id(of), off };
    let rows = [
        row(1, ANN, text("one")),
        row(2, ANN, text("two")),
        row(3, CLEO, pin(1, false)),
        row(4, BEN, pin(1, true)),
        row(5, BEN, pin(2, false)),
        row(6, ANN, text("three")),
        row(7, CLEO, pin(6, false)),
        row(8, CLEO, pin(6, true)),
    ];
    let pinned = |shown: &[Entry]| shown.iter().map(|one| one.is_pinned).collect::<Vec<_>>();
    assert_eq!(pinned(&show(rows.clone())), [true, false, false]);
    let direct = show(rows.map(of_two));
    assert_eq!(pinned(&direct), [false, true, false]);
    // Nor is anything pinned that was deleted, or by what is not signed.
    let deleted = show([
        row(1, ANN, text("one")),
        row(2, CLEO, pin(1, false)),
        row(3, ANN, delete(1)),
    ]);
    assert_eq!(pinned(&deleted), [false]);
    let mut unsigned = row(2, CLEO, pin(1, false));
    unsigned.is_signed = false;
    assert_eq!(pinned(&show([row(1, ANN, text("one")), unsigned])), [false]);
}
