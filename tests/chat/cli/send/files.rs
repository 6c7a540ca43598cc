//! `parlance send --file`.

use std::{fs, path::PathBuf, process::Stdio, sync::Arc};

use parlance_client::{
    MessageId, Reader,
    e2ee::{Content, FileReference, Kind},
};
use parlance_wire::e2ee::sha256;
use serde_json::Value;

use super::{Service, TO_ANN, bad, good};
use crate::{
    encrypted::person::Person,
    world::{Hold, World, eventually},
};

/// Bytes of a file of twelve records, and what the server stores of it.
const FILM: usize = 3_000_000;
const FILM_STORED: u64 = 3_014_848;

/// A service that Ann has accepted.
async fn accepted(world: &Arc<World>) -> (Service, Person) {
    let (service, ann) = (Service::new(world), Person::new(world, "Ann").await);
    bad(&service.sends("x", &TO_ANN));
    ann.session.accept_friend(Service::user()).await.unwrap();
    (service, ann)
}

/// What Ann reads: the texts, and the files with their content.
async fn reads(ann: &mut Person) -> Vec<(String, Vec<(FileReference, Vec<u8>)>)> {
    let mut conversation = ann.follows().await.unwrap().conversation;
    let mut reader = Reader::new();
    let read = ann
        .session
        .read(&mut ann.state, &mut conversation, &mut reader);
    let mut all = vec![];
    for one in read.await.unwrap() {
        let Content::Known(Kind::File { files, text, .. }) =
            &one.content.as_ref().unwrap().body.content
        else {
            panic!("{one:?}")
        };
        let mut fetched = vec![];
        for file in files {
            let mut bytes = vec![];
            ann.session.fetch_file(file, &mut bytes).await.unwrap();
            fetched.push((file.clone(), bytes));
        }
        all.push((text.clone(), fetched));
    }
    all
}

