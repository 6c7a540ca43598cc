//! A client that was written from the documentation alone (`tests/outside_client.py`), and
//! `parlance-client`: each reads what the other wrote.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use super::person::Person;
use crate::world::{World, file};

/// The outside client, which answers each command with one line.
struct Outside {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Outside {
    fn starts(world: &World, friend: &Person) -> Self {
        let system = "/usr/bin/python3";
        let is_there = std::path::Path::new(system).exists();
        let mut child = Command::new(if is_there { system } else { "python3" })
            .arg(file("tests/outside_client.py"))
            .args([&*world.url, "outside@example.org", "a long password"])
            .arg(&friend.email)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is there");
        let commands = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut outside = Self {
            child,
            commands,
            answers,
        };
        assert_eq!(outside.answers(), "ready");
        outside
    }

    fn answers(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn does(&mut self, command: &str) -> String {
        writeln!(self.commands, "{command}").unwrap();
        self.answers()
    }

    fn reads(&mut self) -> Value {
        serde_json::from_str(&self.does("read")).unwrap()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_written_from_the_documentation_alone_talks_and_refuses_as_this_one_does() {
    let world = World::new().await;
    let mut ann = Person::new(&world, "Ann").await;
    let mut outside = Outside::starts(&world, &ann);
    assert_eq!(outside.does("ask"), "asked");
    let requests = ann.session.friends().await.unwrap().requests;
    let user = requests[0].friendid;
    ann.session.accept_friend(user).await.unwrap();
    let id = outside.does("begin");
    let mut anns = ann.follows().await.unwrap();
    assert_eq!(anns.conversation.id.to_string(), id);

    outside.does("say Hello from outside");
    assert_eq!(ann.hears(&anns).await.unwrap(), ["Hello from outside"]);
    ann.says("Hello back", &mut anns).await.unwrap();
    assert_eq!(outside.reads(), json!(["Hello from outside", "Hello back"]));
    // Each begins an epoch that the other one follows.
    assert_eq!(outside.does("rekey"), "2");
    outside.does("say In the second epoch");
    anns = ann.follows().await.unwrap();
    ann.rekeys(&mut anns, &[], &[]).await.unwrap();
    ann.says("In the third", &mut anns).await.unwrap();
    outside.does("say Also in the third");
    let all = [
        "Hello from outside",
        "Hello back",
        "In the second epoch",
        "In the third",
        "Also in the third",
    ];
    assert_eq!(ann.hears(&anns).await.unwrap(), all);
    assert_eq!(outside.reads(), json!(all));

    // What the other tests change for this client is refused by that one.
    world
        .sql("create table saved_secrets as table epoch_secrets; create table saved_cards as table cards; create table saved_epochs as table epochs")
        .await;
    for (change, undo, refused) in [
        (
            "update epoch_secrets s set secret = o.secret from saved_secrets o
            where s.epoch = 3 and o.epoch = 1 and o.user_id = s.user_id",
            "update epoch_secrets s set secret = o.secret from saved_secrets o
            where s.epoch = o.epoch and o.user_id = s.user_id",
            "refused WrongSecret",
        ),
        (
            "update epochs set signature = decode(repeat('00', 64), 'hex') where epoch = 2",
            "update epochs e set signature = o.signature from saved_epochs o where o.epoch = e.epoch",
            "refused WrongSigner",
        ),
        (
            "update epochs set announcement = replace(announcement, ':2,', ': 2,') where epoch = 2",
            "update epochs e set announcement = o.announcement from saved_epochs o where o.epoch = e.epoch",
            "refused NotCanonical",
        ),
        (
            "update cards set sign_signature = decode(repeat('00', 64), 'hex')",
            "update cards c set sign_signature = o.sign_signature from saved_cards o where o.user_id = c.user_id",
            "refused Signature",
        ),
    ] {
        world.sql(change).await;
        let answer = outside.does("read");
        assert!(answer.starts_with(refused), "{change}: {answer}");
        world.sql(undo).await;
    }
    world.end().await;
}
