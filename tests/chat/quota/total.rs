//! The limit of conversations that a user takes part in.

use futures_util::future::join_all;
use serde_json::json;

use super::{count, direct, group, is_too_large, with};
use crate::{
    group::{ids, secrets},
    world::{Conversation, Person, eventually},
};

#[tokio::test]
async fn the_limit_of_conversations_holds_for_one_user_alone() {
    let world = with(3, 100).await;
    let (ann, ben) = world.friends().await;
    let cleo = world.person("Cleo").await;
    ann.befriends(&cleo).await;
    for _ in 0..3 {
        group(&ann, &[]).await.ok();
    }
    for refused in [
        group(&ann, &[]).await,
        group(&ann, &[&ben]).await,
        direct(&ann, &ben).await,
        direct(&cleo, &ann).await,
    ] {
        is_too_large(&refused, "3");
    }
    // A user at the limit is invited instead of added.
    let made = group(&ben, &[&ann, &cleo]).await.ok();
    let mut invited = ids(&[&ann, &cleo]);
    invited.sort();
    assert_eq!(
        made["invited"],
        json!(invited),
        "Cleo is no friend of Ben's, and Ann has no room"
    );
    let conversation = Conversation::of(&made["conversation"]);
    let accept = json!({ "action": "accept", "conversationid": conversation.id });
    is_too_large(
        &ann.asks_as(4, "chatconversationgroup", accept.clone())
            .await,
        "3",
    );
    cleo.asks_as(4, "chatconversationgroup", accept.clone())
        .await
        .ok();
    assert_eq!((count(&ann).await, count(&cleo).await), (3, 1));
    // Leaving one makes room for another.
    let own = ann.lists().await.ok()["conversations"][0]["id"].clone();
    ann.asks(
        "chatconversationgroup",
        json!({ "action": "leave", "conversationid": own }),
    )
    .await
    .ok();
    ann.asks_as(4, "chatconversationgroup", accept).await.ok();
    assert_eq!(count(&ann).await, 3);
    world.end().await;
}

#[tokio::test]
async fn concurrent_requests_together_stay_within_the_total() {
    let world = with(3, 100).await;
    let (ann, ben) = world.friends().await;
    let cleo = world.person("Cleo").await;
    for friend in [&ann, &ben] {
        friend.befriends(&cleo).await;
    }
    // Her own groups, two friends' groups with her, and a direct conversation.
    let answers = join_all((0..12).map(async |n| match n % 4 {
        0 => group(&cleo, &[]).await,
        1 => group(&ann, &[&cleo]).await,
        2 => group(&ben, &[&cleo]).await,
        _ => direct(&ann, &cleo).await,
    }))
    .await;
    assert!(
        answers
            .iter()
            .all(|answer| [200, 413].contains(&answer.status)),
        "{answers:?}"
    );
    assert_eq!(
        (count(&cleo).await, count(&ann).await, count(&ben).await),
        (3, 3, 3)
    );
    world.end().await;
}

#[tokio::test]
async fn friends_fill_nine_tenths_of_a_list_and_the_rest_is_its_owners() {
    let world = with(10, 100).await;
    let (ann, ben) = world.friends().await;
    for n in 0..11 {
        let made = group(&ann, &[&ben]).await;
        if n < 9 {
            assert_eq!(made.ok()["invited"], json!([]), "{n}");
        } else if n < 10 {
            assert_eq!(made.ok()["invited"], json!([ben.user]), "{n}");
        } else {
            let refusal = made.refused(413, "too_large");
            assert!(
                refusal["errormessage"]
                    .as_str()
                    .unwrap()
                    .contains("Leave a group"),
                "{refusal}"
            );
        }
    }
    assert_eq!((count(&ann).await, count(&ben).await), (10, 9));
    group(&ben, &[]).await.ok();
    // The refusal says that the other user's list is full.
    let cleo = world.person("Cleo").await;
    cleo.befriends(&ben).await;
    let refusal = direct(&cleo, &ben).await.refused(413, "too_large");
    assert!(
        refusal["errormessage"]
            .as_str()
            .unwrap()
            .starts_with("The other user"),
        "{refusal}"
    );
    world.end().await;
}

#[tokio::test]
async fn many_concurrent_additions_of_a_user_fill_nine_tenths_and_all_are_answered() {
    let world = with(10, 100).await;
    let target = world.person("Ann").await;
    let mut friends = vec![];
    for name in ["Ben", "Cleo", "Dan", "Eve"] {
        let friend = world.person(name).await;
        friend.befriends(&target).await;
        friends.push(friend);
    }
    let made = join_all((0..16).map(async |n| group(&friends[n % 4], &[&target]).await)).await;
    let put_in = made
        .iter()
        .filter(|made| made.ok()["invited"] == json!([]))
        .count();
    assert_eq!((put_in, count(&target).await), (9, 9));
    let waiting = target
        .asks_as(
            4,
            "chatconversationgroup",
            json!({ "action": "invitations" }),
        )
        .await
        .ok();
    assert_eq!(waiting["invitations"].as_array().unwrap().len(), 7);
    world.end().await;
}

#[tokio::test]
async fn concurrent_changes_to_groups_do_not_deadlock() {
    let world = with(1000, 100).await;
    let mut people = vec![];
    for name in ["Ann", "Ben", "Cleo", "Dan"] {
        people.push(world.person(name).await);
    }
    // Two pairs of friends; the others are strangers, and invited.
    people[0].befriends(&people[1]).await;
    people[2].befriends(&people[3]).await;
    let everyone: Vec<&Person> = people.iter().collect();
    let mut conversations = vec![];
    for person in &people {
        conversations.push(Conversation::of(
            &group(person, &everyone).await.ok()["conversation"],
        ));
    }
    let answers = join_all((0..64).map(async |n| {
        let (person, conversation) = (&people[n % 4], &conversations[(n / 4) % 4]);
        let mut reversed = everyone.clone();
        reversed.reverse();
        match n % 5 {
            0 => group(person, &reversed).await,
            1 => {
                let add = json!({ "action": "addparticipants", "conversationid": conversation.id, "participantids": ids(&reversed), "secrets": secrets(&everyone) });
                person.asks_as(4, "chatconversationgroup", add).await
            }
            2 => direct(person, &people[(n % 4) ^ 1]).await,
            n => {
                let action = if n == 3 { "accept" } else { "leave" };
                person.asks_as(4, "chatconversationgroup", json!({ "action": action, "conversationid": conversation.id })).await
            }
        }
    }))
    .await;
    // A deadlock, or a lock that is not released, would be answered with none of these.
    assert!(
        answers
            .iter()
            .all(|answer| [200, 403, 404, 429].contains(&answer.status)),
        "{answers:?}"
    );
    let done = answers.iter().filter(|answer| answer.status == 200).count();
    assert!(done >= 20, "{done}");
    eventually("the locks", async || {
        let locks = "select count(*) from pg_locks l join pg_class c on c.oid = l.relation where c.relname = 'quotas'";
        sqlx::query_scalar::<_, i64>(locks).fetch_one(&world.db).await.unwrap() == 0
    })
    .await;
    world.end().await;
}
