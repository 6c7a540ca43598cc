//! Malformed requests, and requests without a signature.

use std::time::Duration;

use crate::world::{World, eventually, now};

#[tokio::test]
async fn malformed_calls_of_an_api_get_a_reason() {
    let world = World::new().await;
    for (method, path, status, code) in [
        (
            "GET",
            "/?srv=chatserver&api=chatconversation",
            405,
            "method_not_allowed",
        ),
        (
            "PUT",
            "/index.php?srv=chatserver&api=chatlogin",
            405,
            "method_not_allowed",
        ),
        (
            "DELETE",
            "/ozeki/index.php?srv=chatowner&api=workspace",
            405,
            "method_not_allowed",
        ),
        ("POST", "/?srv=chatserver&api=nothing", 404, "unknown_api"),
        (
            "POST",
            "/?srv=chatowner&api=chatconversation",
            404,
            "unknown_api",
        ),
        (
            "POST",
            "/?srv=chatserver&srv=chatserver&api=chatconversation",
            404,
            "unknown_api",
        ),
        ("POST", "/", 404, "unknown_api"),
        ("GET", "/?srv=chatserver", 404, "unknown_api"),
        ("GET", "/index.php", 404, "unknown_api"),
        ("GET", "/elsewhere", 404, "unknown_api"),
        ("GET", "/%00/../etc/passwd", 404, "unknown_api"),
    ] {
        world.sends(method, path).await.refused(status, code);
    }
    for (api, body) in [
        ("chatconversation", r#"{"action":"nothing"}"#),
        ("chatlogin", r#"{"action":"list"}"#),
    ] {
        world
            .posts("chatserver", api, &[], body)
            .await
            .refused(404, "unknown_action");
    }
    for body in [
        "",
        "x",
        "null",
        "[]",
        r#"["list"]"#,
        "\"list\"",
        "{",
        r#"{"action":"list"} x"#,
        r#"{"action":5}"#,
        "{}",
        r#"{"action":"list","action":"list"}"#,
        "\u{feff}{}",
        r#"{"action":"list","clientversioncode":"3"}"#,
        r#"{"action":"list","timestamp":"yesterday"}"#,
    ] {
        let refusal = world
            .posts("chatserver", "chatconversation", &[], body)
            .await
            .refused(400, "bad_request");
        let sentence = refusal["errormessage"].as_str().unwrap();
        assert!(
            !["i64", "string", "map", "sequence", "?"]
                .iter()
                .any(|word| sentence.contains(word)),
            "no sentence for a person: {sentence}"
        );
    }
    world.end().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_too_large_however_it_is_sent() {
    let world = World::with(|settings| settings.max_body_bytes = 2048).await;
    let large = format!(r#"{{"action":"list","x":"{}"}}"#, "x".repeat(4000));
    let sentence = world
        .posts("chatserver", "chatconversation", &[], &large)
        .await
        .refused(413, "too_large");
    assert!(sentence["errormessage"].as_str().unwrap().contains("2048"));
    world
        .posts("chatserver", "chatconversation", &[], &large[..2000])
        .await
        .refused(400, "bad_request");
    world.end().await;
}

#[tokio::test]
async fn deep_nonsense_does_not_stop_the_server() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let deep = format!(
        r#"{{"action":"list","timestamp":"{}","x":{}{}}}"#,
        now(),
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    // Unknown fields are ignored, whatever they contain; known ones are not.
    ann.sends("chatserver", "chatconversation", &deep)
        .await
        .ok();
    ann.sends(
        "chatserver",
        "chatconversation",
        &deep.replace("list", "add").replace("\"x\"", "\"message\""),
    )
    .await
    .refused(400, "bad_request");
    let binary = r#"{"action":"list","x":"#.to_owned() + "\u{0}" + "}";
    ann.sends("chatserver", "chatconversation", &binary)
        .await
        .refused(400, "bad_request");
    ann.lists().await.ok();
    world.end().await;
}

#[tokio::test]
async fn health_and_readiness_are_told_to_anyone() {
    let world = World::new().await;
    for path in ["/healthz", "/readyz"] {
        let answer = world.sends("GET", path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    }
    // A newer Parlance has migrated the database while this one runs, which stays ready. An older
    // schema is not ready.
    world.sql("delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)").await;
    eventually("the next look", async || {
        world.sends("GET", "/readyz").await.status == 503
    })
    .await;
    assert_eq!(world.sends("GET", "/healthz").await.status, 200);
    world.stop().await;
    let refused = reqwest::Client::new()
        .get(format!("{}/healthz", world.url))
        .timeout(Duration::from_secs(5))
        .send()
        .await;
    assert!(refused.is_err());
}
