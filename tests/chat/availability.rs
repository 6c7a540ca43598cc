//! How available one is, and who gets to know.

use serde_json::json;

use crate::world::{News, Person, World};

async fn says(person: &Person, action: &str) {
    person.asks("chatavailability", json!({ "action": action })).await.is_ok();
}

async fn sees(person: &Person) -> String {
    let list = person.asks("chatfriends", json!({ "action": "list" })).await.is_ok();
    list["availabilities"][0]["availability"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn friends_see_what_one_says_and_hear_of_changes() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let cleo = world.person("Cleo").await;
    ben.listens().await;
    cleo.listens().await;
    assert_eq!(sees(&ben).await, "offline");
    for (action, state) in [("useravailable", "available"), ("useraway", "away"), ("userbusy", "busy"), ("useroffline", "offline")] {
        says(&ann, action).await;
        assert_eq!(sees(&ben).await, state);
        assert_eq!(ben.hears().await, News { friends: vec![ann.user.clone()], ..News::default() });
        // The same again is no news.
        says(&ann, action).await;
        assert_eq!(ben.hears().await, News::default());
    }
    assert_eq!(cleo.hears().await, News::default());
    ann.asks("chatavailability", json!({ "action": "userasleep" })).await.is_refused(404, "unknown_action");
    world.end().await;
}

#[tokio::test]
async fn one_who_is_blocked_sees_offline_and_hears_nothing() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    says(&ann, "useravailable").await;
    ann.asks("chatblocklist", json!({ "action": "block", "userid": ben.user })).await.is_ok();
    ben.listens().await;
    assert_eq!(sees(&ben).await, "offline");
    says(&ann, "userbusy").await;
    assert_eq!(ben.hears().await, News::default());
    // The other way round nothing is hidden.
    says(&ben, "useraway").await;
    assert_eq!(sees(&ann).await, "away");
    ann.asks("chatblocklist", json!({ "action": "unblock", "userid": ben.user })).await.is_ok();
    assert_eq!(sees(&ben).await, "busy");
    world.end().await;
}
