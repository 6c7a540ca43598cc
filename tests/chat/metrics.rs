//! `/metrics`: its contents, its address, and that no client can make it grow.

use std::collections::{BTreeMap, BTreeSet};

use parlance::server::{self, Running};
use parlance_wire::request::Api;
use serde_json::json;

use crate::world::{Socket, World, database, file, message, settings};

/// A server with metrics.
async fn start() -> (std::sync::Arc<World>, Running) {
    let options = database().await;
    let mut settings = settings();
    settings.database = parlance::settings::Database::Given(Box::new(options.clone()));
    settings.metrics_addr = Some("127.0.0.1:0".parse().unwrap());
    let running = server::start(settings).await.unwrap();
    (
        World::at(&format!("http://{}", running.address), options),
        running,
    )
}

async fn scrape(running: &Running) -> String {
    let url = format!("http://{}/metrics", running.metrics_address.unwrap());
    let answer = reqwest::get(url).await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap()
}

/// The value of a series, as text.
fn value<'a>(text: &'a str, series: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
}

/// The labels of each series.
fn labels(text: &str) -> Vec<BTreeMap<&str, &str>> {
    let series = text.lines().filter(|line| !line.starts_with('#'));
    let labels = series.filter_map(|line| Some(line.split_once('{')?.1.split_once('}')?.0));
    labels
        .map(|labels| {
            let pairs = labels.split(',').filter_map(|label| label.split_once('='));
            pairs
                .map(|(name, value)| (name, value.trim_matches('"')))
                .collect()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_shows_the_traffic_and_is_answered_on_its_own_address_alone() {
    let (world, running) = start().await;
    let (ann, ben, conversation) = world.conversation().await;
    for n in 0..3 {
        ann.adds(&conversation, &n.to_string()).await;
        scrape(&running).await;
    }
    ben.does("download", &conversation, json!({})).await.ok();
    ben.asks(
        "chatfriends",
        json!({ "action": "add", "friendid": ben.user }),
    )
    .await
    .refused(400, "bad_request");
    let text = scrape(&running).await;
    let requests = |api, action, outcome| {
        let labels = format!("{{api=\"{api}\",action=\"{action}\",outcome=\"{outcome}\"}}");
        value(&text, &format!("parlance_requests_total{labels}"))
    };
    assert_eq!(
        requests("chatconversation", "add", "ok"),
        Some("3"),
        "{text}"
    );
    assert_eq!(requests("chatconversation", "download", "ok"), Some("1"));
    assert_eq!(requests("chatfriends", "add", "bad_request"), Some("1"));
    let add = "{api=\"chatconversation\",action=\"add\"}";
    assert_eq!(
        value(&text, &format!("parlance_request_seconds_count{add}")),
        Some("3")
    );
    assert_eq!(value(&text, "parlance_nodes_alive"), Some("1"));
    assert_eq!(value(&text, "parlance_sockets"), Some("0"));
    assert_eq!(world.sends("GET", "/metrics").await.status, 404);
    let url = format!("http://{}/metrics", running.metrics_address.unwrap());
    let head = reqwest::Client::new().head(url).send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert!(head.text().await.unwrap().is_empty());
    world.end().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_pushed_cached_and_refused_is_counted() {
    let (world, running) = start().await;
    let (ann, ben, conversation) = world.conversation().await;
    let before = scrape(&running).await;
    let count = |text: &str, series: &str| -> f64 {
        let value = value(text, series).unwrap_or_else(|| panic!("no {series} in {text}"));
        value.parse().unwrap()
    };
    let grew = |text: &str, series: &str| count(text, series) - count(&before, series);
    let mut bens = Socket::of(&ben, 4).await;
    let message = message("hi");
    for _ in 0..2 {
        let fields = json!({ "message": message.to_string() });
        ann.does("add", &conversation, fields).await.ok();
    }
    bens.hears_about("events").await;
    let id = message["ID"].as_str().unwrap().to_owned();
    ben.views(&conversation, &[id]).await.ok();
    let text = scrape(&running).await;
    for (series, by) in [
        ("parlance_messages_stored_total", 1.0),
        ("parlance_message_retries_total", 1.0),
        ("parlance_reports_stored_total", 1.0),
        ("parlance_batcher_batch_size_count{kind=\"messages\"}", 2.0),
        ("parlance_batcher_batch_size_sum{kind=\"messages\"}", 2.0),
        (
            "parlance_batcher_batch_seconds_count{kind=\"reports\"}",
            1.0,
        ),
        ("parlance_batcher_splits_total{kind=\"messages\"}", 0.0),
        ("parlance_sockets_opened_total", 1.0),
        ("parlance_db_errors_total{class=\"unexpected\"}", 0.0),
    ] {
        assert!((grew(&text, series) - by).abs() < 0.1, "{series}: {text}");
    }
    #[expect(clippy::cast_precision_loss, reason = "a few bytes")]
    let bytes = message["Data"].as_str().unwrap().len() as f64;
    assert!((grew(&text, "parlance_message_bytes_total") - bytes).abs() < 0.1);
    assert!(grew(&text, "parlance_commit_to_push_seconds_count") > 0.0);
    assert!(grew(&text, "parlance_cache_hits_total{cache=\"keys\"}") > 0.0);
    assert_eq!(value(&text, "parlance_db_up"), Some("1"));
    assert_eq!(value(&text, "parlance_users{state=\"enabled\"}"), Some("2"));
    assert!(count(&text, "process_resident_memory_bytes") > 1e6);
    assert!(count(&text, "process_cpu_seconds_total") > 0.0);
    world.end().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_names_are_those_of_the_documentation() {
    let (world, running) = start().await;
    world.person("Ann").await;
    let text = scrape(&running).await;
    let shown: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let page = std::fs::read_to_string(file("docs/operating.md")).unwrap();
    let documented: BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        // The page has other tables, too.
        .filter(|name| name.starts_with("parlance_") || name.starts_with("process_"))
        .collect();
    assert_eq!(shown, documented, "{text}");
    world.end().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invented_names_are_not_labels() {
    let (world, running) = start().await;
    let ann = world.person("Ann").await;
    for n in 0..50 {
        let body = json!({ "action": format!("made-up-{n}") });
        ann.asks("chatconversation", body)
            .await
            .refused(404, "unknown_action");
        world
            .posts("chatserver", &format!("made-up-{n}"), &[], "{}")
            .await
            .refused(404, "unknown_api");
        world.sends("GET", &format!("/made-up-{n}")).await;
        // A known action with unknown fields.
        let body = json!({ "action": "mute", "conversationid": format!("made-up-{n}") });
        ann.asks("chatconversation", body)
            .await
            .refused(400, "bad_request");
    }
    let text = scrape(&running).await;
    assert!(
        !text.contains("made-up") && !text.contains(&ann.user),
        "{text}"
    );
    let known = |api: &str, action: &str| {
        let api = Api::ALL.into_iter().find(|one| one.names().1 == api);
        api.is_some_and(|api| action == "unknown" || api.actions().contains(&action))
    };
    for labels in labels(&text) {
        if let (Some(api), Some(action)) = (labels.get("api"), labels.get("action")) {
            assert!(
                known(api, action) || (*api, *action) == ("unknown", "unknown"),
                "{labels:?}"
            );
        }
    }
    world.end().await;
    running.stop().await;
}
