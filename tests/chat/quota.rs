//! How many conversations a user has, and how many they create in a day. The limits hold on all nodes, whoever asks at the
//! same moment, and nobody else meets them.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;

use crate::{
    group::{ids, secrets},
    world::{Answer, Person, Talk, World},
};

async fn group(creator: &Person, others: &[&Person]) -> Answer {
    let everyone: Vec<&Person> = others.iter().copied().chain([creator]).collect();
    let request = json!({ "action": "create", "displayname": "x", "participantids": ids(others), "secrets": secrets(&everyone) });
    creator.asks_as(4, "chatconversationgroup", request).await
}

async fn direct(creator: &Person, other: &Person) -> Answer {
    creator.asks("chatconversation", creator.creation(other)).await
}

async fn count(person: &Person) -> usize {
    let list = person.asks("chatconversation", json!({ "action": "list" })).await.is_ok();
    list["conversations"].as_array().unwrap().len()
}

/// A refusal with the figure in its sentence.
#[track_caller]
fn is_too_large(answer: &Answer, figure: &str) {
    let refusal = answer.is_refused(413, "too_large");
    assert!(refusal["errormessage"].as_str().unwrap().contains(figure), "{refusal}");
}

/// A refusal that says how long it holds.
#[track_caller]
fn is_rate_limited(answer: &Answer, figure: &str) {
    let refusal = answer.is_refused(429, "rate_limited");
    let wait: u64 = answer.headers["Retry-After"].to_str().unwrap().parse().unwrap();
    assert!((1..=86_400).contains(&wait) && refusal["errormessage"].as_str().unwrap().contains(figure), "{wait} {refusal}");
}

async fn with(total: u32, day: u32) -> Arc<World> {
    World::with(|settings| {
        settings.conversations_per_user = total;
        settings.new_conversations_per_day = day;
        settings.workers = 2;
        settings.database_connections = 8;
    })
    .await
}

#[tokio::test]
async fn a_user_takes_part_in_so_many_conversations_and_everyone_else_goes_on() {
    let world = with(3, 100).await;
    let (ann, ben) = world.friends().await;
    let cleo = world.person("Cleo").await;
    ann.befriends(&cleo).await;
    for _ in 0..3 {
        group(&ann, &[]).await.is_ok();
    }
    for refused in [group(&ann, &[]).await, group(&ann, &[&ben]).await, direct(&ann, &ben).await, direct(&cleo, &ann).await] {
        is_too_large(&refused, "3");
    }
    // Who would be put into one more is invited.
    let made = group(&ben, &[&ann, &cleo]).await.is_ok();
    let mut invited = ids(&[&ann, &cleo]);
    invited.sort();
    assert_eq!(made["invited"], json!(invited), "Cleo is no friend of Ben's, and Ann has no room");
    let talk = Talk::of(&made["conversation"]);
    let accept = json!({ "action": "accept", "conversationid": talk.id });
    is_too_large(&ann.asks_as(4, "chatconversationgroup", accept.clone()).await, "3");
    cleo.asks_as(4, "chatconversationgroup", accept.clone()).await.is_ok();
    assert_eq!((count(&ann).await, count(&cleo).await), (3, 1));
    // Who leaves one may take part in another.
    let own = ann.asks("chatconversation", json!({ "action": "list" })).await.is_ok()["conversations"][0]["id"].clone();
    ann.asks("chatconversationgroup", json!({ "action": "leave", "conversationid": own })).await.is_ok();
    ann.asks_as(4, "chatconversationgroup", accept).await.is_ok();
    assert_eq!(count(&ann).await, 3);
    world.end().await;
}

