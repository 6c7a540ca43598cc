//! Committed changes are pushed to every participant, in order, with bounded memory even if the
//! reader is slow.

use serde_json::json;

use crate::world::{Socket, World, message};

#[tokio::test]
async fn committed_messages_are_pushed_to_all_participants_and_answered() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    for person in [&ann, &ben] {
        person.is_available().await;
    }
    let (mut anns, mut bens) = (Socket::of(&ann, 3).await, Socket::of(&ben, 4).await);
    let message = message("hi");
    let answer = ann
        .does("add", &conversation, json!({ "message": message }))
        .await
        .ok();
    assert_eq!(answer["message"]["ID"], message["ID"]);
    // A version 3 client gets only the ids.
    assert_eq!(
        anns.hears().await,
        json!({ "friendavailabilitesof": [], "conversationchangedof": [conversation.id], "conversationlistchangedof": [] })
    );
    // A v4 client gets the whole message.
    let heard = bens.hears().await;
    let whole = ben
        .asks_as(
            4,
            "chatconversation",
            crate::world::request("download", &conversation, json!({})),
        )
        .await
        .ok();
    assert_eq!(heard["conversationchangedof"], json!([conversation.id]));
    assert_eq!(
        heard["events"],
        json!([{ "conversationid": conversation.id, "instance": conversation.instance, "message": whole["messages"][0], "after": "" }])
    );

    ben.views(&conversation, &[message["ID"].as_str().unwrap().to_owned()])
        .await
        .ok();
    assert_eq!(
        anns.hears().await["conversationchangedof"],
        json!([conversation.id])
    );
    let heard = bens.hears().await;
    let report = &ann.reads(&conversation).await["reports"][0];
    assert_eq!(
        heard["events"],
        json!([{ "conversationid": conversation.id, "instance": conversation.instance, "report": report, "after": "" }])
    );
    // Neither a refused message nor one that was stored before causes an event.
    ben.views(&conversation, &[message["ID"].as_str().unwrap().to_owned()])
        .await
        .ok();
    anns.hears_nothing().await;
    bens.hears_nothing().await;
    world.end().await;
}

#[tokio::test]
async fn events_follow_one_another_under_concurrent_writers() {
    let world = World::with(|settings| {
        settings.workers = 2;
        settings.database_connections = 8;
    })
    .await;
    let (ann, ben, conversation) = world.conversation().await;
    let mut socket = Socket::of(&ben, 4).await;
    let writers: Vec<_> = (0..6)
        .map(|n| {
            let (writer, conversation) = (
                if n % 2 == 0 { ann.clone() } else { ben.clone() },
                conversation.clone(),
            );
            tokio::spawn(async move {
                for n in 0..25 {
                    writer.adds(&conversation, &n.to_string()).await;
                }
            })
        })
        .collect();
    // A client as docs/api.md describes it: appends what follows its newest row, and otherwise
    // downloads.
    let mut held: Vec<String> = vec![];
    let mut appended = 0;
    while held.len() < 150 {
        let frame = socket.hears().await;
        let mut is_behind = frame["conversationchangedof"] == json!([conversation.id])
            && frame["events"].as_array().unwrap().is_empty();
        for event in frame["events"].as_array().unwrap() {
            let id = event["message"]["ID"].as_str().unwrap().to_owned();
            if event["after"].as_str() == Some(held.last().map_or("", String::as_str)) {
                held.push(id);
                appended += 1;
            } else if !held.contains(&id) {
                is_behind = true;
            }
        }
        if is_behind {
            let page = ben
                .does(
                    "download",
                    &conversation,
                    json!({ "firstmessageid": held.last() }),
                )
                .await
                .ok();
            let page = page["messages"]
                .as_array()
                .unwrap()
                .iter()
                .map(|m| m["ID"].as_str().unwrap().to_owned());
            held.extend(page.skip(usize::from(!held.is_empty())).collect::<Vec<_>>());
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let truth: Vec<String> = ben.reads(&conversation).await["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["ID"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(held, truth);
    assert!(appended > 0, "no event ever followed");
    world.end().await;
}

#[tokio::test]
async fn a_slow_reader_costs_a_set_and_not_a_queue() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let mut socket = Socket::of(&ben, 4).await;
    // 20 MB of messages, while the socket is not being read.
    let data = "A".repeat(60_000);
    for _ in 0..350 {
        ann.adds(&conversation, &data).await;
    }
    let last = ann.adds(&conversation, "last").await;
    // Far less arrives in the end than was written, but the id is there all the same.
    let mut bytes = 0;
    loop {
        let frame = socket.hears().await;
        bytes += frame.to_string().len();
        assert_eq!(frame["conversationchangedof"], json!([conversation.id]));
        if frame["events"]
            .as_array()
            .unwrap()
            .iter()
            .any(|event| event["message"]["ID"] == last.as_str())
        {
            break;
        }
    }
    assert!(bytes < 4_000_000, "{bytes}");
    world.end().await;
}

#[tokio::test]
async fn a_large_row_is_left_out_of_the_events_and_named_all_the_same() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let mut socket = Socket::of(&ben, 4).await;
    ann.adds(&conversation, &"A".repeat(60_000)).await;
    let frame = socket.hears().await;
    assert_eq!(
        (&frame["conversationchangedof"], &frame["events"]),
        (&json!([conversation.id]), &json!([]))
    );
    let large = ann.reads(&conversation).await["messages"][0]["ID"].clone();
    ann.adds(&conversation, "small").await;
    assert_eq!(socket.hears().await["events"][0]["after"], large);
    world.end().await;
}

#[tokio::test]
async fn many_reports_at_once_are_all_told_whole_or_only_named() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let mut ids = vec![];
    for n in 0..71 {
        ids.push(ann.adds(&conversation, &n.to_string()).await);
    }
    let mut socket = Socket::of(&ann, 4).await;
    ben.views(&conversation, &ids[..20]).await.ok();
    assert_eq!(socket.hears().await["events"].as_array().unwrap().len(), 20);
    // A client that appended some of these would believe that it had all of them.
    ben.views(&conversation, &ids[20..]).await.ok();
    let frame = socket.hears().await;
    assert_eq!(
        (&frame["conversationchangedof"], &frame["events"]),
        (&json!([conversation.id]), &json!([]))
    );
    world.end().await;
}

