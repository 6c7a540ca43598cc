//! Who is no friend, or left on their own, comes into a group by their own yes.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    group::{asks, ids, members, secrets},
    hostile::hears,
    live::Ear,
    world::{Answer, News, Person, Talk, World},
};

async fn asks_v4(person: &Person, action: &str, mut fields: Value) -> Answer {
    fields["action"] = action.into();
    person.asks_as(4, "chatconversationgroup", fields).await
}

/// What waits for someone's answer, the newest first.
async fn invitations(person: &Person) -> Vec<Value> {
    asks_v4(person, "invitations", json!({})).await.is_ok()["invitations"]
        .as_array()
        .unwrap()
        .clone()
}

/// The groups that someone is invited to.
async fn invited_to(person: &Person) -> Vec<String> {
    invitations(person)
        .await
        .iter()
        .map(|invitation| invitation["conversationid"].as_str().unwrap().to_owned())
        .collect()
}

/// The conversations that a published client shows.
async fn list(person: &Person) -> Vec<String> {
    let list = person
        .asks("chatconversation", json!({ "action": "list" }))
        .await
        .is_ok();
    list["conversations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["id"].as_str().unwrap().to_owned())
        .collect()
}

fn creation(creator: &Person, others: &[&Person]) -> Value {
    let everyone: Vec<&Person> = others.iter().copied().chain([creator]).collect();
    json!({ "displayname": "bmFtZQ==", "participantids": ids(others), "secrets": secrets(&everyone) })
}

async fn creates(creator: &Person, others: &[&Person]) -> (Talk, Value) {
    let made = asks_v4(creator, "create", creation(creator, others))
        .await
        .is_ok();
    (Talk::of(&made["conversation"]), made["invited"].clone())
}

fn addition(talk: &Talk, people: &[&Person]) -> Value {
    json!({ "conversationid": talk.id, "participantids": ids(people), "secrets": secrets(people) })
}

/// Adds someone; answers who is invited instead.
async fn adds(admin: &Person, talk: &Talk, people: &[&Person]) -> Value {
    asks_v4(admin, "addparticipants", addition(talk, people))
        .await
        .is_ok()["invited"]
        .clone()
}

fn sorted(people: &[&Person]) -> Value {
    let mut sorted = ids(people);
    sorted.sort();
    json!(sorted)
}

fn to(talk: &Talk) -> Value {
    json!({ "conversationid": talk.id })
}

async fn blocks(person: &Person, other: &Person, is: bool) {
    let action = if is { "block" } else { "unblock" };
    person
        .asks(
            "chatblocklist",
            json!({ "action": action, "userid": other.user }),
        )
        .await
        .is_ok();
}

#[tokio::test]
async fn a_stranger_puts_nobody_into_a_group_and_who_accepts_is_in_it() {
    let world = World::new().await;
    let (ann, eve) = (world.person("Ann").await, world.person("Eve").await);
    ann.listens().await;
    let (talk, invited) = creates(&eve, &[&ann]).await;
    assert_eq!(invited, json!([ann.user]));
    assert_eq!(
        ann.hears().await,
        News {
            lists: vec![ann.user.clone()],
            ..News::default()
        }
    );
    assert_eq!(
        (list(&ann).await, members(&eve, &talk).await),
        (vec![], vec!["Eve".to_owned()])
    );
    eve.adds(&talk, "before").await;
    assert_eq!(ann.hears().await, News::default());
    ann.does("download", &talk, json!({}))
        .await
        .is_refused(404, "conversation_not_found");
    let shown = invitations(&ann).await;
    assert_eq!(shown.len(), 1);
    assert!(
        shown[0]["invited"]
            .as_str()
            .is_some_and(|time| time.len() == 19),
        "{shown:?}"
    );
    assert_eq!(
        shown[0],
        json!({
            "conversationid": talk.id, "inviterid": eve.user, "invitername": "Eve", "secret": "secret for Ann", "displayname": "bmFtZQ==",
            "invited": shown[0]["invited"], "participantids": [],
        })
    );
    eve.hears().await;
    for _ in 0..2 {
        let view = asks_v4(&ann, "accept", to(&talk)).await.is_ok()["conversation"].clone();
        assert_eq!(
            (&view["id"], &view["secret"], &view["displayname"]),
            (
                &json!(talk.id),
                &json!("secret for Ann"),
                &json!("bmFtZQ==")
            )
        );
    }
    assert_eq!(eve.hears().await.lists, [eve.user.clone()]);
    assert_eq!(ann.hears().await.lists, [ann.user.clone()]);
    // Accepted once more, it is told to her alone.
    asks_v4(&ann, "accept", to(&talk)).await.is_ok();
    assert_eq!(
        (eve.hears().await, ann.hears().await.lists),
        (News::default(), vec![ann.user.clone()])
    );
    assert_eq!(invitations(&ann).await, Vec::<Value>::new());
    // What was said before.
    assert_eq!(ann.reads(&talk).await["messages"][0]["Data"], "before");
    ann.adds(&talk, "here I am").await;
    assert_eq!(members(&eve, &talk).await.len(), 2);
    asks(
        &ann,
        "setrole",
        json!({ "conversationid": talk.id, "participantid": ann.user, "role": "admin" }),
    )
    .await
    .is_refused(403, "not_allowed");
    world.end().await;
}

#[tokio::test]
async fn friends_are_put_in_at_once_and_a_published_answer_is_as_it_was() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let (cleo, dan) = (world.person("Cleo").await, world.person("Dan").await);
    // Who asked to be a friend, or was asked, is none yet.
    ann.asks(
        "chatfriends",
        json!({ "action": "add", "friendid": cleo.user }),
    )
    .await
    .is_ok();
    dan.asks(
        "chatfriends",
        json!({ "action": "add", "friendid": ann.user }),
    )
    .await
    .is_ok();
    let (talk, invited) = creates(&ann, &[&ben, &cleo, &dan]).await;
    assert_eq!(
        (invited, members(&ann, &talk).await.len()),
        (sorted(&[&cleo, &dan]), 2)
    );
    assert_eq!(adds(&ann, &talk, &[&ben]).await, json!([]));
    // The reader's friends in it are named, and nobody else.
    assert_eq!(invitations(&cleo).await[0]["participantids"], json!([]));
    cleo.befriends(&ben).await;
    assert_eq!(
        invitations(&cleo).await[0]["participantids"],
        json!([ben.user])
    );
    for (action, request) in [
        ("create", creation(&ann, &[&ben, &cleo])),
        ("addparticipants", addition(&talk, &[&ben, &dan])),
    ] {
        let answer = asks(&ann, action, request).await.is_ok();
        let keys: Vec<&String> = answer.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["conversation", "errormessage", "status"]);
    }
    // Once a friend, one is put in, and the invitation is gone.
    cleo.asks(
        "chatfriends",
        json!({ "action": "add", "friendid": ann.user }),
    )
    .await
    .is_ok();
    assert_eq!(adds(&ann, &talk, &[&cleo]).await, json!([]));
    assert!(!invited_to(&cleo).await.contains(&talk.id) && list(&cleo).await.contains(&talk.id));
    world.end().await;
}

