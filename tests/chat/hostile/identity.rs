//! Access to another user's conversation, and impersonation.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::everything;
use crate::world::{Conversation, Person, Roster, Socket, World, eventually, message, request};

/// Actions that do not exist for version 3 clients.
const SINCE_V4: [&str; 4] = ["epochs", "erase", "rekey", "shareepochs"];

/// Every action that names a conversation: its API and its fields.
fn actions(
    conversation: &Conversation,
    victim: &Person,
    own: &Person,
) -> Vec<(&'static str, Value)> {
    let plain = [
        "favorite",
        "unfavorite",
        "mute",
        "unmute",
        "hide",
        "unhide",
        "clear",
        "download",
        "downloadpartial",
        "transcript",
        "epochs",
    ];
    let mut all: Vec<_> = plain
        .iter()
        .map(|action| ("chatconversation", request(action, conversation, json!({}))))
        .collect();
    all.push((
        "chatconversation",
        request(
            "hide",
            conversation,
            json!({ "hideid": format!("{};", conversation.instance) }),
        ),
    ));
    all.push((
        "chatconversation",
        request(
            "setlistitembackgroundcolor",
            conversation,
            json!({ "color": "#000000" }),
        ),
    ));
    all.push((
        "chatconversation",
        request(
            "add",
            conversation,
            json!({ "message": message("intruder") }),
        ),
    ));
    let roster = Roster {
        admins: vec![own],
        added: vec![own, victim],
        removed: vec![],
    };
    all.push((
        "chatconversation",
        own.rekeying(conversation, None, &roster).0,
    ));
    all.push((
        "chatconversation",
        request(
            "shareepochs",
            conversation,
            json!({ "userid": own.user, "secrets": { "1": "s" } }),
        ),
    ));
    let ids = json!({ "messageids": [uuid::Uuid::new_v4()] });
    all.push((
        "chatconversation",
        request("erase", conversation, ids.clone()),
    ));
    all.extend(
        ["viewed", "delivered"]
            .map(|action| ("chatreports", request(action, conversation, ids.clone()))),
    );
    let secrets = json!({ &own.user: "s", &victim.user: "s" });
    for (action, fields) in [
        (
            "rename",
            json!({ "displaynames": { &victim.user: "renamed" } }),
        ),
        (
            "addparticipants",
            json!({ "participantids": [own.user], "secrets": secrets }),
        ),
        (
            "removeparticipants",
            json!({ "participantids": [victim.user] }),
        ),
        (
            "setrole",
            json!({ "participantid": own.user, "role": "admin" }),
        ),
        ("leave", json!({})),
        ("accept", json!({})),
        ("decline", json!({})),
    ] {
        all.push((
            "chatconversationgroup",
            request(action, conversation, fields),
        ));
    }
    all
}

#[tokio::test]
async fn no_action_reaches_another_users_conversation() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let (eve, cleo) = (world.person("Eve").await, world.person("Cleo").await);
    // Eve is a friend, and was once in the group.
    eve.befriends(&ann).await;
    let dan = world.person("Dan").await;
    let secrets = json!({ &ann.user: "s", &ben.user: "s", &eve.user: "s", &dan.user: "s" });
    let create = json!({ "action": "create", "displayname": "g", "participantids": [ben.user, eve.user, dan.user], "secrets": secrets });
    let group =
        Conversation::of(&ann.asks("chatconversationgroup", create).await.ok()["conversation"]);
    for conversation in [&conversation, &group] {
        ann.adds(conversation, "private").await;
    }
    let gone = json!({ "action": "removeparticipants", "conversationid": group.id, "participantids": [eve.user] });
    ann.asks("chatconversationgroup", gone).await.ok();
    let mut sockets = [Socket::of(&eve, 4).await, Socket::of(&cleo, 4).await];
    let mut socket = Socket::of(&ann, 4).await;
    eventually("the sockets to be written down", async || {
        world.count("listeners").await == 3
    })
    .await;
    let before = everything(&world).await;
    let mut tried = BTreeSet::new();
    for (stranger, socket) in [&eve, &cleo].into_iter().zip(&mut sockets) {
        for conversation in [&conversation, &group] {
            for (api, request) in actions(conversation, &ann, stranger) {
                let action = request["action"].as_str().unwrap().to_owned();
                let older = if SINCE_V4.contains(&&*action) {
                    "unknown_action"
                } else {
                    "conversation_not_found"
                };
                for (version, code) in [(3, older), (4, "conversation_not_found")] {
                    stranger
                        .asks_as(version, api, request.clone())
                        .await
                        .refused(404, code);
                }
                tried.insert(action);
            }
            socket
                .says(&json!({ "action": "typing", "conversationid": conversation.id }).to_string())
                .await;
            assert_eq!(
                socket.hears_about("errorcode").await,
                "conversation_not_found"
            );
        }
        assert!(
            stranger.lists().await.ok()["conversations"]
                .as_array()
                .unwrap()
                .is_empty()
        );
        // Dan's invitation is not visible to others.
        let invitations = stranger
            .asks_as(
                4,
                "chatconversationgroup",
                json!({ "action": "invitations" }),
            )
            .await
            .ok();
        assert_eq!(invitations["invitations"], json!([]));
    }
    assert_eq!(tried.len(), 25);
    assert_eq!(everything(&world).await, before);
    // Nobody was notified of any of it: the next thing that Ann hears is this.
    let id = ben.adds(&conversation, "next").await;
    assert_eq!(
        socket.hears_about("events").await[0]["message"]["ID"],
        id.as_str()
    );
    world.end().await;
}

#[tokio::test]
async fn the_sender_is_taken_only_from_the_signature() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    // Ann claims to be Ben in each field that exists.
    let mut sent = message("by Ann");
    for field in ["User", "UserID", "user", "Sender", "Station"] {
        sent[field] = ben.user.clone().into();
    }
    let mut claiming = request("add", &conversation, json!({ "message": sent.to_string() }));
    for field in ["user", "userid", "Ozeki-User", "participantid", "station"] {
        claiming[field] = ben.user.clone().into();
    }
    ann.asks("chatconversation", claiming).await.ok();
    let page = ben
        .asks_as(
            4,
            "chatconversation",
            request("download", &conversation, json!({})),
        )
        .await
        .ok();
    let row = &page["messages"][0];
    assert_eq!(
        (&row["User"], &row["Station"]),
        (&json!(ann.user), &json!(ann.station))
    );
    // Ann's signature under Ben's name, from his station or hers; and Ben's request with another
    // body.
    let body = json!({ "action": "list", "timestamp": crate::world::now() }).to_string();
    for (signs, user, station) in [(&ann, &ben, &ben), (&ann, &ben, &ann), (&ann, &ann, &ben)] {
        let claimed = Person {
            user: user.user.clone(),
            station: station.station.clone(),
            ..signs.clone()
        };
        let answer = claimed.sends("chatserver", "chatconversation", &body).await;
        answer.refused(
            401,
            if user.user == ann.user {
                "unknown_station"
            } else {
                "signature_invalid"
            },
        );
    }
    let signature = ben.signs("chatserver", "chatconversation", &body);
    let headers = [
        ("Ozeki-User", &*ben.user),
        ("Ozeki-Station", &*ben.station),
        ("Ozeki-Signature", &*signature),
    ];
    let other = body.replace("list", "lisT");
    world
        .posts("chatserver", "chatconversation", &headers, &other)
        .await
        .refused(404, "unknown_action");
    world
        .posts("chatserver", "chatconversation", &headers, &(body + " "))
        .await
        .refused(401, "signature_invalid");
    world.end().await;
}
