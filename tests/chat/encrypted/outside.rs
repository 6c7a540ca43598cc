//! A client that was written from the documentation alone (`tests/outside_client.py`), and
//! `parlance-client`: each reads what the other wrote.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use parlance_client::Reader;
use serde_json::{Value, json};

use super::person::{PASSWORD, Person};
use crate::world::{World, file};

/// The outside client, which answers each command with one line.
pub(super) struct Outside {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Outside {
    /// A new user, who talks to a friend.
    fn starts(world: &World, friend: &Person) -> Self {
        let user = ["outside@example.org", "a long password", &friend.email];
        Self::runs(&world.url, user)
    }

    /// Another device of somebody, who has a card.
    pub(super) fn device_of(world: &World, person: &Person) -> Self {
        let seed = format!("seed:{}", hex::encode(person.sign.seed()));
        Self::runs(&world.url, [&person.email, PASSWORD, &seed])
    }

    fn runs(url: &str, user: [&str; 3]) -> Self {
        let system = "/usr/bin/python3";
        let is_there = std::path::Path::new(system).exists();
        let mut child = Command::new(if is_there { system } else { "python3" })
            .arg(file("tests/outside_client.py"))
            .arg(url)
            .args(user)
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

    pub(super) fn does(&mut self, command: &str) -> String {
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
async fn a_client_written_from_the_documentation_alone_talks_with_this_one() {
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
    // A device reads it with all that it checks.
    let mut reader = Reader::new();
    let (state, conversation) = (&mut ann.state, &mut anns.conversation);
    let read = ann.session.read(state, conversation, &mut reader);
    let read = read.await.unwrap();
    assert_eq!(read.len(), all.len());
    for received in read {
        received.content.unwrap();
        assert!(received.problem.is_none(), "{:?}", received.problem);
    }
    world.end().await;
}