#[tokio::test]
async fn who_declines_is_left_alone_by_that_group_for_a_day() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let eve = world.person("Eve").await;
    let (talk, _) = creates(&eve, &[&ann, &ben]).await;
    ann.listens().await;
    asks_v4(&ann, "decline", to(&talk)).await.is_ok();
    assert_eq!(ann.hears().await.lists, [ann.user.clone()]);
    // Declined again, it is answered the same, as the answer may have been lost.
    asks_v4(&ann, "decline", to(&talk)).await.is_ok();
    asks_v4(&ann, "accept", to(&talk))
        .await
        .is_refused(404, "conversation_not_found");
    assert_eq!(ann.hears().await, News::default());
    // Who asks again is told what they were told before.
    assert_eq!(
        adds(&eve, &talk, &[&ann, &ben]).await,
        sorted(&[&ann, &ben])
    );
    assert_eq!(
        (
            ann.hears().await,
            invited_to(&ann).await,
            invited_to(&ben).await
        ),
        (News::default(), vec![], vec![talk.id.clone()])
    );
    // A friendship does not undo it.
    eve.befriends(&ann).await;
    assert_eq!(adds(&eve, &talk, &[&ann]).await, json!([ann.user]));
    assert_eq!((invited_to(&ann).await, list(&ann).await), (vec![], vec![]));
    world
        .sql("update departures set departed_at = departed_at - interval '1 day'")
        .await;
    assert_eq!(adds(&eve, &talk, &[&ann]).await, json!([ann.user]));
    assert_eq!(invited_to(&ann).await, [talk.id.clone()]);
    asks_v4(&ann, "accept", to(&talk)).await.is_ok();
    world.end().await;
}