impl Service {
    /// A file beside its keys.
    fn has(&self, name: &str, content: &[u8]) -> String {
        let path = self.keys.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn kept(&self) -> PathBuf {
        self.keys.path().join("alerts@example.org.json")
    }

    fn kept_uploads(&self) -> Value {
        let kept: Value = serde_json::from_slice(&fs::read(self.kept()).unwrap()).unwrap();
        kept["uploads"].clone()
    }

    fn keeps_uploads(&self, uploads: Value) {
        let mut kept: Value = serde_json::from_slice(&fs::read(self.kept()).unwrap()).unwrap();
        kept["uploads"] = uploads;
        fs::write(self.kept(), kept.to_string()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_sent_with_the_text_as_their_caption() {
    let world = World::new().await;
    let (service, mut ann) = accepted(&world).await;
    let (log, graph) = (
        service.has("a log.txt", b"full"),
        service.has("graph", &vec![7; 300_000]),
    );
    let paths = ["--file", &log, "--file", &graph];
    let id = MessageId::random().to_string();
    let options = [&TO_ANN[..], &paths, &["--id", &id]].concat();
    for _ in 0..2 {
        assert_eq!(
            good(&service.sends("The disk", &options)),
            format!("{id}\n")
        );
    }
    // Nothing is said about them but on a terminal.
    assert!(service.sends("The disk", &options).stderr.is_empty());
    let read = reads(&mut ann).await;
    let [(text, files)] = &read[..] else {
        panic!("{read:?}")
    };
    assert_eq!((text.as_str(), files.len()), ("The disk", 2));
    assert_eq!(files[0].0.name, "a log.txt");
    for ((file, bytes), expected) in files.iter().zip([b"full".to_vec(), vec![7; 300_000]]) {
        assert!(*bytes == expected);
        assert_eq!(
            (file.mime.as_str(), file.w),
            ("application/octet-stream", None)
        );
    }
    assert_eq!(world.count("files where message_seq is not null").await, 2);
    // The id of a message with other files is another message's.
    for others in [&paths[..2], &[]] {
        let other = [&TO_ANN[..], others, &["--id", &id]].concat();
        let refused = bad(&service.sends("The disk", &other));
        assert!(
            refused.contains("another message already has the id"),
            "{refused}"
        );
    }
    let missing = [&TO_ANN[..], &["--file", "/nowhere"]].concat();
    let refused = bad(&service.sends("", &missing));
    assert!(refused.contains("/nowhere cannot be read"), "{refused}");
    let too_many = [&TO_ANN[..], &paths[..2].repeat(33)].concat();
    let refused = bad(&service.sends("", &too_many));
    assert!(refused.contains("at most 32 files"), "{refused}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_sent_as_one_with_its_size_and_a_caption_without_standard_input() {
    let world = World::new().await;
    let (service, mut ann) = accepted(&world).await;
    let content = b"GIF89a\x40\x01\xf0\0 and so on";
    let picture = service.has("graph.gif", content);
    let file = ["--file", &picture];
    let caption = ["--text", "The load"];
    // Twice the same are two files; and what is on standard input is not read.
    good(&service.sends("not this", &[&TO_ANN[..], &file, &file, &caption].concat()));
    let read = reads(&mut ann).await;
    let [(text, files)] = &read[..] else {
        panic!("{read:?}")
    };
    assert_eq!((text.as_str(), files.len()), ("The load", 2));
    for (file, bytes) in files {
        assert_eq!(bytes, content);
        assert_eq!(
            (file.mime.as_str(), file.w, file.h),
            ("image/gif", Some(320), Some(240))
        );
    }
    assert_ne!(files[0].0.id, files[1].0.id);
    good(&service.sends("", &[&TO_ANN[..], &["--text", "No file"]].concat()));
    world.end().await;
}

/// Has what stores records after the fourth of a file wait for a lock.
async fn waits_after_four_records(world: &Arc<World>) -> Hold {
    world
        .sql(
            "create function waits() returns trigger language plpgsql as
                $$ begin perform pg_advisory_xact_lock(1); return new; end $$;
            create trigger waits before insert on file_records for each row when (new.record > 3)
                execute function waits()",
        )
        .await;
    Hold::by(world, "select pg_advisory_xact_lock(1)").await
}

/// Kills a service that is sending this when the server has four records and receives four others.
async fn is_killed(service: &Service, world: &Arc<World>, options: &[&str]) {
    let hold = waits_after_four_records(world).await;
    let mut command = service.command(options, Some(&service.apikey));
    let mut sending = command.stderr(Stdio::null()).spawn().unwrap();
    hold.is_waited_for(1).await;
    sending.kill().unwrap();
    sending.wait().unwrap();
    hold.ends().await;
    // What the server had received is stored whatever became of the sender.
    eventually("eight records", async || {
        world.count("file_records").await == 8
    })
    .await;
    world.sql("drop function waits cascade").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_killed_goes_on_and_is_one_file_of_one_message() {
    // No record may be sent twice. Services have ten times what people have.
    let world =
        World::with(|settings| settings.per_user.file_bytes = FILM_STORED.div_ceil(10)).await;
    let (service, mut ann) = accepted(&world).await;
    let content: Vec<u8> = (0..FILM).map(|n| n.to_le_bytes()[1]).collect();
    let film = service.has("film", &content);
    let id = MessageId::random().to_string();
    let options = [&TO_ANN[..], &["--file", &film, "--id", &id]].concat();
    is_killed(&service, &world, &options).await;
    assert_eq!(service.kept_uploads().as_array().unwrap().len(), 1);
    for _ in 0..2 {
        assert_eq!(good(&service.sends("", &options)), format!("{id}\n"));
    }
    let read = reads(&mut ann).await;
    assert_eq!((read.len(), read[0].1.len()), (1, 1));
    assert!(read[0].1[0].1 == content);
    assert_eq!(world.count("files").await, 1);
    assert_eq!(service.kept_uploads().as_array().unwrap().len(), 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_has_changed_since_it_was_interrupted_gets_another_key() {
    let world = World::new().await;
    let (service, mut ann) = accepted(&world).await;
    let mut content = vec![1; FILM];
    let film = service.has("film", &content);
    let options = [&TO_ANN[..], &["--file", &film]].concat();
    is_killed(&service, &world, &options).await;
    let key = || service.kept_uploads()[0]["upload"]["key"].clone();
    let before = key();
    assert!(before.is_string());
    content[FILM - 1] = 2;
    service.has("film", &content);
    good(&service.sends("", &options));
    let read = reads(&mut ann).await;
    let (sent, bytes) = &read[0].1[0];
    assert!(*bytes == content);
    assert_ne!(before, sent.key.as_str());
    assert_eq!(world.count("files").await, 2);
    // The other one would go on if it were there again, for another message.
    assert_eq!(key(), before);
    content[FILM - 1] = 1;
    service.has("film", &content);
    good(&service.sends("", &options));
    assert_eq!(world.count("files where message_seq is not null").await, 2);
    assert_eq!(reads(&mut ann).await.len(), 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_a_message_has_is_uploaded_again_for_another_one() {
    let world = World::new().await;
    let (service, mut ann) = accepted(&world).await;
    let film = service.has("film", &vec![1; FILM]);
    let options = [&TO_ANN[..], &["--file", &film]].concat();
    is_killed(&service, &world, &options).await;
    let begun = service.kept_uploads();
    good(&service.sends("", &options));
    // As if it had ended after the message was stored, and before it noted that.
    service.keeps_uploads(begun);
    good(&service.sends("", &options));
    let read = reads(&mut ann).await;
    assert_eq!(read.len(), 2);
    assert_ne!(read[0].1[0].0.id, read[1].1[0].0.id);
    assert_eq!(world.count("files where message_seq is not null").await, 2);
    assert_eq!(service.kept_uploads().as_array().unwrap().len(), 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changed_while_it_was_sent_is_uploaded_again() {
    let world = World::new().await;
    let (service, mut ann) = accepted(&world).await;
    let film = service.has("film", &vec![1; FILM]);
    let options = [&TO_ANN[..], &["--file", &film]].concat();
    is_killed(&service, &world, &options).await;
    // As if this had been its content when it was looked through, before it was sent.
    let content = vec![2; FILM];
    service.has("film", &content);
    let mut begun = service.kept_uploads();
    begun[0]["sha256"] = hex::encode(sha256(&[&content])).into();
    service.keeps_uploads(begun);
    good(&service.sends("", &options));
    let read = reads(&mut ann).await;
    assert!(read.len() == 1 && read[0].1[0].1 == content);
    assert_eq!(service.kept_uploads().as_array().unwrap().len(), 0);
    world.end().await;
}
