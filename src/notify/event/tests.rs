//! Tests which rows are sent whole and which are only named.

use super::*;
use crate::store::rows::MessageRow;
use parlance_wire::{chain::Chain, time::Timestamp};

/// A message of user 1 with this many bytes, in conversation `n`.
pub(crate) fn written(n: usize, seq: i64, bytes: usize) -> Event {
    in_instance(n, seq, bytes, "AAAAAAAAAA")
}

pub(in crate::notify) fn in_instance(n: usize, seq: i64, bytes: usize, instance: &str) -> Event {
    let user_id = UserId::parse(&format!("{:032x}", 1)).unwrap();
    let (conversation, instance) = (conversation(n), Instance::parse(instance).unwrap());
    let row = MessageRow {
        seq,
        message_id: MessageId::random(),
        r#type: String::new(),
        created_at: Timestamp::now(),
        valid_until: Timestamp::now(),
        data: "x".repeat(bytes),
        user_id,
        station_id: StationId::random(),
        chain: Chain::beginning(conversation, &instance),
    };
    let rows = vec![Arc::new(NewRow {
        instance,
        seq,
        after: String::new(),
        row: HistoryRow::Message(row),
        rendered: Rendered::default(),
    })];
    Event::ConversationChanged {
        conversation,
        participants: Arc::from([user_id]),
        new: Some(NewRows {
            first: seq,
            last: seq,
            rows,
        }),
    }
}

fn conversation(n: usize) -> ConversationId {
    ConversationId::parse(&format!("{n:032x}")).unwrap()
}

/// The new rows of an event.
pub(crate) fn rows(event: &Event) -> &[Arc<NewRow>] {
    match event {
        Event::ConversationChanged { new: Some(new), .. } => &new.rows,
        _ => &[],
    }
}

#[test]
fn the_new_rows_of_a_conversation_are_kept_all_or_none() {
    let whole = |events: &[Event]| {
        let mut changes = Changes::default();
        for event in events {
            changes.add(event, rows(event), ClientVersion::V4);
        }
        assert_eq!(changes.conversations.len(), 2);
        changes.rows.keys().map(|(_, seq)| *seq).collect::<Vec<_>>()
    };
    let named = Event::ConversationChanged {
        conversation: conversation(1),
        participants: Arc::from([]),
        new: None,
    };
    assert_eq!(
        whole(&[written(1, 1, 0), written(2, 7, 0), written(1, 2, 0)]),
        [1, 2, 7]
    );
    // An event without its row, and one with a row that is too large.
    assert_eq!(
        whole(&[written(1, 1, 0), written(2, 7, 0), named, written(1, 2, 0)]),
        [7]
    );
    assert_eq!(
        whole(&[
            written(1, 1, 0),
            written(2, 7, 0),
            written(1, 2, MAX_ROW_BYTES),
            written(1, 3, 0)
        ]),
        [7]
    );
    // Dropping rows makes room for others.
    let large = MAX_ROW_BYTES - 1000;
    assert_eq!(
        whole(&[
            written(1, 1, large),
            written(1, 2, large),
            written(2, 7, large)
        ]),
        [7]
    );
}

#[test]
fn unconfirmed_rows_are_sent_again_by_id() {
    let mut sent = Changes::default();
    let event = written(1, 1, 0);
    sent.add(&event, rows(&event), ClientVersion::V4);
    let mut changes = Changes::default();
    for event in [written(1, 2, 0), written(2, 1, 0)] {
        changes.add(&event, rows(&event), ClientVersion::V4);
    }
    changes.add_again(sent);
    assert_eq!(changes.conversations.len(), 2);
    assert_eq!(
        changes.rows.keys().map(|(id, _)| *id).collect::<Vec<_>>(),
        [conversation(2)]
    );
}

#[test]
fn of_all_pushes_of_a_row_the_first_one_is_timed() {
    let rendered = Rendered::default();
    assert!(rendered.first_push().is_some());
    assert!(rendered.first_push().is_none());
}