#[tokio::test]
async fn who_left_comes_back_by_their_own_yes_and_who_was_removed_is_put_in_again() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let (talk, _) = creates(&ann, &[&ben]).await;
    asks(
        &ann,
        "removeparticipants",
        json!({ "conversationid": talk.id, "participantids": [ben.user] }),
    )
    .await
    .is_ok();
    assert_eq!(adds(&ann, &talk, &[&ben]).await, json!([]));
    asks(&ben, "leave", to(&talk)).await.is_ok();
    ben.listens().await;
    ann.adds(&talk, "meanwhile").await;
    assert_eq!(adds(&ann, &talk, &[&ben]).await, json!([ben.user]));
    assert_eq!(
        (ben.hears().await.lists, list(&ben).await),
        (vec![ben.user.clone()], vec![])
    );
    asks_v4(&ben, "accept", to(&talk)).await.is_ok();
    assert_eq!(ben.reads(&talk).await["messages"][0]["Data"], "meanwhile");
    // The yes undoes the leaving.
    asks(
        &ann,
        "removeparticipants",
        json!({ "conversationid": talk.id, "participantids": [ben.user] }),
    )
    .await
    .is_ok();
    assert_eq!(adds(&ann, &talk, &[&ben]).await, json!([]));
    assert_eq!(list(&ben).await, [talk.id]);
    world.end().await;
}

#[tokio::test]
async fn adding_again_and_again_changes_nothing_and_ends_for_the_day() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let (talk, _) = creates(&ann, &[&ben]).await;
    asks(&ben, "leave", to(&talk)).await.is_ok();
    ben.listens().await;
    adds(&ann, &talk, &[&ben]).await;
    ben.hears().await;
    let mut refused = 0;
    for n in 0..120 {
        let answer = asks_v4(&ann, "addparticipants", addition(&talk, &[&ben])).await;
        if n < 99 {
            assert_eq!(answer.is_ok()["invited"], json!([ben.user]), "{n}");
        } else {
            answer.is_refused(429, "rate_limited");
            let wait: u64 = answer.headers["Retry-After"]
                .to_str()
                .unwrap()
                .parse()
                .unwrap();
            assert!((1..=86_400).contains(&wait), "{wait}");
            refused += 1;
        }
    }
    assert_eq!(refused, 21);
    assert_eq!(
        (ben.hears().await, list(&ben).await, invited_to(&ben).await),
        (News::default(), vec![], vec![talk.id.clone()])
    );
    // Who is a friend is put in all the same, and tomorrow is another day.
    let cleo = world.person("Cleo").await;
    ann.befriends(&cleo).await;
    assert_eq!(adds(&ann, &talk, &[&cleo]).await, json!([]));
    world.sql("update quotas set day = day - 1").await;
    adds(&ann, &talk, &[&ben]).await;
    world.end().await;
}

