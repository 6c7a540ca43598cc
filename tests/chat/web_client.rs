//! The web client, as a browser gets it. Needs a server that was built after `script/web`.

use reqwest::header::{ACCEPT_ENCODING, IF_NONE_MATCH};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::world::World;

/// The answer for a path, with an additional request header.
async fn get(world: &World, path: &str, header: (&str, &str)) -> reqwest::Response {
    reqwest::Client::new()
        .get(format!("{}{path}", world.url))
        .header(header.0, header.1)
        .send()
        .await
        .unwrap()
}

/// The paths of the files that the page refers to.
fn assets(page: &str) -> Vec<String> {
    page.split('"')
        .filter(|text| text.starts_with("assets/"))
        .map(|path| format!("/{path}"))
        .collect()
}

#[tokio::test]
async fn the_page_and_all_that_it_names_are_served_and_kept_as_long_as_they_may_be() {
    let world = World::new().await;
    let page = world.sends("GET", "/").await;
    assert_eq!(page.status, 200, "script/web builds the client: {page:?}");
    assert_eq!(page.headers["Content-Type"], "text/html; charset=utf-8");
    assert_eq!(page.headers["Cache-Control"], "no-cache");
    let paths = assets(&page.text);
    assert!(paths.len() >= 2, "{}", page.text);
    for path in paths {
        let asset = world.sends("GET", &path).await;
        assert_eq!(asset.status, 200, "{path}");
        assert_eq!(
            asset.headers["Cache-Control"], "public, max-age=31536000, immutable",
            "{path}"
        );
        assert_eq!(asset.headers["X-Content-Type-Options"], "nosniff");
    }
    let head = world.sends("HEAD", "/").await;
    assert_eq!((head.status, &*head.text), (200, ""));
    assert_eq!(
        head.headers["Content-Length"],
        page.text.len().to_string(),
        "{head:?}"
    );
    world.end().await;
}

#[tokio::test]
async fn the_page_may_load_and_run_nothing_from_elsewhere() {
    let world = World::new().await;
    let page = world.sends("GET", "/").await;
    let policy = page.headers["Content-Security-Policy"].to_str().unwrap();
    for directive in [
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval';",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(policy.contains(directive), "{policy}");
    }
    assert_eq!(page.headers["Referrer-Policy"], "no-referrer");
    assert_eq!(page.headers["Cross-Origin-Opener-Policy"], "same-origin");
    // The policy forbids inline scripts, so the page must not have any.
    assert!(!page.text.contains("<script>") && !page.text.contains("style="));
    world.end().await;
}

#[tokio::test]
async fn files_are_compressed_for_clients_that_accept_it_and_not_sent_again() {
    let world = World::new().await;
    let plain = get(&world, "/", ("Accept-Encoding", "identity")).await;
    assert!(!plain.headers().contains_key("Content-Encoding"));
    let mut tags = vec![plain.headers()["ETag"].clone()];
    let length = plain.content_length().unwrap();
    for (accepted, encoding) in [("gzip, deflate, br", "br"), ("gzip", "gzip")] {
        let answer = get(&world, "/", (ACCEPT_ENCODING.as_str(), accepted)).await;
        assert_eq!(answer.headers()["Content-Encoding"], encoding);
        assert_eq!(answer.headers()["Vary"], "Accept-Encoding");
        assert!(answer.content_length().unwrap() < length);
        tags.push(answer.headers()["ETag"].clone());
    }
    // With a single tag, a cache could return the bytes of another encoding.
    tags.dedup();
    assert_eq!(tags.len(), 3);
    let tag = tags[0].to_str().unwrap();
    let again = get(&world, "/", (IF_NONE_MATCH.as_str(), tag)).await;
    assert_eq!(again.status(), 304);
    assert_eq!(again.text().await.unwrap(), "");
    let changed = get(&world, "/", (IF_NONE_MATCH.as_str(), "\"another\"")).await;
    assert_eq!(changed.status(), 200);
    world.end().await;
}

#[tokio::test]
async fn an_answer_not_modified_has_no_body_that_the_next_answer_would_begin_with() {
    let world = World::new().await;
    let page = get(&world, "/", (ACCEPT_ENCODING.as_str(), "identity")).await;
    let tag = page.headers()["ETag"].to_str().unwrap().to_owned();
    let mut socket = TcpStream::connect(world.url.strip_prefix("http://").unwrap())
        .await
        .unwrap();
    let ask = format!("GET / HTTP/1.1\r\nHost: parlance\r\nIf-None-Match: {tag}\r\n");
    let both = format!("{ask}\r\n{ask}Connection: close\r\n\r\n");
    socket.write_all(both.as_bytes()).await.unwrap();
    let mut answers = String::new();
    socket.read_to_string(&mut answers).await.unwrap();
    let answers: Vec<&str> = answers.split("\r\n\r\n").collect();
    assert_eq!(answers.len(), 3, "{answers:?}");
    for answer in &answers[..2] {
        assert!(answer.starts_with("HTTP/1.1 304 "), "{answer}");
    }
    assert_eq!(answers[2], "");
    world.end().await;
}

#[tokio::test]
async fn unknown_paths_are_refused_as_before() {
    let world = World::new().await;
    for (method, path) in [
        ("POST", "/"),
        ("GET", "/assets/"),
        ("GET", "/assets/../Cargo.toml"),
        ("GET", "/index.html.br"),
        ("GET", "/version"),
        ("DELETE", "/sw.js"),
    ] {
        world.sends(method, path).await.refused(404, "unknown_api");
    }
    world.end().await;
}
