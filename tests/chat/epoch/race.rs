//! Concurrent rekeyings, removals, additions and messages.

use futures_util::future::join_all;
use serde_json::json;

use super::{asks, group, secrets};
use crate::world::{Conversation, Epoch, Person, Roster, World, message, secret};

async fn world() -> std::sync::Arc<World> {
    World::with(|settings| {
        settings.workers = 2;
        settings.database_connections = 12;
    })
    .await
}

#[tokio::test]
async fn one_of_many_concurrent_rekeyings_becomes_the_next_epoch() {
    let world = world().await;
    let (people, group, mut epoch) = group(&world).await;
    let [ann, ben, cleo, _] = &people;
    for number in 2..8 {
        let same = Roster {
            admins: vec![ann],
            ..Roster::default()
        };
        let requests = [ann, ben, cleo].map(|person| {
            let (request, next) = person.rekeying(&group, Some(&epoch), &same);
            (person, request, next)
        });
        let answers = join_all(
            requests
                .iter()
                .map(|(person, request, _)| asks(person, request)),
        )
        .await;
        let mut won = vec![];
        for (answer, (.., next)) in answers.iter().zip(&requests) {
            match answer.status {
                200 => won.push(next.clone()),
                _ => assert_eq!(answer.refused(409, "stale_epoch")["epoch"], number),
            }
        }
        assert_eq!(won.len(), 1, "{answers:?}");
        epoch = won.remove(0);
        let page = ben.epochs(&group, json!({ "limit": 1 })).await.ok();
        assert_eq!(page["epochs"][0]["announcement"], epoch.announcement.text());
        for person in [ann, ben, cleo] {
            let number = u32::try_from(number).unwrap();
            assert_eq!(
                person.sees(&group).await["secret"],
                secret(number, &person.user)
            );
        }
    }
    world.end().await;
}

/// Sends messages one after the other, each under the epoch that the sender believes to be the
/// present one. Returns which were stored under which epoch.
async fn writes(person: &Person, group: &Conversation, count: usize) -> Vec<(String, u64)> {
    let (mut epoch, mut stored) = (1, vec![]);
    for _ in 0..count {
        let message = message("x");
        loop {
            let number = u32::try_from(epoch).unwrap();
            let answer = person.adds_in(group, number, &message).await;
            match answer.status {
                200 => {
                    stored.push((message["ID"].as_str().unwrap().to_owned(), epoch));
                    break;
                }
                // Removed meanwhile.
                404 => return stored,
                _ => {
                    epoch = answer.refused(409, "stale_epoch")["epoch"]
                        .as_u64()
                        .unwrap();
                }
            }
        }
    }
    stored
}

#[tokio::test]
async fn no_message_is_stored_under_a_secret_of_a_removed_member_and_nobody_is_locked_out() {
    let world = world().await;
    let (people, group, first) = group(&world).await;
    let [ann, ben, cleo, dan] = &people;
    ben.befriends(dan).await;
    // Dan is added and removed while the others write and rekey.
    let changes = async {
        let mut epoch: Epoch = first.clone();
        for _ in 0..12 {
            let is_in = epoch.members.contains(&dan.id());
            let (added, removed) = if is_in {
                (vec![], vec![dan])
            } else {
                (vec![dan], vec![])
            };
            let roster = Roster {
                admins: vec![ann],
                added,
                removed,
            };
            let (request, next) = ann.rekeying(&group, Some(&epoch), &roster);
            // Cleo, who may not add anyone, tries for the same number.
            let same = Roster {
                admins: vec![ann],
                ..Roster::default()
            };
            let (of_cleo, next_of_cleo) = cleo.rekeying(&group, Some(&epoch), &same);
            let (one, other) = tokio::join!(asks(ann, &request), asks(cleo, &of_cleo));
            epoch = match (one.status, other.status) {
                (200, 409) => next,
                (409, 200) => next_of_cleo,
                _ => panic!("{one:?} {other:?}"),
            };
        }
        epoch
    };
    let (last, by_ben, by_cleo) =
        tokio::join!(changes, writes(ben, &group, 40), writes(cleo, &group, 40));
    // In the order of the numbers, epochs only grow: no message follows one of a newer epoch.
    let rows = ann.reads_all(&group).await;
    let epoch_of = |id: &str| {
        let all = by_ben.iter().chain(&by_cleo);
        all.clone()
            .find(|(stored, _)| stored == id)
            .map(|(_, epoch)| *epoch)
    };
    let epochs: Vec<u64> = rows
        .iter()
        .map(|row| epoch_of(row["ID"].as_str().unwrap()).unwrap())
        .collect();
    assert_eq!(epochs.len(), 80);
    assert!(epochs.is_sorted(), "{epochs:?}");
    let number = last.announcement.epoch().get();
    for person in [ann, ben, cleo] {
        assert_eq!(
            person.sees(&group).await["secret"],
            secret(number, &person.user)
        );
        // And the secret of each epoch with a message.
        for (epoch, own) in secrets(person, &group).await {
            assert!(!epochs.contains(&epoch) || !own.is_empty(), "{epoch}");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn a_rekeying_and_a_leave_at_the_same_moment_end_with_a_secret_for_those_who_are_there() {
    let world = world().await;
    for round in 0..6 {
        let names = [0, 1, 2].map(|n| format!("Person{round}x{n}"));
        let [ann, ben, cleo] = super::people(&world, names.each_ref().map(String::as_str)).await;
        let (group, first) = ann.creates_group_with_epoch(&[&ben, &cleo]).await;
        let same = Roster {
            admins: vec![&ann],
            ..Roster::default()
        };
        let (request, second) = ben.rekeying(&group, Some(&first), &same);
        let leave = json!({ "action": "leave", "conversationid": group.id });
        let (rekeyed, left) = tokio::join!(
            asks(&ben, &request),
            cleo.asks("chatconversationgroup", leave)
        );
        left.ok();
        let before = if rekeyed.status == 200 {
            second
        } else {
            rekeyed.refused(409, "stale_roster");
            first
        };
        let without = Roster {
            admins: vec![&ann],
            added: vec![],
            removed: vec![&cleo],
        };
        // She is already gone; the announcement removes her all the same.
        let (mut request, next) = ben.rekeying(&group, Some(&before), &without);
        request["removeparticipants"] = json!([]);
        asks(&ben, &request).await.ok();
        let number = next.announcement.epoch().get();
        assert_eq!(ann.sees(&group).await["secret"], secret(number, &ann.user));
    }
    world.end().await;
}
