//! The first account: a link that registers a single admin.

use parlance::settings::Registration;
use serde_json::{Value, json};

use super::register;
use crate::world::World;

async fn code(world: &World) -> String {
    let link = world.first_link().await.unwrap();
    let (address, code) = link.split_once("/#invite=").unwrap();
    assert_eq!(address, world.url);
    code.to_owned()
}

/// The role in the answer to a login, for a client of this version.
async fn role(world: &World, name: &str, version: i64) -> Option<Value> {
    let station = uuid::Uuid::new_v4().simple().to_string();
    let login = json!({ "action": "login", "apikey": format!("the apikey of {name}"), "clientversioncode": version });
    let headers = [("Ozeki-Station", &*station)];
    let answer = world
        .posts("chatserver", "chatlogin", &headers, &login.to_string())
        .await;
    answer.ok().get("role").cloned()
}

#[tokio::test]
async fn the_first_link_makes_one_account_which_is_an_admin() {
    let world = World::with(|settings| settings.registration = Registration::Invite).await;
    register(&world, "Ann", None)
        .await
        .refused(403, "registration_closed");
    // Each start creates another link, and all of them are valid until there is a user.
    let (one, other) = (code(&world).await, code(&world).await);
    register(&world, "Ann", Some(&one)).await.ok();
    assert_eq!(role(&world, "Ann", 4).await, Some(json!("admin")));
    assert_eq!(role(&world, "Ann", 3).await, None, "as published");
    for code in [&one, &other] {
        register(&world, "Ben", Some(code))
            .await
            .refused(403, "registration_closed");
    }
    assert_eq!(world.first_link().await, None);
    let entry: String = sqlx::query_scalar("select entry from audit_log")
        .fetch_one(&world.db)
        .await
        .unwrap();
    assert!(
        entry.contains("\"user first\"") && entry.contains("ann@example.org"),
        "{entry}"
    );
    world.end().await;
}

#[tokio::test]
async fn of_many_concurrent_uses_of_first_links_one_makes_an_admin() {
    let world = World::with(|settings| settings.registration = Registration::Invite).await;
    let codes = [code(&world).await, code(&world).await, code(&world).await];
    let names = ["Ann", "Ben", "Cleo", "Dan", "Eve", "Fay"];
    let tries = names
        .iter()
        .zip(codes.iter().cycle())
        .map(|(name, code)| register(&world, name, Some(code)));
    let answers = futures_util::future::join_all(tries).await;
    let registered = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(
        (registered, world.count("users").await),
        (1, 1),
        "{answers:?}"
    );
    world.end().await;
}

#[tokio::test]
async fn the_first_link_exists_unless_registration_is_closed_and_makes_an_admin() {
    let world = World::new().await;
    let code = code(&world).await;
    register(&world, "Ann", Some(&code)).await.ok();
    register(&world, "Ben", Some(&code)).await.ok();
    assert_eq!(role(&world, "Ann", 4).await, Some(json!("admin")));
    assert_eq!(role(&world, "Ben", 4).await, Some(json!("user")));
    world.end().await;

    let closed = World::with(|settings| settings.registration = Registration::Closed).await;
    assert_eq!(closed.first_link().await, None);
    closed.end().await;
}
