//! Group commit: concurrent entries are stored together, and each caller gets their own outcome.

mod epochs;
mod groups;
mod limits;

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row};

use crate::world::{Answer, Conversation, Hold, Person, World, eventually, message, request};

/// Sends all of these while a first message waits for a lock, so that they are stored in one batch.
async fn together(
    world: &Arc<World>,
    first: (&Person, &Conversation),
    requests: Vec<(Person, &'static str, Value)>,
) -> Vec<Answer> {
    let hold = Hold::of(world, first.1).await;
    let (person, conversation) = (first.0.clone(), first.1.clone());
    let opener = tokio::spawn(async move { person.adds(&conversation, "opens").await });
    hold.is_waited_for(1).await;
    let count = requests.len();
    let asked = requests
        .into_iter()
        .map(|(person, api, request)| tokio::spawn(async move { person.asks(api, request).await }));
    let asked: Vec<_> = asked.collect();
    eventually("all wait", async || world.waiting() == count).await;
    hold.ends().await;
    opener.await.unwrap();
    join_all(asked)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

fn add(conversation: &Conversation, message: &Value) -> Value {
    request("add", conversation, json!({ "message": message }))
}

/// Number of transactions in which the rows of a table were stored.
async fn commits(world: &World, table: &str) -> i64 {
    let row = sqlx::raw_sql(AssertSqlSafe(format!(
        "select count(distinct xmin::text) from {table}"
    )))
    .fetch_one(&world.db)
    .await
    .unwrap();
    row.get(0)
}

#[tokio::test]
async fn entries_that_arrive_during_a_batch_form_the_next_one() {
    let world = World::with(|settings| settings.requests_per_user = 1000).await;
    let (ann, ben, conversation) = world.conversation().await;
    let cyd = world.person("Cyd").await;
    ann.befriends(&cyd).await;
    let other = ann.creates(&cyd).await;
    let requests = (0..60).map(|n| {
        let conversation = if n % 2 == 0 { &conversation } else { &other };
        (
            ann.clone(),
            "chatconversation",
            add(conversation, &message(&n.to_string())),
        )
    });
    for answer in together(&world, (&ann, &conversation), requests.collect()).await {
        answer.ok();
    }
    assert_eq!(
        (
            world.count("messages").await,
            commits(&world, "messages").await
        ),
        (61, 2)
    );
    assert_eq!(
        ben.reads(&conversation).await["messages"]
            .as_array()
            .unwrap()
            .len(),
        31
    );
    world.end().await;
}

#[tokio::test]
async fn in_one_batch_each_has_its_own_outcome() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let (cyd, dan) = (world.person("Cyd").await, world.person("Dan").await);
    ann.befriends(&cyd).await;
    let blocked = ann.creates(&cyd).await;
    cyd.asks(
        "chatblocklist",
        json!({ "action": "block", "userid": ann.user }),
    )
    .await
    .ok();
    let there = message("there before");
    let before = ann
        .asks("chatconversation", add(&conversation, &there))
        .await
        .ok();
    let other = json!({ "ID": there["ID"], "Type": "Message", "Created": there["Created"], "Data": "other" });
    let stale = Conversation {
        instance: "AAAAAAAAAA".into(),
        ..conversation.clone()
    };
    let twice = message("twice");
    let requests = vec![
        (
            ann.clone(),
            "chatconversation",
            add(&conversation, &message("good")),
        ),
        (ann.clone(), "chatconversation", add(&conversation, &there)),
        (ann.clone(), "chatconversation", add(&conversation, &other)),
        (
            ann.clone(),
            "chatconversation",
            add(&stale, &message("stale")),
        ),
        (
            ann.clone(),
            "chatconversation",
            add(&blocked, &message("blocked")),
        ),
        (
            dan.clone(),
            "chatconversation",
            add(&conversation, &message("not mine")),
        ),
        (ben.clone(), "chatconversation", add(&conversation, &twice)),
        (ben.clone(), "chatconversation", add(&conversation, &twice)),
    ];
    let answers = together(&world, (&ann, &conversation), requests).await;
    answers[0].ok();
    assert_eq!(answers[1].ok(), before);
    answers[2].refused(409, "message_id_conflict");
    assert_eq!(
        answers[3].refused(409, "stale_instance")["instance"],
        json!(conversation.instance)
    );
    answers[4].refused(403, "not_allowed");
    answers[5].refused(404, "conversation_not_found");
    assert_eq!(answers[6].ok(), answers[7].ok());
    assert_eq!(world.count("messages").await, 4);
    world.end().await;
}

#[tokio::test]
async fn a_row_that_the_database_refuses_fails_alone() {
    let world = World::with(|settings| settings.requests_per_user = 1000).await;
    let (ann, ben, conversation) = world.conversation().await;
    world
        .sql(
            "create function refuse() returns trigger language plpgsql as $$ begin
                if new.data = 'poison' then raise 'poisoned'; end if; return new;
            end $$;
            create trigger refuse before insert on messages for each row execute function refuse()",
        )
        .await;
    let sent: Vec<Value> = (0..40)
        .map(|n| {
            message(if [3, 17, 39].contains(&n) {
                "poison"
            } else {
                "good"
            })
        })
        .collect();
    let requests = sent
        .iter()
        .map(|message| (ann.clone(), "chatconversation", add(&conversation, message)))
        .collect();
    for (answer, message) in together(&world, (&ann, &conversation), requests)
        .await
        .iter()
        .zip(&sent)
    {
        if message["Data"] == "poison" {
            answer.refused(500, "internal");
        } else {
            answer.ok();
        }
    }
    assert_eq!(
        ben.reads(&conversation).await["messages"]
            .as_array()
            .unwrap()
            .len(),
        38
    );
    world.end().await;
}

#[tokio::test]
async fn reports_that_come_together_are_stored_together_each_once() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let mut ids = vec![];
    for n in 0..10 {
        ids.push(ann.adds(&conversation, &n.to_string()).await);
    }
    let second_device = ben.second_device().await;
    let viewed = |ids: &[String]| json!({ "action": "viewed", "conversationid": conversation.id, "instance": conversation.instance, "messageids": ids });
    let stale = json!({ "action": "viewed", "conversationid": conversation.id, "instance": "AAAAAAAAAA", "messageids": ids });
    // A waiting report keeps the batch open.
    let hold = Hold::of(&world, &conversation).await;
    let first = tokio::spawn({
        let (ann, request) = (ann.clone(), viewed(&ids[..1]));
        async move { ann.asks("chatreports", request).await }
    });
    hold.is_waited_for(1).await;
    let requests = [
        (&ben, viewed(&ids[..6])),
        (&second_device, viewed(&ids[3..])),
        (&ben, viewed(&ids)),
        (&ben, stale),
        (&ann, viewed(&ids[2..4])),
    ];
    let asked: Vec<_> = requests
        .map(|(person, request)| {
            let person = person.clone();
            tokio::spawn(async move { person.asks("chatreports", request).await })
        })
        .into_iter()
        .collect();
    eventually("all wait", async || world.waiting() == 5).await;
    hold.ends().await;
    first.await.unwrap().ok();
    let answers = join_all(asked).await;
    for (n, answer) in answers.into_iter().map(Result::unwrap).enumerate() {
        if n == 3 {
            answer.refused(409, "stale_instance");
        } else {
            answer.ok();
        }
    }
    // Ben saw ten messages, Ann three.
    assert_eq!(
        (
            world.count("reports").await,
            commits(&world, "reports").await
        ),
        (13, 2)
    );
    world.end().await;
}

