//! Friendships: two users are friends once both have requested it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    group,
    world::{Changes, Conversation, File, Person, Socket, World, message},
};

async fn asks(person: &Person, action: &str, other: &Person) -> u16 {
    person
        .asks(
            "chatfriends",
            json!({ "action": action, "friendid": other.user }),
        )
        .await
        .status
}

/// The friends of a user, and the users who wait for their answer.
async fn sees(person: &Person) -> (Vec<String>, Vec<String>) {
    let list = person
        .asks_as(4, "chatfriends", json!({ "action": "list" }))
        .await
        .ok();
    let friends: Vec<String> = list["friends"]
        .as_object()
        .unwrap()
        .values()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        list["availabilities"].as_array().unwrap().len(),
        friends.len()
    );
    let waiting = list["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|request| request["friendname"].as_str().unwrap().to_owned())
        .collect();
    (friends, waiting)
}

fn names(friends: &[&str], waiting: &[&str]) -> (Vec<String>, Vec<String>) {
    let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    (own(friends), own(waiting))
}

#[tokio::test]
async fn a_request_waits_until_it_is_accepted() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    for _ in 0..2 {
        assert_eq!(asks(&ann, "add", &ben).await, 200);
        assert_eq!(sees(&ann).await, names(&[], &[]));
        assert_eq!(sees(&ben).await, names(&[], &["Ann"]));
    }
    for _ in 0..2 {
        assert_eq!(asks(&ben, "accept", &ann).await, 200);
        assert_eq!(sees(&ann).await, names(&["Ben"], &[]));
        assert_eq!(sees(&ben).await, names(&["Ann"], &[]));
    }
    let published = ann.lists_friends().await.ok();
    assert_eq!(published.get("requests"), None::<&Value>);
    world.end().await;
}

#[tokio::test]
async fn two_users_who_add_each_other_at_the_same_moment_are_friends() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let (by_id, by_email) = (
        json!({ "action": "add", "friendid": ben.user }),
        json!({ "action": "add", "email": "Ann@example.org" }),
    );
    let (one, other) = tokio::join!(
        ann.asks("chatfriends", by_id),
        ben.asks("chatfriends", by_email)
    );
    one.ok();
    other.ok();
    assert_eq!(sees(&ann).await, names(&["Ben"], &[]));
    assert_eq!(sees(&ben).await, names(&["Ann"], &[]));
    world.end().await;
}

#[tokio::test]
async fn remove_ends_a_friendship_declines_a_request_and_takes_one_back() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    for (remover, other) in [(&ann, &ben), (&ben, &ann)] {
        for _ in 0..2 {
            assert_eq!(asks(remover, "remove", other).await, 200);
            assert_eq!(sees(&ann).await, names(&[], &[]));
            assert_eq!(sees(&ben).await, names(&[], &[]));
        }
        assert_eq!(asks(&ann, "add", &ben).await, 200);
    }
    world.end().await;
}

#[tokio::test]
async fn a_friendship_needs_another_existing_user_who_asked() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let stranger = "0".repeat(32);
    for action in ["add", "accept", "remove"] {
        let request = |id: &str| json!({ "action": action, "friendid": id });
        // Nobody, and somebody who has not asked, are answered alike.
        for id in [&stranger, &ben.user] {
            let answer = ann.asks("chatfriends", request(id)).await;
            if action == "accept" {
                answer.refused(403, "not_allowed");
            } else {
                answer.ok();
            }
        }
        ann.asks("chatfriends", request(&ann.user))
            .await
            .refused(400, "bad_request");
        ann.asks("chatfriends", request("x"))
            .await
            .refused(400, "bad_request");
        ann.asks("chatfriends", json!({ "action": action }))
            .await
            .refused(400, "bad_request");
    }
    ann.asks(
        "chatfriends",
        json!({ "action": "add", "email": "nobody@example.org" }),
    )
    .await
    .ok();
    ann.asks("chatfriends", json!({ "action": "add", "email": "nobody" }))
        .await
        .refused(400, "bad_request");
    assert_eq!(world.count("friendships").await, 0);
    world.end().await;
}

#[tokio::test]
async fn both_are_notified_of_each_change_and_nobody_else_is() {
    let world = World::new().await;
    let (ann, ben, cleo) = (
        world.person("Ann").await,
        world.person("Ben").await,
        world.person("Cleo").await,
    );
    for person in [&ann, &ben, &cleo] {
        person.listens().await;
    }
    for (asker, action, other) in [
        (&ann, "add", &ben),
        (&ben, "accept", &ann),
        (&ben, "remove", &ann),
    ] {
        asks(asker, action, other).await;
        // Of a request of her own Ann hears nothing.
        let hears: &[_] = match action {
            "add" => &[],
            _ => std::slice::from_ref(&ben.user),
        };
        assert_eq!(ann.hears().await.friends, hears);
        assert_eq!(ben.hears().await.friends, [ann.user.clone()]);
        assert_eq!(cleo.hears().await, Changes::default());
    }
    world.end().await;
}