#[tokio::test]
async fn a_block_is_not_evaded_by_another_admin_nor_by_one_who_is_none() {
    let world = World::new().await;
    let (ann, eve, mallory) = (
        world.person("Ann").await,
        world.person("Eve").await,
        world.person("Mallory").await,
    );
    eve.befriends(&mallory).await;
    ann.befriends(&mallory).await;
    blocks(&ann, &eve, true).await;
    ann.listens().await;
    let (talk, _) = creates(&eve, &[&mallory]).await;
    asks(
        &eve,
        "setrole",
        json!({ "conversationid": talk.id, "participantid": mallory.user, "role": "admin" }),
    )
    .await
    .is_ok();
    // With one whom she blocked as an admin, Ann does not even hear of it.
    assert_eq!(adds(&mallory, &talk, &[&ann]).await, json!([ann.user]));
    let (with_both, invited) = creates(&mallory, &[&eve, &ann]).await;
    assert_eq!(invited, json!([ann.user]));
    assert_eq!(
        (list(&ann).await, invited_to(&ann).await),
        (vec![], vec![with_both.id.clone()])
    );
    assert_eq!(ann.hears().await.lists, [ann.user.clone()]);
    asks_v4(&ann, "accept", to(&talk))
        .await
        .is_refused(404, "conversation_not_found");
    asks_v4(&ann, "decline", to(&talk))
        .await
        .is_refused(404, "conversation_not_found");
    // With one who is no admin she is asked, and told who is there.
    let shown = invitations(&ann).await;
    assert_eq!(shown[0]["participantids"], sorted(&[&eve, &mallory]));
    asks(
        &mallory,
        "setrole",
        json!({ "conversationid": talk.id, "participantid": eve.user, "role": "member" }),
    )
    .await
    .is_ok();
    adds(&mallory, &talk, &[&ann]).await;
    assert_eq!(
        (list(&ann).await, invited_to(&ann).await.len()),
        (vec![], 2)
    );
    // It is Ann's own decision.
    asks_v4(&ann, "accept", to(&talk)).await.is_ok();
    world.end().await;
}

#[tokio::test]
async fn who_blocked_one_is_neither_added_nor_invited_and_a_stranger_is_not_told() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let (cleo, dan) = (world.person("Cleo").await, world.person("Dan").await);
    for person in [&ben, &cleo] {
        blocks(person, &ann, true).await;
        person.listens().await;
    }
    let (talk, _) = creates(&ann, &[]).await;
    asks(&ann, "create", creation(&ann, &[&ben]))
        .await
        .is_refused(403, "not_allowed");
    asks(&ann, "addparticipants", addition(&talk, &[&ben]))
        .await
        .is_refused(403, "not_allowed");
    // Cleo, who blocked her, and Dan, who did not, look alike to Ann.
    let both = sorted(&[&cleo, &dan]);
    let (other, invited) = creates(&ann, &[&cleo, &dan]).await;
    assert_eq!(
        (invited, adds(&ann, &talk, &[&cleo, &dan]).await),
        (both.clone(), both)
    );
    asks(
        &ann,
        "removeparticipants",
        json!({ "conversationid": other.id, "participantids": [cleo.user] }),
    )
    .await
    .is_ok();
    for person in [&ben, &cleo] {
        assert_eq!(
            (
                person.hears().await,
                list(person).await,
                invited_to(person).await
            ),
            (News::default(), vec![], vec![])
        );
    }
    for action in ["accept", "decline"] {
        asks_v4(&cleo, action, to(&talk))
            .await
            .is_refused(404, "conversation_not_found");
    }
    // A block hides what waits already.
    blocks(&dan, &ann, true).await;
    assert_eq!(invited_to(&dan).await, Vec::<String>::new());
    asks_v4(&dan, "accept", to(&talk))
        .await
        .is_refused(404, "conversation_not_found");
    blocks(&dan, &ann, false).await;
    asks_v4(&dan, "accept", to(&talk)).await.is_ok();
    world.end().await;
}