/// Sends a request without waiting for the answer.
fn asks(person: &Person, api: &'static str, request: Value) -> tokio::task::JoinHandle<Answer> {
    let person = person.clone();
    tokio::spawn(async move { person.asks(api, request).await })
}

#[tokio::test]
async fn a_batchs_newest_clock_becomes_the_conversations_last_access() {
    let world = World::new().await;
    let (ann, _ben, conversation) = world.conversation().await;
    world
        .sql("update conversations set last_access_at = '2024-01-01Z'")
        .await;
    let opening = {
        let mut old = message("opens the batch before");
        old["Created"] = "2024-01-02 00:00:00".into();
        old
    };
    let clocks = [
        "2024-03-08 11:50:45",
        "2024-03-10 11:50:45",
        "2024-03-09 11:50:45",
    ];
    let hold = Hold::of(&world, &conversation).await;
    let first = asks(&ann, "chatconversation", add(&conversation, &opening));
    hold.is_waited_for(1).await;
    let others = clocks.map(|clock| {
        let mut message = message("x");
        message["Created"] = clock.into();
        asks(&ann, "chatconversation", add(&conversation, &message))
    });
    eventually("all wait", async || world.waiting() == 3).await;
    hold.ends().await;
    for asked in std::iter::once(first).chain(others) {
        asked.await.unwrap().ok();
    }
    assert_eq!(commits(&world, "messages").await, 2);
    let newest = chrono::DateTime::parse_from_rfc3339("2024-03-10T11:50:45Z")
        .unwrap()
        .timestamp();
    assert_eq!(ann.sees(&conversation).await["lastaccess"], newest);
    world.end().await;
}
