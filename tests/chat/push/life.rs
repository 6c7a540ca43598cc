//! The life of a subscription: how it begins, what it may say, how it ends, and what a push service
//! says of it.

use parlance::settings::{Push, PushServices};
use serde_json::json;

use super::{CONTACT, PushService, Pushed, asks, enables, endpoint, is_claimed, wakes_up};
use crate::world::{World, eventually};

#[tokio::test]
async fn without_a_contact_nothing_is_pushed_and_nobody_is_told_a_key() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let push = asks(&ann, json!({ "action": "push" })).await.ok();
    assert_eq!(
        (&push["pushkey"], &push["endpoint"]),
        (&json!(""), &json!(""))
    );
    let request = json!({ "action": "enablepush", "endpoint": endpoint(&ann) });
    asks(&ann, request).await.refused(403, "not_allowed");
    asks(&ann, json!({ "action": "disablepush" })).await.ok();
    wakes_up(&ann).await;
    assert_eq!(world.count("push_subscriptions").await, 0);
    world.end().await;
}

#[tokio::test]
async fn the_key_is_told_at_login_and_is_the_same_on_each_node() {
    let pushed = Pushed::new().await;
    let other = pushed
        .world
        .another_with(|settings| pushed.service.serves(settings))
        .await;
    let login = json!({ "action": "login", "apikey": "the apikey of Ben", "clientversioncode": 4 });
    let mut keys = vec![pushed.key().await];
    for world in [&pushed.world, &other] {
        let headers = [("Ozeki-Station", pushed.ben.station.as_str())];
        let answer = world
            .posts("chatserver", "chatlogin", &headers, &login.to_string())
            .await
            .ok();
        keys.push(answer["pushkey"].as_str().unwrap().to_owned());
    }
    assert!(keys.iter().all(|key| *key == keys[0] && key.len() == 87));
    other.stop().await;
    pushed.end().await;
}

#[tokio::test]
async fn a_station_has_one_subscription_which_it_alone_changes() {
    let mut pushed = Pushed::new().await;
    let ben = pushed.ben.clone();
    enables(&ben).await;
    enables(&ben).await;
    let newer = json!({ "action": "enablepush", "endpoint": "https://push.example/newer" });
    asks(&ben, newer).await.ok();
    let push = asks(&ben, json!({ "action": "push" })).await.ok();
    assert_eq!(push["endpoint"], "https://push.example/newer");
    // Another station of the user does not see it, nor end it.
    let phone = ben.second_device().await;
    let push = asks(&phone, json!({ "action": "push" })).await.ok();
    assert_eq!(push["endpoint"], "");
    asks(&phone, json!({ "action": "disablepush" })).await.ok();
    pushed.ann.adds(&pushed.conversation, "hi").await;
    assert_eq!(pushed.service.receives().await.path, "/newer");
    wakes_up(&ben).await;
    for _ in 0..2 {
        asks(&ben, json!({ "action": "disablepush" })).await.ok();
    }
    pushed.ann.adds(&pushed.conversation, "unheard").await;
    pushed.ann.adds(&pushed.witness, "for Cleo").await;
    let cleo = pushed.cleo.clone();
    pushed.pushes(&cleo).await;
    pushed.end().await;
}

#[tokio::test]
async fn an_endpoint_that_could_lead_elsewhere_is_refused() {
    let pushed = Pushed::new().await;
    for wrong in [
        json!(null),
        json!(7),
        json!(""),
        json!("http://push.example/a"),
        json!("https://127.0.0.1/a"),
        json!("https://[::1]/a"),
        json!("https://localhost/a"),
        json!("https://push.example:8443/a"),
        json!("https://ann@push.example/a"),
        json!(format!("https://push.example/{}", "a".repeat(1024))),
    ] {
        let request = json!({ "action": "enablepush", "endpoint": wrong });
        asks(&pushed.ben, request).await.refused(400, "bad_request");
    }
    asks(&pushed.ben, json!({ "action": "enablepush" }))
        .await
        .refused(400, "bad_request");
    // Of version 4, like everything here.
    for action in ["push", "enablepush", "disablepush", "ackpush"] {
        let request = json!({ "action": action, "endpoint": endpoint(&pushed.ben) });
        pushed
            .ben
            .asks("chatlogin", request)
            .await
            .refused(404, "unknown_action");
    }
    assert_eq!(pushed.world.count("push_subscriptions").await, 1);
    pushed.end().await;
}

#[tokio::test]
async fn a_subscription_goes_with_its_station_and_with_its_user() {
    let pushed = Pushed::new().await;
    let ben = &pushed.ben;
    let (phone, tablet) = (ben.second_device().await, ben.second_device().await);
    for station in [ben, &phone, &tablet] {
        enables(station).await;
    }
    let export = asks(ben, json!({ "action": "export" })).await.ok();
    let told = export["pushes"].as_array().unwrap();
    assert_eq!(told.len(), 3);
    assert!(told.iter().any(|one| one["endpoint"] == endpoint(&phone)));
    // From elsewhere, and by itself.
    let end = json!({ "action": "signout", "stationid": phone.station });
    asks(ben, end).await.ok();
    assert_eq!(pushed.world.count("push_subscriptions").await, 3);
    let end = json!({ "action": "signout", "stationid": tablet.station });
    asks(&tablet, end).await.ok();
    assert_eq!(pushed.world.count("push_subscriptions").await, 2);
    let delete = json!({ "action": "delete", "apikey": "the apikey of Ben" });
    asks(ben, delete).await.ok();
    assert_eq!(pushed.world.count("push_subscriptions").await, 1);
    pushed.end().await;
}

