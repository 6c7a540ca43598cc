//! Exporting everything that the server has about a user in one answer, however long.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{Hold, Person, World, eventually};

async fn export(person: &Person) -> Value {
    person.account(json!({ "action": "export" })).await.ok()
}

#[tokio::test]
async fn an_export_has_all_data_of_the_user_and_none_of_others() {
    let world = World::new().await;
    let (ann, ben, direct) = world.conversation().await;
    let cleo = world.person("Cleo").await;
    cleo.requests_friendship(&ann).await.ok();
    let invite = ann.invites(json!({})).await.ok();
    // More than a page of rows.
    let mut ids = vec![];
    for n in 0..230 {
        ids.push(ann.adds(&direct, &format!("number {n}")).await);
    }
    ben.views(&direct, &ids[..10]).await.ok();
    ben.adds(&direct, "said by Ben").await;
    // A group that Ann has left.
    let create = json!({
        "action": "create", "displayname": "g", "participantids": [ann.user], "secrets": { &ann.user: "s", &ben.user: "s" },
    });
    let created = ben.asks("chatconversationgroup", create).await.ok();
    let group = crate::world::Conversation::of(&created["conversation"]);
    ann.adds(&group, "said before leaving").await;
    ben.adds(&group, "said by Ben in the group").await;
    let leave = json!({ "action": "leave", "conversationid": group.id });
    ann.asks("chatconversationgroup", leave).await.ok();

    ann.has_card().await;
    let (encrypted, _) = ann.creates_group_with_epoch(&[&ben]).await;

    let all = export(&ann).await;
    assert_eq!(all["account"]["email"], "ann@example.org");
    assert_eq!(all["account"]["userid"], ann.user);
    assert_eq!(all["stations"][0]["stationid"], ann.station);
    assert_eq!(all["keys"].as_array().unwrap().len(), 1);
    assert_eq!(all["invites"][0]["inviteid"], invite["inviteid"]);
    let relations: Vec<_> = all["people"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["userid"].clone(), one["relation"].clone()))
        .collect();
    assert_eq!(
        relations,
        [
            (json!(ben.user), json!("friend")),
            (json!(cleo.user), json!("requests"))
        ]
    );
    let find = |id: &str| {
        let found = all["conversations"].as_array().unwrap().iter();
        found.clone().find(|one| one["id"] == id).unwrap().clone()
    };
    let rows = find(&direct.id)["rows"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 241);
    let seqs: Vec<i64> = rows
        .iter()
        .map(|row| row["Seq"].as_i64().unwrap())
        .collect();
    assert!(seqs.is_sorted_by(|one, other| one < other), "{seqs:?}");
    assert_eq!(
        (&rows[0]["ID"], &rows[0]["Data"], &rows[0]["kind"]),
        (&json!(ids[0]), &json!("number 0"), &json!("message"))
    );
    assert_eq!(rows[230]["kind"], "report");
    assert_eq!(rows[240]["Data"], "said by Ben");
    assert_eq!(all["cards"][0]["n"], 1);
    let secret = crate::world::secret(1, &ann.user);
    assert_eq!(
        find(&encrypted.id)["epochsecrets"],
        json!([{ "epoch": 1, "secret": secret }])
    );
    let left = find(&group.id);
    assert_eq!(
        (&left["member"], left["rows"].as_array().unwrap().len()),
        (&json!(false), 1)
    );
    assert_eq!(left["rows"][0]["Data"], "said before leaving");
    // It contains no secret that would be usable.
    let text = all.to_string();
    assert!(
        !text.contains("the apikey of Ann") && !text.contains(invite["invite"].as_str().unwrap())
    );
    // Cleo has no conversation.
    assert_eq!(export(&cleo).await["conversations"], json!([]));
    world.end().await;
}

#[tokio::test]
async fn a_conversation_that_is_deleted_during_the_export_is_left_out_of_it() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let cleo = world.person("Cleo").await;
    ann.befriends(&cleo).await;
    let mut ids = [ann.creates(&ben).await.id, ann.creates(&cleo).await.id];
    // As the export orders them.
    ids.sort();
    let deletes = ["participants", "conversations"]
        .map(|table| format!("delete from {table} where conversation_id = '{}';", ids[0]));
    // The first statement of the export that reads this table is the one about the first conversation.
    let lock = "lock table epochs in access exclusive mode";
    let hold = Hold::by(&world, &(deletes.concat() + lock)).await;
    let (all, ()) = tokio::join!(export(&ann), async {
        hold.is_waited_for(1).await;
        hold.ends().await;
    });
    let left: Vec<_> = all["conversations"].as_array().unwrap().iter().collect();
    assert_eq!(
        left.iter().map(|one| &one["id"]).collect::<Vec<_>>(),
        [&json!(ids[1])]
    );
    world.end().await;
}