#[tokio::test]
async fn an_invitation_ends_when_it_is_withdrawn_or_its_inviter_removed_or_its_group_empty() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let cleo = world.person("Cleo").await;
    let gone = async |talk: &Talk| {
        assert_eq!(cleo.hears().await.lists, [cleo.user.clone()]);
        assert_eq!(invited_to(&cleo).await, Vec::<String>::new());
        asks_v4(&cleo, "accept", to(talk))
            .await
            .is_refused(404, "conversation_not_found");
    };
    cleo.listens().await;
    // Withdrawn; that is no decision of Cleo's.
    let (talk, _) = creates(&ann, &[&ben, &cleo]).await;
    cleo.hears().await;
    asks(
        &ann,
        "removeparticipants",
        json!({ "conversationid": talk.id, "participantids": [cleo.user] }),
    )
    .await
    .is_ok();
    gone(&talk).await;
    // Its inviter was removed. One who leaves, or is an admin no more, takes nothing with them.
    asks(
        &ann,
        "setrole",
        json!({ "conversationid": talk.id, "participantid": ben.user, "role": "admin" }),
    )
    .await
    .is_ok();
    adds(&ben, &talk, &[&cleo]).await;
    cleo.hears().await;
    asks(
        &ann,
        "setrole",
        json!({ "conversationid": talk.id, "participantid": ben.user, "role": "member" }),
    )
    .await
    .is_ok();
    assert_eq!(invited_to(&cleo).await, [talk.id.clone()]);
    asks(
        &ann,
        "removeparticipants",
        json!({ "conversationid": talk.id, "participantids": [ben.user] }),
    )
    .await
    .is_ok();
    gone(&talk).await;
    // A clear changes nothing; the last one out does.
    adds(&ann, &talk, &[&cleo]).await;
    cleo.hears().await;
    ann.does("clear", &talk, json!({})).await.is_ok();
    assert_eq!(invited_to(&cleo).await, [talk.id.clone()]);
    asks(&ann, "leave", to(&talk)).await.is_ok();
    gone(&talk).await;
    assert_eq!(
        (
            world.count("invitations").await,
            world.count("departures").await
        ),
        (0, 0)
    );
    world.end().await;
}

#[tokio::test]
async fn at_most_a_hundred_invitations_wait_and_a_friends_is_the_last_to_go() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let eve = world.person("Eve").await;
    let (from_a_friend, _) = creates(&ben, &[&ann]).await;
    asks(&ann, "leave", to(&from_a_friend)).await.is_ok();
    adds(&ben, &from_a_friend, &[&ann]).await;
    let (oldest, _) = creates(&eve, &[&ann]).await;
    world
        .sql("update invitations set invited_at = invited_at - interval '1 year'")
        .await;
    world
        .sql(&format!(
            "insert into conversations (conversation_id, is_group, instance, last_access_at, created_at)
            select md5(n::text)::uuid, true, 'AAAAAAAAAA', now(), now() from generate_series(1, 98) n;
            insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
            select md5(n::text)::uuid, '{eve}', '', '', 'admin', now() from generate_series(1, 98) n;
            insert into invitations (conversation_id, user_id, inviter_id, secret, display_name, invited_at)
            select md5(n::text)::uuid, '{ann}', '{eve}', '', '', now() from generate_series(1, 98) n",
            eve = eve.user,
            ann = ann.user
        ))
        .await;
    assert_eq!(
        (
            invitations(&ann).await.len(),
            invited_to(&ann).await.contains(&oldest.id)
        ),
        (100, true)
    );
    let (newest, invited) = creates(&eve, &[&ann]).await;
    assert_eq!(invited, json!([ann.user]));
    let waiting = invited_to(&ann).await;
    assert_eq!(
        (waiting.len(), world.count("invitations").await, &waiting[0]),
        (100, 100, &newest.id)
    );
    assert!(waiting.contains(&from_a_friend.id) && !waiting.contains(&oldest.id));
    // One from somebody whom she blocked takes nobody's place.
    let mallory = world.person("Mallory").await;
    blocks(&ann, &mallory, true).await;
    assert_eq!(creates(&mallory, &[&ann]).await.1, json!([ann.user]));
    assert_eq!(invited_to(&ann).await, waiting);
    world.end().await;
}