#[tokio::test]
async fn a_disabled_user_is_not_pushed() {
    let mut pushed = Pushed::new().await;
    let ben = pushed.ben.clone();
    enables(&ben).await;
    assert!(pushed.world.sets_disabled(&ben, true).await);
    pushed.ann.adds(&pushed.conversation, "hi").await;
    pushed.leaves_alone(&ben).await;
    pushed.end().await;
}

#[tokio::test]
async fn a_subscription_that_its_push_service_does_not_know_is_deleted() {
    for status in ["404 Not Found", "410 Gone"] {
        let mut pushed = Pushed::new().await;
        let ben = pushed.ben.clone();
        enables(&ben).await;
        pushed.service.answers_with(status);
        pushed.ann.adds(&pushed.conversation, "hi").await;
        pushed.pushes(&ben).await;
        eventually("it is deleted", async || {
            pushed.world.count("push_subscriptions").await == 1
        })
        .await;
        pushed.end().await;
    }
}

#[tokio::test]
async fn a_push_is_tried_again_while_its_service_is_away_and_not_when_it_refuses() {
    let mut pushed = Pushed::new().await;
    let ben = pushed.ben.clone();
    enables(&ben).await;
    pushed.service.answers_with("503 Service Unavailable");
    pushed
        .service
        .answers_with("429 Too Many Requests\r\nRetry-After: 0");
    pushed.ann.adds(&pushed.conversation, "hi").await;
    for _ in 0..3 {
        pushed.pushes(&ben).await;
    }
    // Once it was taken, it is not sent again; nor is it where it is refused, or led elsewhere.
    for answer in [
        "403 Forbidden",
        "301 Moved Permanently\r\nLocation: https://push.example/elsewhere",
        "307 Temporary Redirect\r\nLocation: http://127.0.0.1/",
    ] {
        wakes_up(&ben).await;
        pushed.service.answers_with(answer);
        pushed.ann.adds(&pushed.conversation, "again").await;
        pushed.pushes(&ben).await;
    }
    // After the last attempt, the next message is pushed again.
    wakes_up(&ben).await;
    for _ in 0..5 {
        pushed.service.answers_with("500 Internal Server Error");
    }
    pushed.ann.adds(&pushed.conversation, "once more").await;
    for _ in 0..5 {
        pushed.pushes(&ben).await;
    }
    eventually("it is given up", async || {
        !is_claimed(&pushed.world, &ben).await
    })
    .await;
    pushed.ann.adds(&pushed.conversation, "at last").await;
    pushed.pushes(&ben).await;
    pushed.end().await;
}

#[tokio::test]
async fn a_service_that_cannot_prove_its_name_is_not_pushed_to() {
    let mut pushed = Pushed::new().await;
    let ben = pushed.ben.clone();
    let other = json!({ "action": "enablepush", "endpoint": "https://other.example/a" });
    asks(&ben, other).await.ok();
    pushed.ann.adds(&pushed.conversation, "hi").await;
    eventually("it is given up", async || {
        pushed.ann.adds(&pushed.witness, "for Cleo").await;
        !is_claimed(&pushed.world, &ben).await
    })
    .await;
    let cleo = pushed.cleo.clone();
    pushed.pushes(&cleo).await;
    pushed.end().await;
}

#[tokio::test]
async fn a_name_that_leads_to_an_internal_address_is_not_connected_to() {
    let world = World::with(|settings| {
        settings.push = Some(Push {
            contact: CONTACT.to_owned(),
            services: PushServices::Public,
        });
        settings.metrics_addr = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    let (ann, ben, conversation) = world.conversation().await;
    // It has the form of a name, but the system takes it for an address.
    let request = json!({ "action": "enablepush", "endpoint": "https://127.0x1/a" });
    asks(&ben, request).await.ok();
    ann.adds(&conversation, "hi").await;
    let url = world.metrics_url();
    eventually("it is refused", async || {
        let text = reqwest::get(&url).await.unwrap().text().await.unwrap();
        text.contains(r#"parlance_web_pushes_total{outcome="internal_address"} 1"#)
    })
    .await;
    world.end().await;
}

/// The claim of a station is taken back after its push was given up, also by a service that is not there.
#[tokio::test]
async fn a_service_that_is_not_there_costs_nothing_but_the_push() {
    let service = PushService::start().await;
    let world = World::with(|settings| {
        service.serves(settings);
        if let Some(Push {
            services: PushServices::At { address, .. },
            ..
        }) = &mut settings.push
        {
            // The port of nothing.
            *address = "127.0.0.1:1".parse().unwrap();
        }
    })
    .await;
    let (ann, ben, conversation) = world.conversation().await;
    enables(&ben).await;
    ann.adds(&conversation, "hi").await;
    eventually("it is given up", async || !is_claimed(&world, &ben).await).await;
    world.end().await;
}
