//! Sizes, quotas and the disk.

use futures_util::future::join_all;
use parlance::settings::Disk;
use serde_json::{Value, json};

use super::{counted, rows};
use crate::{
    account::operator::Commands,
    world::{File, Kind, Person, RECORD, World, eventually},
};

async fn limits(person: &Person) -> Value {
    let login = json!({ "action": "login", "apikey": format!("the apikey of {}", person.name), "clientversioncode": 4 }).to_string();
    let station = [("Ozeki-Station", &*person.station)];
    let answer = person
        .world
        .posts("chatserver", "chatlogin", &station, &login);
    answer.await.ok()["limits"].clone()
}

#[tokio::test]
async fn a_user_has_room_for_so_much_however_many_ask_at_once() {
    let world = World::with(|settings| settings.per_user.file_quota = 100_000).await;
    let other_node = world
        .another_with(|settings| settings.per_user.file_quota = 100_000)
        .await;
    let (ann, ben, conversation) = world.conversation().await;
    let there = Person {
        world: other_node.clone(),
        ..ann.clone()
    };
    let files: Vec<File> = (0..12).map(|_| File::new(30_000)).collect();
    let begun = files.iter().enumerate().map(|(n, file)| {
        let person = if n % 2 == 0 { &ann } else { &there };
        person.begins(file, &conversation)
    });
    let answers = join_all(begun).await;
    let begun: Vec<usize> = (0..12).filter(|n| answers[*n].status == 200).collect();
    assert_eq!(begun.len(), 3, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        let refused = answer.refused(413, "quota_exceeded");
        assert_eq!(refused["filequota"], 100_000);
        assert!(refused["fileused"].as_u64().unwrap() <= 90_000);
        assert!(answer.text.contains("30000"));
    }
    assert_eq!(
        (counted(&world).await, rows(&world).await),
        (90_000, [3, 0, 0])
    );
    let limits = limits(&ann).await;
    assert_eq!(limits["filebytes"], 1_u64 << 40);
    assert_eq!(
        (&limits["file"], &limits["filequota"], &limits["fileused"]),
        (&json!(100_000), &json!(100_000), &json!(90_000))
    );
    // An upload that has begun is not begun again; others have room of their own.
    ann.begins(&files[begun[0]], &conversation).await.ok();
    ben.begins(&files[begun[0]], &conversation).await.ok();
    // A small file counts as what it takes: twice, and then no more.
    let small = File::new(1);
    ann.begins(&small, &conversation).await.ok();
    ann.begins(&File::new(4000), &conversation).await.ok();
    ann.begins(&File::new(1), &conversation)
        .await
        .refused(413, "quota_exceeded");
    // What is deleted makes room.
    ann.asks_file("delete", &files[begun[0]].id, json!({}))
        .await
        .ok();
    eventually("room", async || {
        ann.begins(&File::new(30_000), &conversation).await.status == 200
    })
    .await;
    other_node.stop().await;
    world.end().await;
}

