//! Uploads at once on one node: each writes when it is its turn, and messages wait for none of them.

use std::{fs, time::Duration};

use futures_util::{StreamExt, future::join_all, stream::FuturesUnordered};
use nix::{sys::stat::Mode, unistd::mkfifo};

use crate::world::{Conversation, File, Hold, Kind, Person, RECORD, World, lying};

/// Files whose uploads have begun.
async fn begun(person: &Person, conversation: &Conversation, count: usize) -> Vec<File> {
    let files: Vec<File> = (0..count).map(|_| File::new(RECORD)).collect();
    for file in &files {
        person.begins(file, conversation).await.ok();
    }
    files
}

#[tokio::test]
async fn records_are_written_one_request_at_a_time_and_messages_go_on() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let files = begun(&ann, &conversation, 4).await;
    let hold = Hold::by(&world, "select from files for update").await;
    let puts = join_all(files.iter().map(|file| ann.puts(file, 0, &file.bytes)));
    let meanwhile = async {
        hold.is_waited_for(1).await;
        // The others have long arrived when these are answered.
        for n in 0..20 {
            ann.adds(&conversation, &n.to_string()).await;
        }
        let waiting = hold.waiting().await;
        hold.ends().await;
        waiting
    };
    let (answers, waiting) = tokio::join!(puts, meanwhile);
    assert_eq!(waiting, 1);
    for (file, answer) in files.iter().zip(answers) {
        answer.ok();
        ann.completes(file).await.ok();
        assert!(ben.gets(&file.id, None).await.bytes == file.bytes);
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_to_write_into_a_directory_does_not_take_it_for_away() {
    let world = Kind::Directory
        .world_with(|settings| settings.stores.timeout = Duration::from_secs(3))
        .await;
    let (ann, ben, conversation) = world.conversation().await;
    let read = ann.uploads(10, &conversation).await;
    let files = begun(&ann, &conversation, 4).await;
    let object = lying(&world).await.remove(0);
    let bytes = fs::read(&object).unwrap();
    // Who opens it waits for somebody who writes; and so does everybody else, once as many as the directory has turns
    // do.
    fs::remove_file(&object).unwrap();
    mkfifo(&object, Mode::S_IRWXU).unwrap();
    for answer in join_all((0..20).map(|_| ben.gets(&read.id, None))).await {
        answer.answer().refused(503, "unavailable");
    }
    let puts = files
        .iter()
        .map(async |file| (file, ann.puts(file, 0, &file.bytes).await));
    let mut puts: FuturesUnordered<_> = puts.collect();
    let (first, answer) = puts.next().await.unwrap();
    answer.refused(503, "unavailable");
    // Of others that were being written at the same time, the time would end now, too; but it has not begun.
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(fs::File::options().read(true).write(true).open(&object));
    while let Some((_, answer)) = puts.next().await {
        answer.ok();
    }
    ann.puts(first, 0, &first.bytes).await.ok();
    fs::remove_file(&object).unwrap();
    fs::write(&object, bytes).unwrap();
    for file in &files {
        ann.completes(file).await.ok();
        assert!(ben.gets(&file.id, None).await.bytes == file.bytes);
    }
    world.end().await;
}