#[tokio::test]
async fn who_asks_hears_the_same_whether_there_is_such_a_user_or_they_are_blocked() {
    let world = World::new().await;
    let (ann, ben, cleo) = (
        world.person("Ann").await,
        world.person("Ben").await,
        world.person("Cleo").await,
    );
    ann.blocks(&cleo).await;
    cleo.listens().await;
    let nobody = "0".repeat(32);
    for other in [&ann.user, &ben.user, &nobody] {
        for action in ["add", "remove"] {
            cleo.asks(
                "chatfriends",
                json!({ "action": action, "friendid": other }),
            )
            .await
            .ok();
            assert_eq!(cleo.hears().await, Changes::default(), "{action} {other}");
            // As much is written, or the time of the answer would tell.
            let written = world.count("friendships").await + world.count("unheard_requests").await;
            assert_eq!(written, i64::from(action == "add"), "{action} {other}");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn the_oldest_request_comes_first() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    // In at least one of the two cases this is not the order of their ids.
    for names in [["Ben", "Cleo", "Dan"], ["Dan", "Cleo", "Ben"]] {
        for name in names {
            asks(&world.person(name).await, "add", &ann).await;
        }
        assert_eq!(sees(&ann).await, self::names(&[], &names));
        for name in names {
            assert_eq!(asks(&ann, "remove", &world.person(name).await).await, 200);
        }
    }
    world.end().await;
}

#[tokio::test]
async fn who_are_friends_no_longer_do_not_write_to_each_other_until_they_are_again() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let before = message("before");
    let sends = async |person: &Person, message: &Value| {
        person
            .does(
                "add",
                &conversation,
                json!({ "message": message.to_string() }),
            )
            .await
    };
    sends(&ben, &before).await.ok();
    ann.unfriends(&ben).await.ok();
    for person in [&ann, &ben] {
        let refusal = sends(person, &message("after"))
            .await
            .refused(403, "not_friends");
        let sentence = refusal["errormessage"].as_str().unwrap();
        assert!(sentence.contains("friends"), "{sentence}");
        person
            .begins(&File::new(10), &conversation)
            .await
            .refused(403, "not_friends");
        // It stays readable, and one who asks does not open it alone.
        assert_eq!(
            person.reads(&conversation).await["messages"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
    // What was stored before is accepted again.
    sends(&ben, &before).await.ok();
    ben.requests_friendship(&ann).await.ok();
    sends(&ben, &message("with a request"))
        .await
        .refused(403, "not_friends");
    ben.unfriends(&ann).await.ok();
    sends(&ben, &message("without"))
        .await
        .refused(403, "not_friends");
    ann.befriends(&ben).await;
    for person in [&ann, &ben] {
        sends(person, &message("again")).await.ok();
    }
    // Groups are no friendships.
    let request = json!({
        "displayname": "x", "participantids": [ben.user], "secrets": group::secrets(&[&ann, &ben]),
    });
    let made = group::asks(&ann, "create", request).await.ok();
    let group = Conversation::of(&made["conversation"]);
    ben.unfriends(&ann).await.ok();
    ben.adds(&group, "in the group").await;
    // Two who ask each other at the same moment are friends, and write.
    for _ in 0..5 {
        let (one, other) =
            tokio::join!(ann.requests_friendship(&ben), ben.requests_friendship(&ann));
        one.ok();
        other.ok();
        sends(&ann, &message("at once")).await.ok();
        ann.unfriends(&ben).await.ok();
        sends(&ann, &message("not"))
            .await
            .refused(403, "not_friends");
    }
    world.end().await;
}

#[tokio::test]
async fn a_request_that_is_made_and_withdrawn_again_and_again_is_told_a_few_times() {
    let world =
        World::with(|settings| settings.timings.request_told = Duration::from_hours(1)).await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let cleo = world.person("Cleo").await;
    let mut bens = Socket::of(&ben, 3).await;
    // A request that is withdrawn and repeated is announced at once, the first times.
    for _ in 0..2 {
        ann.requests_friendship(&ben).await.ok();
        assert_eq!(
            bens.hears().await["friendavailabilitesof"],
            json!([ann.user])
        );
        ann.unfriends(&ben).await.ok();
        assert_eq!(
            bens.hears().await["friendavailabilitesof"],
            json!([ann.user])
        );
    }
    for _ in 0..10 {
        ann.requests_friendship(&ben).await.ok();
        ann.unfriends(&ben).await.ok();
    }
    bens.hears_nothing().await;
    // Others' requests are told, and an answer is told at once.
    cleo.requests_friendship(&ben).await.ok();
    assert_eq!(
        bens.hears().await["friendavailabilitesof"],
        json!([cleo.user])
    );
    ann.requests_friendship(&ben).await.ok();
    bens.hears_nothing().await;
    ann.listens().await;
    ben.requests_friendship(&ann).await.ok();
    assert_eq!(ann.hears().await.friends, [ben.user.clone()]);
    world.end().await;
}

#[tokio::test]
async fn a_withdrawn_request_is_told_in_the_end() {
    let world =
        World::with(|settings| settings.timings.request_told = Duration::from_secs(3)).await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let mut bens = Socket::of(&ben, 3).await;
    for _ in 0..3 {
        ann.requests_friendship(&ben).await.ok();
        ann.unfriends(&ben).await.ok();
    }
    bens.drain().await;
    assert_eq!(
        bens.hears().await["friendavailabilitesof"],
        json!([ann.user])
    );
    assert_eq!(sees(&ben).await, (vec![], vec![]));
    world.end().await;
}

#[tokio::test]
async fn of_very_many_requests_the_newest_are_shown_the_oldest_first() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    world
        .sql(&format!(
            "insert into users (user_id, email, full_name, nick, public_key, encrypted_private_key, created_at)
            select md5('many' || n)::uuid, 'many' || n || '@example.org', 'f', 'n' || n, '', '', now() from generate_series(1, 1003) n;
            insert into friendships select md5('many' || n)::uuid, '{}', now() + n * interval '1 second' from generate_series(1, 1003) n",
            ann.user
        ))
        .await;
    let list = json!({ "action": "list" });
    let list = ann.asks_as(4, "chatfriends", list).await.ok();
    let requests = list["requests"].as_array().unwrap();
    assert_eq!(
        (
            requests.len(),
            &requests[0]["friendname"],
            &requests[999]["friendname"]
        ),
        (1000, &json!("n4"), &json!("n1003"))
    );
    world.end().await;
}
