//! A group of 5,000.

use std::collections::BTreeSet;

use parlance_wire::{id::UserId, request::conversationgroup::MAX_PARTICIPANTS, text::Email};
use serde_json::json;

use super::{asks, people};
use crate::world::{Person, Roster, World, message};

#[tokio::test]
async fn a_group_of_5000_is_created_and_rekeyed_in_one_call_each() {
    let world = World::new().await;
    let [ann] = people(&world, ["Ann"]).await;
    // Friends who need no keys.
    let others: Vec<Person> = (1..MAX_PARTICIPANTS)
        .map(|n| Person {
            user: UserId::of(&Email::parse(&format!("{n}@example.org")).unwrap()).to_string(),
            ..ann.clone()
        })
        .collect();
    world
        .sql(&format!(
            "insert into users (user_id, email, full_name, nick, public_key, encrypted_private_key, created_at)
            select md5(n || '@example.org')::uuid, n || '@example.org', n, n, '', '', now() from generate_series(1, {}) n;
            insert into friendships select '{1}', md5(n || '@example.org')::uuid, now() from generate_series(1, {0}) n;
            insert into friendships select md5(n || '@example.org')::uuid, '{1}', now() from generate_series(1, {0}) n;
            analyze",
            MAX_PARTICIPANTS - 1,
            ann.user
        ))
        .await;
    let everyone: Vec<&Person> = others.iter().collect();
    let (mut request, first) = ann.group_with_epoch(&everyone);
    let wrap = "w".repeat(512);
    let wrapped = |members: &BTreeSet<UserId>| {
        members
            .iter()
            .map(|user| (user.to_string(), json!(wrap)))
            .collect::<serde_json::Map<_, _>>()
    };
    request["secrets"] = wrapped(&first.members).into();
    let created = ann.asks_as(4, "chatconversationgroup", request).await.ok();
    let group = crate::world::Conversation::of(&created["conversation"]);
    ann.adds_in(&group, 1, &message("x")).await.ok();
    let changes = Roster {
        admins: vec![&ann],
        added: vec![],
        removed: vec![&others[0]],
    };
    let (mut request, second) = ann.rekeying(&group, Some(&first), &changes);
    request["secrets"] = wrapped(&second.members).into();
    assert!(request.to_string().len() > 2_600_000);
    let answer = asks(&ann, &request).await.ok();
    assert_eq!(
        (
            &answer["conversation"]["epoch"],
            &answer["conversation"]["secret"]
        ),
        (&json!(2), &json!(wrap))
    );
    let members = i64::try_from(MAX_PARTICIPANTS).unwrap();
    // For both epochs, and all but the removed member.
    assert_eq!(world.count("epoch_secrets").await, 2 * (members - 1));
    world.end().await;
}

#[tokio::test]
async fn a_large_body_without_secrets_is_still_refused() {
    let world = World::new().await;
    let (ann, _, conversation) = world.conversation().await;
    let padding = "x".repeat(1 << 20);
    for (action, status, code) in [
        ("add", 413, "too_large"),
        ("list", 413, "too_large"),
        // Refused, but not for its size.
        ("rekey", 400, "bad_request"),
    ] {
        let request =
            json!({ "action": action, "conversationid": conversation.id, "padding": padding });
        asks(&ann, &request).await.refused(status, code);
    }
    let request = json!({ "action": "rekey", "padding": "x".repeat(4 << 20) });
    let refusal = asks(&ann, &request).await.refused(413, "too_large");
    assert_eq!(
        refusal["errormessage"],
        "A request may have at most 4194304 bytes."
    );
    world.end().await;
}