#[tokio::test]
async fn those_who_ask_at_the_same_moment_do_not_pass_the_total_together() {
    let world = with(3, 100).await;
    let (ann, ben) = world.friends().await;
    let cleo = world.person("Cleo").await;
    for friend in [&ann, &ben] {
        friend.befriends(&cleo).await;
    }
    // Her own groups, two friends' groups with her in them, and a direct conversation.
    let answers = join_all((0..12).map(async |n| match n % 4 {
        0 => group(&cleo, &[]).await,
        1 => group(&ann, &[&cleo]).await,
        2 => group(&ben, &[&cleo]).await,
        _ => direct(&ann, &cleo).await,
    }))
    .await;
    assert!(answers.iter().all(|answer| [200, 413].contains(&answer.status)), "{answers:?}");
    assert_eq!((count(&cleo).await, count(&ann).await, count(&ben).await), (3, 3, 3));
    world.end().await;
}

#[tokio::test]
async fn a_user_creates_so_many_conversations_a_day_on_all_nodes_together() {
    let world = with(1000, 4).await;
    let (ann, ben) = world.friends().await;
    let talk = ann.creates(&ben).await;
    let elsewhere = {
        let options = world.store.options().clone();
        let mut settings = crate::world::settings();
        settings.database = parlance::settings::Database::Given(Box::new(options.clone()));
        settings.new_conversations_per_day = 4;
        World::on(settings, options).await
    };
    let there = Person { world: elsewhere.clone(), ..ann.clone() };
    let answers = join_all((0..12).map(async |n| group(if n % 2 == 0 { &ann } else { &there }, &[&ben]).await)).await;
    let made = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(made, 3, "{answers:?}");
    answers.iter().filter(|answer| answer.status != 200).for_each(|answer| is_rate_limited(answer, "4"));
    // What is there already is answered, and leaving one does not make room for another today.
    assert_eq!(Talk::of(&direct(&ann, &ben).await.is_ok()["conversation"]), talk);
    let id = Talk::of(&answers.iter().find(|answer| answer.status == 200).unwrap().json()["conversation"]).id;
    ann.asks("chatconversationgroup", json!({ "action": "leave", "conversationid": id })).await.is_ok();
    is_rate_limited(&group(&ann, &[]).await, "4");
    let cleo = world.person("Cleo").await;
    ann.befriends(&cleo).await;
    is_rate_limited(&direct(&ann, &cleo).await, "4");
    assert_eq!(world.count("participants where secret = 'secret for Cleo'").await, 0);
    // Everyone else goes on; and so does Ann tomorrow.
    direct(&cleo, &ann).await.is_ok();
    group(&ben, &[&ann]).await.is_ok();
    world.sql("update quotas set day = day - 1").await;
    group(&ann, &[&ben]).await.is_ok();
    elsewhere.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_refusal_uses_nothing_up() {
    let world = with(1000, 1).await;
    let (ann, ben) = world.friends().await;
    let nobody = "0".repeat(32);
    let request =
        json!({ "action": "create", "displayname": "x", "participantids": [nobody], "secrets": { &ann.user: "a", &nobody: "b" } });
    ann.asks("chatconversationgroup", request).await.is_refused(404, "user_not_found");
    ben.asks("chatblocklist", json!({ "action": "block", "userid": ann.user })).await.is_ok();
    group(&ann, &[&ben]).await.is_refused(403, "not_allowed");
    group(&ann, &[]).await.is_ok();
    is_rate_limited(&group(&ann, &[]).await, "1");
    world.end().await;
}

#[tokio::test]
async fn the_two_of_a_direct_conversation_are_charged_once_whoever_was_first() {
    let world = with(1000, 1).await;
    let (ann, ben) = world.friends().await;
    let answers = join_all((0..8).map(async |n| if n % 2 == 0 { direct(&ann, &ben).await } else { direct(&ben, &ann).await })).await;
    let talk = Talk::of(&answers[0].is_ok()["conversation"]);
    assert!(answers.iter().all(|answer| Talk::of(&answer.is_ok()["conversation"]) == talk));
    // One of the two created it, and the other one may still create something.
    let groups = [group(&ann, &[]).await, group(&ben, &[]).await];
    assert_eq!(groups.iter().filter(|answer| answer.status == 200).count(), 1, "{groups:?}");
    world.end().await;
}