#[tokio::test]
async fn what_is_done_at_the_same_moment_is_done_in_one_order_or_the_other() {
    let world = World::with(|settings| {
        settings.workers = 2;
        settings.database_connections = 8;
    })
    .await;
    let (ann, ben) = world.friends().await;
    let cleo = world.person("Cleo").await;
    for _ in 0..8 {
        let (talk, _) = creates(&ann, &[&cleo]).await;
        // Accepted twice at once: in it once.
        let both = join_all([
            asks_v4(&cleo, "accept", to(&talk)),
            asks_v4(&cleo, "accept", to(&talk)),
        ])
        .await;
        assert!(
            both.iter()
                .all(|answer| answer.is_ok()["conversation"]["id"] == talk.id.as_str())
        );
        assert_eq!(members(&cleo, &talk).await.len(), 2);
        // Accepted and withdrawn at once: either way she is out of it.
        let (talk, _) = creates(&ann, &[&cleo]).await;
        let remove = asks(
            &ann,
            "removeparticipants",
            json!({ "conversationid": talk.id, "participantids": [cleo.user] }),
        );
        let (accepted, removed) = tokio::join!(asks_v4(&cleo, "accept", to(&talk)), remove);
        removed.is_ok();
        assert!([200, 404].contains(&accepted.status), "{accepted:?}");
        assert_eq!(
            (
                members(&ann, &talk).await.len(),
                invited_to(&cleo).await.len()
            ),
            (1, 0)
        );
        // Left and added at once: she was in it still, or is invited.
        let (talk, _) = creates(&ann, &[&ben]).await;
        let (left, added) = tokio::join!(
            asks(&ben, "leave", to(&talk)),
            asks_v4(&ann, "addparticipants", addition(&talk, &[&ben]))
        );
        left.is_ok();
        let invited = added.is_ok()["invited"] == json!([ben.user]);
        assert_eq!(
            (
                members(&ann, &talk).await.len(),
                invited_to(&ben).await.contains(&talk.id)
            ),
            (1, invited)
        );
    }
    world.end().await;
}

#[tokio::test]
async fn the_last_one_out_and_one_who_accepts_leave_a_group_with_an_admin_or_none_at_all() {
    let world = World::with(|settings| settings.database_connections = 8).await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    for _ in 0..8 {
        let (talk, _) = creates(&ann, &[&ben]).await;
        let (left, accepted) = tokio::join!(
            asks(&ann, "leave", to(&talk)),
            asks_v4(&ben, "accept", to(&talk))
        );
        left.is_ok();
        if accepted.status == 200 {
            asks(
                &ben,
                "rename",
                json!({ "conversationid": talk.id, "displaynames": {} }),
            )
            .await
            .is_ok();
        } else {
            accepted.is_refused(404, "conversation_not_found");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn everyone_in_it_hears_of_one_who_accepts_at_once() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let cleo = world.person("Cleo").await;
    let (talk, _) = creates(&ann, &[&ben, &cleo]).await;
    let mut ears = [
        Ear::of(&ann, 4).await,
        Ear::of(&ben, 4).await,
        Ear::of(&cleo, 4).await,
    ];
    asks_v4(&cleo, "accept", to(&talk)).await.is_ok();
    for (ear, person) in ears.iter_mut().zip([&ann, &ben, &cleo]) {
        assert_eq!(
            hears(ear, "conversationlistchangedof").await,
            json!([person.user])
        );
    }
    world.end().await;
}

#[tokio::test]
async fn what_is_no_invitation_is_refused_by_field() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    for action in ["accept", "decline"] {
        for wrong in [json!(null), json!("x"), json!(5), json!([])] {
            asks_v4(&ann, action, json!({ "conversationid": wrong }))
                .await
                .is_refused(400, "bad_request");
        }
        asks_v4(&ann, action, json!({ "conversationid": "0".repeat(32) }))
            .await
            .is_refused(404, "conversation_not_found");
    }
    // A conversation of two is no group.
    asks_v4(&ann, "accept", to(&talk))
        .await
        .is_refused(403, "not_allowed");
    asks_v4(&ann, "decline", to(&talk))
        .await
        .is_refused(404, "conversation_not_found");
    let (group, _) = creates(&ann, &[&ben]).await;
    asks_v4(&ben, "decline", to(&group))
        .await
        .is_refused(404, "conversation_not_found");
    assert_eq!(members(&ann, &group).await.len(), 2);
    world.end().await;
}

#[tokio::test]
async fn roles_that_go_back_and_forth_wake_one_who_is_invited_once() {
    let world = World::new().await;
    let (ann, eve, mallory) = (
        world.person("Ann").await,
        world.person("Eve").await,
        world.person("Mallory").await,
    );
    eve.befriends(&mallory).await;
    let (talk, _) = creates(&eve, &[&mallory, &ann]).await;
    blocks(&ann, &mallory, true).await;
    ann.listens().await;
    let set = async |role: &str| {
        asks(
            &eve,
            "setrole",
            json!({ "conversationid": talk.id, "participantid": mallory.user, "role": role }),
        )
        .await
        .is_ok();
    };
    // One whom she blocked is an admin now, and that ends it.
    set("admin").await;
    assert_eq!(
        (ann.hears().await.lists, invited_to(&ann).await),
        (vec![ann.user.clone()], vec![])
    );
    for _ in 0..3 {
        set("member").await;
        set("admin").await;
    }
    assert_eq!(
        (ann.hears().await, invited_to(&ann).await),
        (News::default(), vec![])
    );
    // So it is when he inherits it.
    set("member").await;
    adds(&eve, &talk, &[&ann]).await;
    assert_eq!(
        (ann.hears().await.lists, invited_to(&ann).await),
        (vec![ann.user.clone()], vec![talk.id.clone()])
    );
    asks(&eve, "leave", to(&talk)).await.is_ok();
    assert_eq!(
        (ann.hears().await.lists, invited_to(&ann).await),
        (vec![ann.user.clone()], vec![])
    );
    // One that was hidden because he was an admin shows when he is none, and she hears of it.
    let cleo = world.person("Cleo").await;
    mallory.befriends(&cleo).await;
    adds(&mallory, &talk, &[&cleo]).await;
    asks(
        &mallory,
        "setrole",
        json!({ "conversationid": talk.id, "participantid": cleo.user, "role": "admin" }),
    )
    .await
    .is_ok();
    assert_eq!(adds(&cleo, &talk, &[&ann]).await, json!([ann.user]));
    assert_eq!(
        (ann.hears().await, invited_to(&ann).await),
        (News::default(), vec![])
    );
    asks(
        &cleo,
        "setrole",
        json!({ "conversationid": talk.id, "participantid": mallory.user, "role": "member" }),
    )
    .await
    .is_ok();
    assert_eq!(
        (ann.hears().await.lists, invited_to(&ann).await),
        (vec![ann.user.clone()], vec![talk.id.clone()])
    );
    world.end().await;
}

#[tokio::test]
async fn a_role_that_someone_has_already_is_no_news() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let (talk, _) = creates(&ann, &[&ben]).await;
    let set = json!({ "conversationid": talk.id, "participantid": ben.user, "role": "admin" });
    ben.listens().await;
    asks(&ann, "setrole", set.clone()).await.is_ok();
    assert_eq!(ben.hears().await.lists, [ben.user.clone()]);
    asks(&ann, "setrole", set).await.is_ok();
    assert_eq!(ben.hears().await, News::default());
    world.end().await;
}