#[tokio::test]
async fn many_sockets_get_a_message_in_a_group() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    world.sql("update conversations set is_group = true; update participants set peer_id = null, role = 'admin'").await;
    let mut sockets = vec![];
    for n in 0..20 {
        let member = world
            .person(&format!("Member{}", n % 4))
            .await
            .second_device()
            .await;
        world
            .sql(&format!(
                "insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
                values ('{}', '{}', '', '', 'member', now()) on conflict do nothing",
                conversation.id, member.user
            ))
            .await;
        sockets.push(Socket::of(&member, 4).await);
    }
    let sent = message("to all");
    ben.does("add", &conversation, json!({ "message": sent }))
        .await
        .ok();
    for socket in &mut sockets {
        // The members' later stations were announced before.
        let events = socket.hears_about("events").await;
        assert_eq!(events[0]["message"]["ID"], sent["ID"]);
    }
    drop(ann);
    world.end().await;
}

#[tokio::test]
async fn a_clear_is_told_as_a_change_of_the_list_and_of_the_conversation() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let second_device = ben.second_device().await;
    let mut sockets = [
        Socket::of(&ben, 3).await,
        Socket::of(&second_device, 4).await,
    ];
    for socket in &mut sockets {
        socket.drain().await;
    }
    ann.does("clear", &conversation, json!({})).await.ok();
    for socket in &mut sockets {
        let frame = socket.hears().await;
        assert_eq!(
            (
                &frame["conversationlistchangedof"],
                &frame["conversationchangedof"]
            ),
            (&json!([ben.user]), &json!([conversation.id])),
            "{frame}"
        );
    }
    world.end().await;
}

#[tokio::test]
async fn a_page_that_was_cut_wakes_the_socket_of_its_own_station() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    crate::cursor::fill(&world, &ann, &conversation, 1500, 10).await;
    let second_device = ben.second_device().await;
    let [mut socket, mut other] = [
        Socket::of(&ben, 4).await,
        Socket::of(&second_device, 4).await,
    ];
    for socket in [&mut socket, &mut other] {
        socket.drain().await;
    }
    let page = ben.reads(&conversation).await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 1000);
    // Only named, because there is nothing new to append.
    let frame = socket.hears().await;
    assert_eq!(
        (&frame["conversationchangedof"], &frame["events"]),
        (&json!([conversation.id]), &json!([]))
    );
    let rest = ben
        .does(
            "download",
            &conversation,
            json!({ "firstmessageid": page["messages"][999]["ID"] }),
        )
        .await
        .ok();
    assert_eq!(rest["messages"].as_array().unwrap().len(), 501);
    socket.hears_nothing().await;
    other.hears_nothing().await;
    world.end().await;
}
