//! How many conversations a user has, and how many they create in a day. The limits hold on all nodes, whoever asks at the
//! same moment, and nobody else meets them.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row};

use crate::{
    group::{ids, secrets},
    plans,
    world::{Answer, Person, Talk, World, eventually},
};

async fn group(creator: &Person, others: &[&Person]) -> Answer {
    let everyone: Vec<&Person> = others.iter().copied().chain([creator]).collect();
    let request = json!({ "action": "create", "displayname": "x", "participantids": ids(others), "secrets": secrets(&everyone) });
    creator.asks_as(4, "chatconversationgroup", request).await
}

async fn direct(creator: &Person, other: &Person) -> Answer {
    creator
        .asks("chatconversation", creator.creation(other))
        .await
}

async fn count(person: &Person) -> usize {
    let list = person
        .asks("chatconversation", json!({ "action": "list" }))
        .await
        .is_ok();
    list["conversations"].as_array().unwrap().len()
}

/// A refusal with the figure in its sentence.
#[track_caller]
fn is_too_large(answer: &Answer, figure: &str) {
    let refusal = answer.is_refused(413, "too_large");
    assert!(
        refusal["errormessage"].as_str().unwrap().contains(figure),
        "{refusal}"
    );
}

/// A refusal that says how long it holds.
#[track_caller]
fn is_rate_limited(answer: &Answer, figure: &str) {
    let refusal = answer.is_refused(429, "rate_limited");
    let wait: u64 = answer.headers["Retry-After"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(
        (1..=86_400).contains(&wait) && refusal["errormessage"].as_str().unwrap().contains(figure),
        "{wait} {refusal}"
    );
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
    for refused in [
        group(&ann, &[]).await,
        group(&ann, &[&ben]).await,
        direct(&ann, &ben).await,
        direct(&cleo, &ann).await,
    ] {
        is_too_large(&refused, "3");
    }
    // Who would be put into one more is invited.
    let made = group(&ben, &[&ann, &cleo]).await.is_ok();
    let mut invited = ids(&[&ann, &cleo]);
    invited.sort();
    assert_eq!(
        made["invited"],
        json!(invited),
        "Cleo is no friend of Ben's, and Ann has no room"
    );
    let talk = Talk::of(&made["conversation"]);
    let accept = json!({ "action": "accept", "conversationid": talk.id });
    is_too_large(
        &ann.asks_as(4, "chatconversationgroup", accept.clone())
            .await,
        "3",
    );
    cleo.asks_as(4, "chatconversationgroup", accept.clone())
        .await
        .is_ok();
    assert_eq!((count(&ann).await, count(&cleo).await), (3, 1));
    // Who leaves one may take part in another.
    let own = ann
        .asks("chatconversation", json!({ "action": "list" }))
        .await
        .is_ok()["conversations"][0]["id"]
        .clone();
    ann.asks(
        "chatconversationgroup",
        json!({ "action": "leave", "conversationid": own }),
    )
    .await
    .is_ok();
    ann.asks_as(4, "chatconversationgroup", accept)
        .await
        .is_ok();
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
    let there = Person {
        world: elsewhere.clone(),
        ..ann.clone()
    };
    let answers = join_all(
        (0..12).map(async |n| group(if n % 2 == 0 { &ann } else { &there }, &[&ben]).await),
    )
    .await;
    let made = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(made, 3, "{answers:?}");
    answers
        .iter()
        .filter(|answer| answer.status != 200)
        .for_each(|answer| is_rate_limited(answer, "4"));
    // What is there already is answered, and leaving one does not make room for another today.
    assert_eq!(
        Talk::of(&direct(&ann, &ben).await.is_ok()["conversation"]),
        talk
    );
    let id = Talk::of(
        &answers
            .iter()
            .find(|answer| answer.status == 200)
            .unwrap()
            .json()["conversation"],
    )
    .id;
    ann.asks(
        "chatconversationgroup",
        json!({ "action": "leave", "conversationid": id }),
    )
    .await
    .is_ok();
    is_rate_limited(&group(&ann, &[]).await, "4");
    let cleo = world.person("Cleo").await;
    ann.befriends(&cleo).await;
    is_rate_limited(&direct(&ann, &cleo).await, "4");
    assert_eq!(
        world
            .count("participants where secret = 'secret for Cleo'")
            .await,
        0
    );
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
    let request = json!({ "action": "create", "displayname": "x", "participantids": [nobody], "secrets": { &ann.user: "a", &nobody: "b" } });
    ann.asks("chatconversationgroup", request)
        .await
        .is_refused(404, "user_not_found");
    ben.asks(
        "chatblocklist",
        json!({ "action": "block", "userid": ann.user }),
    )
    .await
    .is_ok();
    group(&ann, &[&ben]).await.is_refused(403, "not_allowed");
    group(&ann, &[]).await.is_ok();
    is_rate_limited(&group(&ann, &[]).await, "1");
    world.end().await;
}

#[tokio::test]
async fn the_two_of_a_direct_conversation_are_charged_once_whoever_was_first() {
    let world = with(1000, 1).await;
    let (ann, ben) = world.friends().await;
    let answers = join_all((0..8).map(async |n| {
        if n % 2 == 0 {
            direct(&ann, &ben).await
        } else {
            direct(&ben, &ann).await
        }
    }))
    .await;
    let talk = Talk::of(&answers[0].is_ok()["conversation"]);
    assert!(
        answers
            .iter()
            .all(|answer| Talk::of(&answer.is_ok()["conversation"]) == talk)
    );
    // One of the two created it, and the other one may still create something.
    let groups = [group(&ann, &[]).await, group(&ben, &[]).await];
    assert_eq!(
        groups.iter().filter(|answer| answer.status == 200).count(),
        1,
        "{groups:?}"
    );
    world.end().await;
}

/// So many people who never logged in, by id.
async fn many(world: &World, count: usize) -> Vec<String> {
    world
        .sql(&format!(
            "insert into users (user_id, email, full_name, nick, public_key, encrypted_private_key, created_at)
            select md5('many' || n)::uuid, 'many' || n, n, n, '', '', now() from generate_series(1, {count}) n"
        ))
        .await;
    let ids = "select replace(user_id::text, '-', '') from users where email like 'many%' order by user_id";
    sqlx::query_scalar(ids).fetch_all(&world.db).await.unwrap()
}

/// What names these people, with a secret for each and for the caller.
fn naming(caller: &Person, ids: &[String]) -> Value {
    let secrets: serde_json::Map<_, _> = ids
        .iter()
        .chain([&caller.user])
        .map(|id| (id.clone(), json!("secret")))
        .collect();
    json!({ "action": "create", "displayname": "x", "participantids": ids, "secrets": secrets })
}

#[tokio::test]
async fn a_call_that_is_refused_waits_for_nobody_whom_it_names() {
    let world = with(3, 100).await;
    let (ann, ben) = world.friends().await;
    let eve = world.person("Eve").await;
    let strangers = many(&world, 101).await;
    world
        .sql("insert into quotas (user_id) select user_id from users on conflict do nothing")
        .await;
    let talk = Talk::of(&group(&eve, &[]).await.is_ok()["conversation"]);
    let mut held = world.db.begin().await.unwrap();
    let lock = format!(
        "select from quotas where user_id <> '{}' and user_id <> '{}' for update",
        eve.user, ann.user
    );
    sqlx::raw_sql(AssertSqlSafe(lock))
        .execute(&mut *held)
        .await
        .unwrap();
    // More strangers than a day allows: of the first 101, and of one more after a hundred.
    is_rate_limited(
        &eve.asks("chatconversationgroup", naming(&eve, &strangers))
            .await,
        "100",
    );
    let mut request = naming(&eve, &strangers);
    request["action"] = "addparticipants".into();
    request["conversationid"] = talk.id.into();
    is_rate_limited(&eve.asks("chatconversationgroup", request).await, "100");
    sqlx::raw_sql(AssertSqlSafe(format!(
        "update quotas set day = (now() at time zone 'UTC')::date, invitations = 100 where user_id = '{}'",
        eve.user
    )))
    .execute(&world.db)
    .await
    .unwrap();
    is_rate_limited(
        &eve.asks("chatconversationgroup", naming(&eve, &strangers[..1]))
            .await,
        "100",
    );
    // A friend, by who has created enough today, and by who takes part in as many as one may.
    sqlx::raw_sql(AssertSqlSafe(format!(
        "update quotas set day = (now() at time zone 'UTC')::date, conversations = 100 where user_id = '{}'",
        ann.user
    )))
    .execute(&world.db)
    .await
    .unwrap();
    is_rate_limited(&group(&ann, &[&ben]).await, "100");
    world
        .sql("update quotas set day = day - 1 where conversations = 100")
        .await;
    for _ in 0..3 {
        group(&ann, &[]).await.is_ok();
    }
    is_too_large(&group(&ann, &[&ben]).await, "3");
    held.rollback().await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn friends_fill_nine_tenths_of_a_list_and_the_rest_is_its_owners() {
    let world = with(10, 100).await;
    let (ann, ben) = world.friends().await;
    for n in 0..11 {
        let made = group(&ann, &[&ben]).await;
        if n < 9 {
            assert_eq!(made.is_ok()["invited"], json!([]), "{n}");
        } else if n < 10 {
            assert_eq!(made.is_ok()["invited"], json!([ben.user]), "{n}");
        } else {
            let refusal = made.is_refused(413, "too_large");
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
    group(&ben, &[]).await.is_ok();
    // What does not fit into the other one's list is said so.
    let cleo = world.person("Cleo").await;
    cleo.befriends(&ben).await;
    let refusal = direct(&cleo, &ben).await.is_refused(413, "too_large");
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
async fn many_who_add_one_at_the_same_moment_fill_nine_tenths_and_all_are_answered() {
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
        .filter(|made| made.is_ok()["invited"] == json!([]))
        .count();
    assert_eq!((put_in, count(&target).await), (9, 9));
    let waiting = target
        .asks_as(
            4,
            "chatconversationgroup",
            json!({ "action": "invitations" }),
        )
        .await
        .is_ok();
    assert_eq!(waiting["invitations"].as_array().unwrap().len(), 7);
    world.end().await;
}

#[tokio::test]
async fn groups_that_are_made_filled_joined_and_left_at_the_same_moment_hold_each_other_up_no_longer_than_that()
 {
    let world = with(1000, 100).await;
    let mut people = vec![];
    for name in ["Ann", "Ben", "Cleo", "Dan"] {
        people.push(world.person(name).await);
    }
    // Two pairs of friends; the others are strangers, and invited.
    people[0].befriends(&people[1]).await;
    people[2].befriends(&people[3]).await;
    let everyone: Vec<&Person> = people.iter().collect();
    let mut talks = vec![];
    for person in &people {
        talks.push(Talk::of(
            &group(person, &everyone).await.is_ok()["conversation"],
        ));
    }
    let answers = join_all((0..64).map(async |n| {
        let (person, talk) = (&people[n % 4], &talks[(n / 4) % 4]);
        let mut reversed = everyone.clone();
        reversed.reverse();
        match n % 5 {
            0 => group(person, &reversed).await,
            1 => {
                let add = json!({ "action": "addparticipants", "conversationid": talk.id, "participantids": ids(&reversed), "secrets": secrets(&everyone) });
                person.asks_as(4, "chatconversationgroup", add).await
            }
            2 => direct(person, &people[(n % 4) ^ 1]).await,
            n => {
                let action = if n == 3 { "accept" } else { "leave" };
                person.asks_as(4, "chatconversationgroup", json!({ "action": action, "conversationid": talk.id })).await
            }
        }
    }))
    .await;
    // What a deadlock, or a lock that is not given back, would be answered with is none of these.
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

#[tokio::test]
async fn the_day_is_that_of_the_moment_at_which_something_is_counted() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let query = plans::statement(&["update quotas q"]);
    let mut tx = world.db.begin().await.unwrap();
    // It began a while ago, and waited.
    let begun = format!(
        "insert into quotas (user_id) values ('{}'); select pg_sleep(3); prepare charge as {query}",
        ann.user
    );
    sqlx::raw_sql(AssertSqlSafe(begun))
        .execute(&mut *tx)
        .await
        .unwrap();
    let charged = sqlx::raw_sql(AssertSqlSafe(format!(
        "execute charge('{}', 1, 0)",
        ann.user
    )))
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    let midnight = "select extract(epoch from date_trunc('day', clock_timestamp() at time zone 'UTC') + interval '1 day'
        - clock_timestamp() at time zone 'UTC')::float8";
    let left: f64 = sqlx::query_scalar(midnight)
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    let counted: i64 = charged.get(2);
    #[expect(clippy::cast_precision_loss, reason = "seconds of a day")]
    let late = counted as f64 - left;
    assert!(late < 2.0, "{late}");
    tx.rollback().await.unwrap();
    world.end().await;
}