#[tokio::test]
async fn who_is_invited_tells_nothing_of_blocks_between_others_unless_both_are_friends() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let (cleo, dan) = (world.person("Cleo").await, world.person("Dan").await);
    ann.befriends(&dan).await;
    for blocked in [&cleo, &dan] {
        blocks(&ben, blocked, true).await;
    }
    // Cleo is a stranger to Ann, and is not put in: Ben does not meet her.
    assert_eq!(creates(&ann, &[&ben, &cleo]).await.1, json!([cleo.user]));
    // Dan is put in.
    assert_eq!(creates(&ann, &[&ben, &dan]).await.1, json!([ben.user]));
    world.end().await;
}

#[tokio::test]
async fn a_new_name_is_that_of_open_invitations_too_and_wakes_nobody() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let cleo = world.person("Cleo").await;
    let (talk, _) = creates(&ann, &[&ben, &cleo]).await;
    cleo.listens().await;
    let names = json!({ &ann.user: "for Ann", &cleo.user: "for Cleo" });
    asks(
        &ann,
        "rename",
        json!({ "conversationid": talk.id, "displaynames": names }),
    )
    .await
    .is_ok();
    assert_eq!(
        (
            invitations(&cleo).await[0]["displayname"].clone(),
            cleo.hears().await
        ),
        (json!("for Cleo"), News::default())
    );
    asks_v4(&cleo, "accept", to(&talk)).await.is_ok();
    assert_eq!(cleo.sees(&talk).await["displayname"], "for Cleo");
    world.end().await;
}