#[tokio::test]
async fn a_user_has_one_export_at_a_time_and_others_have_theirs_meanwhile() {
    let world = World::new().await;
    let (ann, ben, direct) = world.conversation().await;
    // More than the kernel buffers for a peer that does not read.
    let data = "d".repeat(60_000);
    for _ in 0..200 {
        ann.adds(&direct, &data).await;
    }
    let mut idle = world.connection().await;
    let request = ann.signed_request(4, "chatlogin", json!({ "action": "export" }));
    idle.write_all(&request).await.unwrap();
    let mut head = [0; 15];
    idle.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    let refused = ann.account(json!({ "action": "export" })).await;
    refused.refused(429, "rate_limited");
    assert!(refused.headers.contains_key("Retry-After"));
    assert_eq!(
        export(&ben).await["conversations"][0]["rows"]
            .as_array()
            .unwrap()
            .len(),
        200
    );
    // Other requests of the same user are still served.
    ann.lists().await.ok();
    drop(idle);
    eventually("the next export", async || {
        ann.account(json!({ "action": "export" })).await.status == 200
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn an_export_is_for_its_user_alone() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    ann.asks_as(3, "chatlogin", json!({ "action": "export" }))
        .await
        .refused(404, "unknown_action");
    let unsigned = json!({ "action": "export", "clientversioncode": 4 }).to_string();
    world
        .posts(
            "chatserver",
            "chatlogin",
            &[("Ozeki-User", &ann.user)],
            &unsigned,
        )
        .await
        .refused(401, "signature_missing");
    world.end().await;
}

#[tokio::test]
async fn exports_that_are_read_too_slowly_make_room_for_others() {
    // Whoever has a piece, and has not come for the next one, is too slow.
    let world = World::with(|settings| settings.timings.export_piece = Duration::ZERO).await;
    let (ann, ben) = world.friends().await;
    let mut slow = vec![];
    for name in ["Cleo", "Dan", "Eve"] {
        let person = world.person(name).await;
        ann.befriends(&person).await;
        slow.push(person);
    }
    slow.push(ben);
    let ids: Vec<&String> = slow.iter().map(|one| &one.user).collect();
    let mut secrets = json!({ &ann.user: "s" });
    for id in &ids {
        secrets[id.as_str()] = json!("s");
    }
    let create = json!({ "action": "create", "displayname": "g", "participantids": ids, "secrets": secrets });
    let created = ann.asks("chatconversationgroup", create).await.ok();
    let group = crate::world::Conversation::of(&created["conversation"]);
    // More than the kernel buffers for a peer that does not read.
    let data = "d".repeat(60_000);
    for _ in 0..200 {
        ann.adds(&group, &data).await;
    }
    let mut connections = vec![];
    for person in &slow {
        let mut connection = world.connection().await;
        let request = person.signed_request(4, "chatlogin", json!({ "action": "export" }));
        connection.write_all(&request).await.unwrap();
        let mut head = [0; 15];
        connection.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200 OK");
        connections.push(connection);
    }
    eventually("a whole export", async || {
        let answer = ann.account(json!({ "action": "export" })).await;
        answer.status == 200
            && answer.ok()["conversations"][0]["rows"]
                .as_array()
                .is_some_and(|rows| rows.len() == 200)
    })
    .await;
    // Cut short, so that nobody takes them for the whole; but not those that just wait for the database.
    let mut cut = 0;
    for mut connection in connections {
        let mut rest = vec![];
        let end = connection.read_to_end(&mut rest).await;
        if end.is_err() || !rest.ends_with(b"0\r\n\r\n") {
            cut += 1;
        }
    }
    assert!(cut > 0);
    world.end().await;
}

#[tokio::test]
async fn a_user_exports_a_few_times_a_day() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    for _ in 0..10 {
        export(&ann).await;
    }
    let refusal = ann.account(json!({ "action": "export" })).await;
    refusal.refused(429, "rate_limited");
    export(&ben).await;
    world.end().await;
}
