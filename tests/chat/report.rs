//! Reports: one per message, user and type.

use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Answer, Changes, Conversation, Person, Socket, World};

async fn reports(
    person: &Person,
    action: &str,
    conversation: &Conversation,
    ids: &Value,
) -> Answer {
    person.asks("chatreports", json!({ "action": action, "conversationid": conversation.id, "instance": conversation.instance, "messageids": ids })).await
}

#[tokio::test]
async fn a_report_names_reader_message_and_place_and_ends_with_its_message() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let id = ann.adds(&conversation, "x").await;
    reports(&ben, "delivered", &conversation, &json!([id]))
        .await
        .ok();
    reports(&ben, "viewed", &conversation, &json!([id]))
        .await
        .ok();
    let history = ann.reads(&conversation).await;
    for (row, r#type) in history["reports"]
        .as_array()
        .unwrap()
        .iter()
        .zip(["delivered", "viewed"])
    {
        assert_eq!(row["Type"], r#type);
        assert_eq!(
            (&row["User"], &row["Station"], &row["MessageID"]),
            (&json!(ben.user), &json!(ben.station), &json!(id))
        );
        assert_eq!(row["ValidUntil"], history["messages"][0]["ValidUntil"]);
    }
    assert_eq!(
        ann.sees(&conversation).await["lastreportid"],
        history["reports"][1]["ID"]
    );
    assert_eq!(ann.sees(&conversation).await["lastmessageid"], id);
    world.end().await;
}

#[tokio::test]
async fn a_report_is_stored_once_however_often_and_from_wherever_it_is_sent() {
    let world = World::with(|settings| {
        settings.workers = 2;
        settings.database_connections = 8;
    })
    .await;
    let (ann, ben, conversation) = world.conversation().await;
    let second_device = ben.second_device().await;
    let mut ids = vec![];
    for n in 0..5 {
        ids.push(ann.adds(&conversation, &n.to_string()).await);
    }
    let all = json!(ids);
    let twice = json!([ids[0], ids[0].to_uppercase(), ids[1]]);
    let answers = join_all((0..16).map(|n| {
        reports(
            if n % 2 == 0 { &ben } else { &second_device },
            "viewed",
            &conversation,
            if n % 3 == 0 { &twice } else { &all },
        )
    }))
    .await;
    for answer in answers {
        answer.ok();
    }
    assert_eq!(world.count("reports").await, 5);
    // By another user, or of another type, it is another report.
    reports(&ann, "viewed", &conversation, &all).await.ok();
    reports(&ben, "delivered", &conversation, &all).await.ok();
    assert_eq!(world.count("reports").await, 15);
    world.end().await;
}

#[tokio::test]
async fn unknown_ids_are_ignored() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let cleo = world.person("Cleo").await;
    ann.befriends(&cleo).await;
    let other = ann.creates(&cleo).await;
    let (here, there) = (
        ann.adds(&conversation, "here").await,
        ann.adds(&other, "there").await,
    );
    reports(
        &ben,
        "viewed",
        &conversation,
        &json!([Uuid::new_v4().to_string(), here, there]),
    )
    .await
    .ok();
    reports(&ben, "viewed", &conversation, &json!([]))
        .await
        .ok();
    assert_eq!(
        ann.reads(&conversation).await["reports"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(ann.reads(&other).await["reports"], json!([]));
    world.end().await;
}

#[tokio::test]
async fn everyone_hears_of_a_new_report_and_nobody_of_an_old_one() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let id = ann.adds(&conversation, "x").await;
    ann.listens().await;
    ben.views(&conversation, std::slice::from_ref(&id))
        .await
        .ok();
    assert_eq!(
        ann.hears().await,
        Changes {
            conversations: vec![conversation.id.clone()],
            ..Changes::default()
        }
    );
    ben.views(&conversation, &[id]).await.ok();
    assert_eq!(ann.hears().await, Changes::default());
    world.end().await;
}

#[tokio::test]
async fn malformed_reports_are_refused_and_not_stored() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let id = ann.adds(&conversation, "x").await;
    let many: Vec<String> = (0..1001).map(|_| Uuid::new_v4().to_string()).collect();
    for wrong in [
        json!(many),
        json!(null),
        json!("x"),
        json!(["x"]),
        json!([5]),
        json!([id, "x"]),
        json!({}),
    ] {
        let refusal = reports(&ben, "viewed", &conversation, &wrong)
            .await
            .refused(400, "bad_request");
        assert!(
            refusal["errormessage"]
                .as_str()
                .unwrap()
                .starts_with("messageids"),
            "{refusal}"
        );
    }
    for (field, wrong) in [
        ("conversationid", json!("x")),
        ("instance", json!("x")),
        ("firstmessagedate", json!("x")),
        ("lastmessagedate", json!(5)),
    ] {
        let mut request = json!({ "action": "viewed", "conversationid": conversation.id, "instance": conversation.instance, "messageids": [id] });
        request[field] = wrong;
        ben.asks("chatreports", request)
            .await
            .refused(400, "bad_request");
    }
    ben.asks("chatreports", json!({ "action": "read", "conversationid": conversation.id, "instance": conversation.instance, "messageids": [id] }))
        .await
        .refused(404, "unknown_action");
    assert_eq!(world.count("reports").await, 0);
    reports(&ben, "viewed", &conversation, &json!(many[..1000]))
        .await
        .ok();
    world.end().await;
}

#[tokio::test]
async fn each_report_that_a_socket_is_told_of_names_the_one_before_it() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let mut ids = vec![];
    for n in 0..5 {
        ids.push(ann.adds(&conversation, &n.to_string()).await);
    }
    let mut socket = Socket::of(&ann, 4).await;
    let mut before = String::new();
    for (action, ids) in [
        ("viewed", &ids[..3]),
        ("delivered", &ids[1..]),
        ("viewed", &ids[..]),
    ] {
        reports(&ben, action, &conversation, &json!(ids)).await.ok();
        let frame = socket.hears().await;
        let events = frame["events"].as_array().unwrap();
        // Three of the last ones existed already.
        assert_eq!(
            events.len(),
            if action == "viewed" && ids.len() == 5 {
                2
            } else {
                ids.len()
            }
        );
        for event in events {
            assert_eq!(event["after"], before, "{frame}");
            before = event["report"]["ID"].as_str().unwrap().to_owned();
        }
    }
    let stored = ann.reads(&conversation).await;
    assert_eq!(
        stored["reports"].as_array().unwrap().last().unwrap()["ID"],
        before
    );
    world.end().await;
}
