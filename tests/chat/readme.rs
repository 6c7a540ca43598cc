//! The README's tour: its shell blocks are extracted from the file and run.

use std::process::Command;

use serde_json::Value;

use crate::world::{World, file};

#[tokio::test(flavor = "multi_thread")]
async fn the_tour_works_line_by_line() {
    let world = World::new().await;
    let options = world.store.options().clone();
    let text = std::fs::read_to_string(file("README.md")).unwrap();
    let blocks: Vec<&str> = text
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(blocks.len() >= 8);
    // The only two differences here: the path of the program, and the server's address.
    let script = blocks
        .join("\n")
        .replace("target/try/parlance", env!("CARGO_BIN_EXE_parlance"))
        .replace("http://127.0.0.1:8080", &world.url);
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new("sh")
        .args(["-eu", "-c", &script])
        .current_dir(dir.path())
        .env(
            "DATABASE_URL",
            format!(
                "postgres://parlance@localhost/{}?host={}",
                options.get_database().unwrap(),
                options.get_socket().unwrap().display()
            ),
        )
        .output()
        .unwrap();
    let (said, problems) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{said}\n{problems}");
    let answers: Vec<Value> = said
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), 19, "{said}");
    let (last, others) = answers.split_last().unwrap();
    for answer in others {
        assert_eq!(answer["status"], "OK", "{answer}");
    }
    assert_eq!(last["errorcode"], "stale_instance");
    assert_eq!(
        answers[4], answers[5],
        "a retry is answered as the first time"
    );
    assert_eq!(answers[7]["messages"].as_array().unwrap().len(), 1);
    assert_eq!(answers[9]["reports"].as_array().unwrap().len(), 1);
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        0,
        "it leaves nothing behind"
    );
    world.end().await;
}
