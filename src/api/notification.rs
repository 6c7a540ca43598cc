//! `srv=chatserver&api=chatnotification`: a station's pending notifications, as the answer to a
//! poll and as a socket's frame.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::answer;
use crate::{
    chat::error::Error,
    notify::{
        event::{Changes, NewRow},
        registry::{Notifications, Poll},
    },
    store::rows::HistoryRow,
};
use parlance_wire::{
    id::{ConversationId, MessageId, Receipt, StationId, UserId},
    request::notification::Action,
    version::ClientVersion,
};

#[derive(Serialize)]
struct ChangesView<'a> {
    friendavailabilitesof: Vec<UserId>,
    conversationchangedof: Vec<ConversationId>,
    conversationlistchangedof: Vec<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<EventView<'a>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    erased: Vec<ErasedView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    newstations: Vec<StationId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    typing: Vec<TypingView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<Receipt>,
}

#[derive(Serialize)]
struct EventView<'a> {
    conversationid: ConversationId,
    instance: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'a RawValue>,
    after: &'a str,
}

#[derive(Serialize)]
struct ErasedView {
    conversationid: ConversationId,
    messageids: Vec<MessageId>,
}

#[derive(Serialize)]
struct TypingView {
    conversationid: ConversationId,
    userid: UserId,
}

/// Answers a poll. `connection` is the one that it arrived on, unless the peer is a proxy.
pub(crate) fn perform(
    notifications: &Notifications,
    user: UserId,
    station: StationId,
    connection: Option<u64>,
    version: ClientVersion,
    action: Action,
) -> Result<Vec<u8>, Error> {
    let Action::Download { received } = action;
    let (changes, receipt) = notifications.poll(
        user,
        station,
        Poll {
            connection,
            received,
            version,
        },
    );
    answer::ok(ChangesView {
        receipt: version.is_v4().then_some(receipt),
        newstations: new_stations(&changes, version),
        erased: erased(&changes, version),
        // A poll gets ids only, even from a v4 client: its answer is kept until it is acknowledged,
        // and rows would make that large.
        ..view(&changes, user, ClientVersion::V3)?
    })
}

/// Changes as a frame of a socket: the same object, without `status`.
pub(crate) fn frame(
    changes: &Changes,
    user: UserId,
    version: ClientVersion,
) -> Result<Bytes, Error> {
    let render = || answer::json(&view(changes, user, version)?).map(Bytes::from);
    match changes.single_row() {
        // Nearly all pushes are a single new row. Such a frame does not depend on the user, so all
        // sockets share it.
        Some(new) if version.is_v4() => new.rendered.frame(render),
        _ => render(),
    }
}

fn view(changes: &Changes, user: UserId, version: ClientVersion) -> Result<ChangesView<'_>, Error> {
    let events = if version.is_v4() {
        let rows = changes.rows.iter();
        Some(
            rows.map(|((conversation, _), row)| event(*conversation, row))
                .collect::<Result<Vec<_>, _>>()?,
        )
    } else {
        None
    };
    Ok(ChangesView {
        friendavailabilitesof: changes.friends.iter().copied().collect(),
        conversationchangedof: changes.conversations.iter().copied().collect(),
        // The published object has no field for a resync. A changed list is closest: it makes a
        // client resync.
        conversationlistchangedof: if changes.list || changes.resync {
            vec![user]
        } else {
            vec![]
        },
        events,
        erased: erased(changes, version),
        newstations: new_stations(changes, version),
        typing: changes
            .typing
            .iter()
            .map(|(conversationid, userid)| TypingView {
                conversationid: *conversationid,
                userid: *userid,
            })
            .collect(),
        receipt: None,
    })
}

/// Erased messages by conversation, for v4 clients.
fn erased(changes: &Changes, version: ClientVersion) -> Vec<ErasedView> {
    let mut views: Vec<ErasedView> = vec![];
    for (conversation, message) in changes.erased.iter().filter(|_| version.is_v4()) {
        match views.last_mut() {
            Some(view) if view.conversationid == *conversation => view.messageids.push(*message),
            _ => views.push(ErasedView {
                conversationid: *conversation,
                messageids: vec![*message],
            }),
        }
    }
    views
}

fn new_stations(changes: &Changes, version: ClientVersion) -> Vec<StationId> {
    let stations = changes.stations.iter().filter(|_| version.is_v4());
    stations.copied().collect()
}

fn event(conversationid: ConversationId, new: &NewRow) -> Result<EventView<'_>, Error> {
    let row = new.json().map_err(|error| Error::Internal(error.into()))?;
    let (message, report) = match &new.row {
        HistoryRow::Message(_) => (Some(row), None),
        HistoryRow::Report(_) => (None, Some(row)),
    };
    Ok(EventView {
        conversationid,
        instance: new.instance.as_str(),
        message,
        report,
        after: &new.after,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::event::tests::{rows, written};

    #[test]
    fn sockets_share_the_frame_of_a_row_that_is_all_that_is_new_and_no_other() {
        let event = written(7, 1, 10);
        let changes = |list| {
            let mut changes = Changes::default();
            changes.add(&event, rows(&event), ClientVersion::V4);
            changes.list = list;
            changes
        };
        let [ann, ben] = [1, 2].map(|n| UserId::parse(&format!("{n:032x}")).unwrap());
        let frame = |list, user, version| frame(&changes(list), user, version).unwrap();
        let shared = frame(false, ann, ClientVersion::V4);
        assert_eq!(
            shared.as_ptr(),
            frame(false, ben, ClientVersion::V4).as_ptr()
        );
        // The same text as if it were rendered for a single socket.
        let text = answer::json(&view(&changes(false), ben, ClientVersion::V4).unwrap()).unwrap();
        assert_eq!(shared, text);
        let listed = [ann, ben].map(|user| frame(true, user, ClientVersion::V4));
        for (listed, user) in listed.iter().zip([ann, ben]) {
            let listed = std::str::from_utf8(listed).unwrap();
            assert!(listed.contains(&format!(r#""conversationlistchangedof":["{user}"]"#)));
        }
        let published = frame(false, ann, ClientVersion::V3);
        assert!(!std::str::from_utf8(&published).unwrap().contains("events"));
    }
}
