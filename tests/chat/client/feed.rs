//! Feeds whose sockets end for good, and frames that cannot be read.

use parlance_client::{Error, History, Server, StationId, message};

use super::{Feed, PASSWORD, adds, friends, hears, relayed};
use crate::world::World;

/// Ben, at a station of his.
async fn ben(url: &str, station: StationId) -> Feed {
    let server = Server::new(url).unwrap();
    let session = server.login("ben@example.org", PASSWORD, station).await;
    Feed::open(session.unwrap()).await.unwrap()
}

/// The error with which a feed ends.
async fn end(feed: &mut Feed) -> Error {
    loop {
        if let Err(error) = feed.next().await {
            return error;
        }
    }
}

#[tokio::test]
async fn a_feed_whose_station_has_another_socket_ends_and_does_not_take_it_back() {
    let world = World::new().await;
    let (ann, _, conversation) = friends(&world.url).await;
    let station = StationId::random();
    let mut old = ben(&world.url, station).await;
    let mut new = ben(&world.url, station).await;
    let ended = end(&mut old).await;
    assert!(ended.to_string().contains("another socket"), "{ended}");
    adds(&ann, &conversation, "hi").await;
    assert_eq!(hears(&mut new).await, "hi");
    // Only if the caller wants it.
    adds(&ann, &conversation, "again").await;
    assert_eq!(hears(&mut old).await, "hi");
    end(&mut new).await;
    world.end().await;
}

#[tokio::test]
async fn a_conversation_that_moves_between_two_pages_of_the_list_is_in_it_once() {
    let (world, relay) = relayed().await;
    let (ann, ben, conversation) = friends(&world.url).await;
    // More than a page, all of them newer.
    world
        .sql(&format!(
            "insert into conversations (conversation_id, is_group, instance, last_access_at, created_at)
            select md5(n::text)::uuid, true, 'AAAAAAAAAA', now() + interval '1 s', now() from generate_series(1, 1000) n;
            insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
            select md5(n::text)::uuid, '{}', '', '', 'admin', now() from generate_series(1, 1000) n",
            ben.user()
        ))
        .await;
    let server = Server::new(&relay.url).unwrap();
    let session = server.login("ben@example.org", PASSWORD, StationId::random());
    let session = session.await.unwrap();
    relay.holds.send_replace(Some("\"after\":"));
    let moves = async {
        relay.held.notified().await;
        world
            .sql(&format!(
                "update conversations set last_access_at = now() + interval '2 s' where conversation_id = '{}'",
                conversation.id
            ))
            .await;
        adds(&ann, &conversation, "it moves to the front").await;
        relay.holds.send_replace(None);
    };
    let (list, ()) = tokio::join!(session.list(), moves);
    let mut ids: Vec<_> = list.unwrap().iter().map(|one| one.id).collect();
    assert_eq!(ids.first(), Some(&conversation.id));
    assert_eq!(ids.len(), 1001);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1001);
    world.end().await;
}

#[tokio::test]
async fn a_feed_of_a_disabled_user_ends() {
    let world = World::new().await;
    let (_, user, _) = friends(&world.url).await;
    let mut feed = ben(&world.url, StationId::random()).await;
    assert!(world.sets_user_disabled(user.user(), true).await);
    let ended = end(&mut feed).await;
    assert!(ended.to_string().contains("disabled"), "{ended}");
    world.end().await;
}

#[tokio::test]
async fn what_an_unreadable_frame_told_is_downloaded() {
    let (world, relay) = relayed().await;
    let (ann, _, conversation) = friends(&world.url).await;
    let mut feed = ben(&relay.url, StationId::random()).await;
    adds(&ann, &conversation, "one").await;
    assert_eq!(hears(&mut feed).await, "one");
    let garbles = |texts: Option<(&str, &str)>| {
        *relay.garbles.lock().unwrap() = texts.map(|(from, to)| (from.into(), to.into()));
    };
    garbles(Some(("\"conversationid\":", "\"conversationix\":")));
    adds(&ann, &conversation, "two").await;
    let error = end(&mut feed).await;
    assert!(matches!(error, Error::Answer(_)), "{error:?}");
    garbles(None);
    assert_eq!(hears(&mut feed).await, "two");
    adds(&ann, &conversation, "three").await;
    assert_eq!(hears(&mut feed).await, "three");
    world.end().await;
}

#[tokio::test]
async fn a_position_at_the_end_tells_no_old_reports_when_the_newest_one_is_gone() {
    let world = World::new().await;
    let (ann, ben, conversation) = friends(&world.url).await;
    let (id, instance) = (conversation.id, &conversation.instance);
    let sends_and_sees = async || {
        let sent = message("aGVsbG8=").unwrap();
        let message = sent.id;
        ann.add(id, instance, sent).await.unwrap();
        ben.viewed(id, instance, vec![message]).await.unwrap();
        message
    };
    sends_and_sees().await;
    world
        .sql("update reports set created_at = created_at - interval '1 day'; update messages set created_at = created_at - interval '1 day'")
        .await;
    let second = sends_and_sees().await;
    let listed = ann.list().await.unwrap().remove(0);
    let mut history = History::end(&listed);
    ann.erase(id, instance, vec![second]).await.unwrap();
    let third = sends_and_sees().await;
    let page = history.next_page(&ann).await.unwrap();
    let messages: Vec<_> = page.messages.iter().map(|row| row.id).collect();
    assert_eq!(messages, [third]);
    let about: Vec<_> = page.reports.iter().map(|row| row.message_id).collect();
    assert_eq!(about, [third]);
    world.end().await;
}
