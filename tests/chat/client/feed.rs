//! Feeds whose sockets end for good, and frames that cannot be read.

use parlance_client::{Error, Server, StationId};

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