#[tokio::test]
async fn a_friends_invitation_takes_the_place_of_a_strangers() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let eve = world.person("Eve").await;
    eve.befriends(&ben).await;
    let (talk, _) = creates(&eve, &[&ben, &ann]).await;
    asks(
        &eve,
        "setrole",
        json!({ "conversationid": talk.id, "participantid": ben.user, "role": "admin" }),
    )
    .await
    .is_ok();
    ann.listens().await;
    // Ben could put Ann in; but she would meet somebody whom she blocked, who is no admin.
    let mallory = world.person("Mallory").await;
    eve.befriends(&mallory).await;
    adds(&eve, &talk, &[&mallory]).await;
    blocks(&ann, &mallory, true).await;
    ann.hears().await;
    let from = async || invitations(&ann).await[0]["invitername"].clone();
    assert_eq!(from().await, "Eve");
    assert_eq!(adds(&ben, &talk, &[&ann]).await, json!([ann.user]));
    assert_eq!(
        (from().await, ann.hears().await.lists),
        (json!("Ben"), vec![ann.user.clone()])
    );
    // A stranger's does not take the place of a friend's, nor is Ann told once more of what is as it was.
    for admin in [&eve, &ben] {
        adds(admin, &talk, &[&ann]).await;
    }
    assert_eq!(
        (from().await, ann.hears().await),
        (json!("Ben"), News::default())
    );
    world.end().await;
}

#[tokio::test]
async fn a_stranger_waits_for_no_group_and_holds_none_up() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let eve = world.person("Eve").await;
    let (talk, _) = creates(&ann, &[&ben]).await;
    let direct = ann.creates(&ben).await;
    let mut held = world.db.begin().await.unwrap();
    sqlx::raw_sql("select from conversations for update")
        .execute(&mut *held)
        .await
        .unwrap();
    for talk in [&talk, &direct] {
        for action in ["accept", "decline", "leave"] {
            asks_v4(&eve, action, to(talk))
                .await
                .is_refused(404, "conversation_not_found");
        }
        asks(
            &eve,
            "rename",
            json!({ "conversationid": talk.id, "displaynames": {} }),
        )
        .await
        .is_refused(404, "conversation_not_found");
        asks_v4(&eve, "addparticipants", addition(talk, &[&ann]))
            .await
            .is_refused(404, "conversation_not_found");
    }
    held.rollback().await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn of_too_many_invitations_those_that_do_not_show_go_first() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let (eve, mallory) = (world.person("Eve").await, world.person("Mallory").await);
    ben.befriends(&mallory).await;
    blocks(&ann, &mallory, true).await;
    // From a friend, and the newest; but one whom she blocked runs that group.
    let (oldest, _) = creates(&eve, &[&ann]).await;
    let (hidden, _) = creates(&mallory, &[&ben]).await;
    asks(
        &mallory,
        "setrole",
        json!({ "conversationid": hidden.id, "participantid": ben.user, "role": "admin" }),
    )
    .await
    .is_ok();
    assert_eq!(adds(&ben, &hidden, &[&ann]).await, json!([ann.user]));
    world
        .sql(&format!(
            "update invitations set invited_at = invited_at - interval '1 year' where inviter_id = '{eve}';
            insert into conversations (conversation_id, is_group, instance, last_access_at, created_at)
            select md5(n::text)::uuid, true, 'AAAAAAAAAA', now(), now() from generate_series(1, 98) n;
            insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
            select md5(n::text)::uuid, '{eve}', '', '', 'admin', now() from generate_series(1, 98) n;
            insert into invitations (conversation_id, user_id, inviter_id, secret, display_name, invited_at)
            select md5(n::text)::uuid, '{ann}', '{eve}', '', '', now() from generate_series(1, 98) n",
            eve = eve.user,
            ann = ann.user
        ))
        .await;
    let (newest, _) = creates(&eve, &[&ann]).await;
    let waiting = invited_to(&ann).await;
    assert_eq!(
        (waiting.len(), world.count("invitations").await),
        (100, 100)
    );
    assert!(waiting.contains(&oldest.id) && waiting.contains(&newest.id));
    world.end().await;
}