#[tokio::test]
async fn an_operator_sees_whose_files_take_the_room_and_gives_one_user_more_or_none() {
    let world = World::with(|settings| settings.per_user.file_quota = 10_000).await;
    let (ann, ben, conversation) = world.conversation().await;
    let begins = async |person: &Person| person.begins(&File::new(9000), &conversation).await;
    for person in [&ann, &ben] {
        begins(person).await.ok();
        let refused = begins(person).await.refused(413, "quota_exceeded");
        assert_eq!(refused["filequota"], 10_000);
    }
    let commands = Commands::of(&world);
    let user = "ann@example.org";
    // The command has settings of its own, with the default.
    let shown = commands.json(&["user", "limits", user]);
    let usual = json!({ "most": 1_073_741_824, "own": false, "used": 9000 });
    assert_eq!(shown["filequota"], usual);
    let changed = commands.json(&["user", "limits", user, "--file-quota", "20000"]);
    let own = json!({ "most": 20_000, "own": true, "used": 9000 });
    assert_eq!(changed["filequota"], own);
    eventually("she has more room", async || {
        begins(&ann).await.status == 200
    })
    .await;
    begins(&ben).await.refused(413, "quota_exceeded");
    let told = limits(&ann).await;
    assert_eq!(
        (&told["file"], &told["filequota"], &told["fileused"]),
        (&json!(20_000), &json!(20_000), &json!(18_000))
    );
    let listed = commands.json(&["user", "list"]);
    assert_eq!(
        (&listed[0]["fileused"], &listed[1]["fileused"]),
        (&json!(18_000), &json!(9000))
    );
    let text = commands.text(&["user", "list"]);
    assert!(text.contains("18000 bytes of files"), "{text}");
    let log = commands.text(&["audit"]);
    assert!(log.contains("file-quota"), "{log}");
    commands.json(&["user", "limits", user, "--file-quota", "0"]);
    eventually("she may upload none", async || {
        begins(&ann)
            .await
            .text
            .contains("not allowed to upload files")
    })
    .await;
    commands.json(&["user", "limits", user, "--default"]);
    eventually("the usual limit holds again", async || {
        begins(&ann).await.text.contains("of 10000 bytes")
    })
    .await;
    // A service has ten times as much.
    let bot = world.person("Bot").await;
    world
        .sql(&format!(
            "update credentials set kind = 'apikey' where user_id = '{}'",
            bot.user
        ))
        .await;
    ann.befriends(&bot).await;
    let conversation = ann.creates(&bot).await;
    let begins = async |size| bot.begins(&File::new(size), &conversation).await;
    begins(99_000).await.ok();
    begins(2000).await.refused(413, "quota_exceeded");
    world.end().await;
}

async fn what_is_too_large_or_has_no_room_is_refused_before_a_byte_is_sent(kind: Kind) {
    let world = kind
        .world_with(|settings| settings.max_file_bytes = 2 * 262_128)
        .await;
    let (ann, _, conversation) = world.conversation().await;
    let of = |size: usize| {
        let conversation = &conversation;
        let fields = json!({ "conversationid": conversation.id, "instance": conversation.instance, "size": size });
        let (ann, id) = (ann.clone(), File::new(1).id);
        async move { ann.asks_file("create", &id, fields).await }
    };
    of(2 * RECORD).await.ok();
    let refused = of(2 * RECORD + 17).await.refused(413, "too_large");
    assert!(refused["errormessage"].as_str().unwrap().contains("524256"));
    of(usize::MAX / 4).await.refused(413, "too_large");
    of(0).await.refused(400, "bad_request");
    world.end().await;

    // Nearly full.
    let disk = Disk {
        path: "/".into(),
        reserve: u64::MAX,
    };
    let world = kind
        .world_with(|settings| settings.file_disk = Some(disk))
        .await;
    let (ann, ben, conversation) = world.conversation().await;
    let file = File::new(10);
    let refused = ann
        .begins(&file, &conversation)
        .await
        .refused(507, "disk_full");
    assert!(
        refused["errormessage"]
            .as_str()
            .unwrap()
            .contains("nearly full")
    );
    ann.adds(&conversation, "messages go on").await;
    // An upload that began before has to wait, too, and can be read where it is complete.
    let roomy = world.another().await;
    let there = Person {
        world: roomy.clone(),
        ..ann.clone()
    };
    there.begins(&file, &conversation).await.ok();
    ann.puts(&file, 0, &file.bytes)
        .await
        .refused(507, "disk_full");
    there.puts(&file, 0, &file.bytes).await.ok();
    ann.completes(&file).await.ok();
    assert!(ben.gets(&file.id, None).await.bytes == file.bytes);
    roomy.stop().await;
    world.end().await;

    // No files at all.
    let world = kind
        .world_with(|settings| settings.per_user.file_quota = 0)
        .await;
    let (ann, _, conversation) = world.conversation().await;
    ann.begins(&file, &conversation)
        .await
        .refused(413, "quota_exceeded");
    let limits = limits(&ann).await;
    assert_eq!(
        (&limits["file"], &limits["filequota"]),
        (&json!(0), &json!(0))
    );
    world.end().await;
}

in_each_store!(what_is_too_large_or_has_no_room_is_refused_before_a_byte_is_sent);
