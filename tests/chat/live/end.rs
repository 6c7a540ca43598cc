//! Sockets that the server closes.

use tokio_tungstenite::tungstenite::{Error, protocol::frame::coding::CloseCode};

use crate::world::{Socket, World, address, now};

#[tokio::test]
async fn at_the_end_of_the_server_sockets_are_closed_with_1001() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let (mut anns, mut bens) = (Socket::of(&ann, 3).await, Socket::of(&ben, 4).await);
    let ((), one, other) = tokio::join!(world.stop(), anns.ends(), bens.ends());
    assert_eq!((one, other), (CloseCode::Away, CloseCode::Away));
}

#[tokio::test]
async fn a_disabled_users_socket_is_closed() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let mut socket = Socket::of(&ann, 3).await;
    world.sets_disabled(&ann, true).await;
    assert_eq!(socket.ends().await, CloseCode::Policy);
    let again = tokio_tungstenite::connect_async(address(&ann, 3, &now())).await;
    assert!(matches!(again, Err(Error::Http(answer)) if answer.status() == 403));
    world.end().await;
}
