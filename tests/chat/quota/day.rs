//! The daily limit of new conversations.

use futures_util::future::join_all;
use serde_json::json;
use sqlx::{AssertSqlSafe, Row};

use super::{direct, group, is_rate_limited, with};
use crate::{
    plans,
    world::{Conversation, Person, World},
};

#[tokio::test]
async fn the_daily_limit_of_conversations_holds_across_nodes() {
    let world = with(1000, 4).await;
    let (ann, ben) = world.friends().await;
    let conversation = ann.creates(&ben).await;
    let second_device = {
        let options = world.store.options().clone();
        let mut settings = crate::world::settings();
        settings.database = parlance::settings::Database::Given(Box::new(options.clone()));
        settings.per_user.new_conversations = 4;
        World::start(settings, options).await
    };
    let there = Person {
        world: second_device.clone(),
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
    // Creating an existing one again is fine, and leaving one does not allow another today.
    assert_eq!(
        Conversation::of(&direct(&ann, &ben).await.ok()["conversation"]),
        conversation
    );
    let id = Conversation::of(
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
    .ok();
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
    // Everyone else can continue, and so can Ann tomorrow.
    direct(&cleo, &ann).await.ok();
    group(&ben, &[&ann]).await.ok();
    world.sql("update quotas set day = day - 1").await;
    group(&ann, &[&ben]).await.ok();
    second_device.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_refusal_uses_nothing_up() {
    let world = with(1000, 1).await;
    let (ann, ben) = world.friends().await;
    // Cleo would have to be invited, and Ann has invited as many as she may.
    let cleo = world.person("Cleo").await;
    world
        .sql(&format!(
            "update quotas set day = (now() at time zone 'UTC')::date, invitations = 100 where user_id = '{}'",
            ann.user
        ))
        .await;
    is_rate_limited(&group(&ann, &[&ben, &cleo]).await, "100");
    group(&ann, &[]).await.ok();
    is_rate_limited(&group(&ann, &[]).await, "1");
    world.end().await;
}

#[tokio::test]
async fn both_users_of_a_direct_conversation_are_charged_once() {
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
    let conversation = Conversation::of(&answers[0].ok()["conversation"]);
    assert!(
        answers
            .iter()
            .all(|answer| Conversation::of(&answer.ok()["conversation"]) == conversation)
    );
    // One of the two was the creator; the other one may still create something.
    let groups = [group(&ann, &[]).await, group(&ben, &[]).await];
    assert_eq!(
        groups.iter().filter(|answer| answer.status == 200).count(),
        1,
        "{groups:?}"
    );
    world.end().await;
}

#[tokio::test]
async fn the_day_is_that_of_the_moment_at_which_something_is_counted() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let query = plans::statement(&["update quotas q"]);
    let mut tx = world.db.begin().await.unwrap();
    // It began in another second, which is the unit of what it returns.
    let begun = format!(
        "select from quotas where user_id = '{}' for update;
        select pg_sleep_until(date_trunc('second', clock_timestamp()) + interval '1010 milliseconds');
        prepare charge as {query}",
        ann.user
    );
    sqlx::raw_sql(AssertSqlSafe(begun))
        .execute(&mut *tx)
        .await
        .unwrap();
    let midnight = "select ceil(extract(epoch from date_trunc('day', clock_timestamp() at time zone 'UTC') + interval '1 day'
        - clock_timestamp() at time zone 'UTC'))::bigint";
    let left: i64 = sqlx::query_scalar(midnight)
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    let charged = sqlx::raw_sql(AssertSqlSafe(format!(
        "execute charge('{}', 1, 0, 0, 0)",
        ann.user
    )))
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    let counted: i64 = charged.get(4);
    assert!(counted <= left, "{counted} seconds were left, not {left}");
    tx.rollback().await.unwrap();
    world.end().await;
}
