//! What a service does with its device beside reading and writing.

use std::collections::BTreeMap;

use parlance_client::{
    Device, Error, NewMessage, NextEpoch, Reader, Received, Server, ShownName, UserId,
    answer::Conversation,
    e2ee::{Content, Error as Wrong, Head, Invitation, Kind, Mark, Pin, State},
};

use super::{
    bot::{EMAIL, service},
    person::{PASSWORD, Person},
    restored::restores,
};
use crate::{backup::Backup, world::World};

async fn opens(folder: &tempfile::TempDir, server: &Server, apikey: &str) -> Device {
    let file = folder.path().join("bot.json");
    let opened = Device::open(&file, EMAIL, async |station| {
        server.login_service(apikey, station).await
    });
    opened.await.unwrap()
}

fn text(text: &str) -> NewMessage {
    NewMessage::new(Kind::Text {
        text: text.to_owned(),
        reply: None,
        mentions: vec![],
    })
}

/// The contents of messages, and `None` for those that cannot be read.
fn contents(read: Vec<Received>) -> Vec<Option<Kind>> {
    let content = |one: Received| match one.content.ok()?.body.content {
        Content::Known(kind) => Some(kind),
        _ => None,
    };
    read.into_iter().map(content).collect()
}

/// Reads the only conversation from its beginning.
async fn reads(person: &mut Person) -> (Conversation, Vec<Option<Kind>>) {
    let mut conversation = person.session.list().await.unwrap().remove(0);
    let (session, state) = (&person.session, &mut person.state);
    let mut reader = Reader::new();
    let read = session.read(state, &mut conversation, &mut reader).await;
    let read = contents(read.unwrap());
    (conversation, read)
}

async fn befriends(bot: &Device, person: &Person) {
    bot.session().add_friend(&person.email).await.unwrap();
    let me = bot.session().user();
    person.session.accept_friend(me).await.unwrap();
}

#[tokio::test]
async fn a_device_begins_names_and_extends_groups_and_shares_what_was_written_in_them() {
    let world = World::new().await;
    let server = Server::new(&world.url).unwrap();
    let apikey = service(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let mut ann = Person::new(&world, "Ann").await;
    let mut ben = Person::new(&world, "Ben").await;
    let mut bot = opens(&folder, &server, &apikey).await;
    for person in [&ann, &ben] {
        befriends(&bot, person).await;
    }
    let first = [ann.user()].into();
    let (session, state, sign) = bot.parts();
    let begun = session.begin_group(state, sign, &first, "News").await;
    bot.save().unwrap();
    let group = begun.unwrap().id;
    // Its own, which it does not have to believe the server.
    assert!(bot.parts().1.epochs.contains_key(&group));
    let me = bot.session().user();
    let named = async |person: &mut Person, name: &str| {
        let (mut conversation, _) = reads(person).await;
        let (session, state) = (&person.session, &mut person.state);
        let shown = session.name(state, &mut conversation).await.unwrap();
        let (name, by) = (name.to_owned(), Some(me));
        assert_eq!(shown, Some(ShownName { name, by }));
    };
    named(&mut ann, "News").await;
    bot.read(group).await.unwrap();
    bot.say(group, text("Before Ben")).await.unwrap();
    // As a task: a bot answers many people.
    let (ben_joins, its) = (ben.user(), folder);
    let task = tokio::spawn(async move {
        let (session, state, sign) = bot.parts();
        let mut listed = session.listed(group).await?;
        let next = NextEpoch {
            add: [ben_joins].into(),
            admins: None,
            remove: [].into(),
            head: Head {
                seq: 0,
                chain: None,
            },
            name: Some("Old news"),
        };
        session.rekey(state, sign, &mut listed, &next).await?;
        let shared = session.share_history(state, &mut listed, ben_joins).await;
        assert_eq!(shared?, 1);
        bot.say(group, text("After")).await?;
        Ok::<_, Error>(bot)
    });
    let bot = task.await.unwrap().unwrap();
    let both = [text("Before Ben").kind, text("After").kind].map(Some);
    assert_eq!(reads(&mut ben).await.1, both);
    named(&mut ben, "Old news").await;

    // What it knows is in its file.
    drop(bot);
    let mut bot = opens(&its, &server, &apikey).await;
    let (session, state, sign) = bot.parts();
    let mut listed = session.listed(group).await.unwrap();
    let renamed = session.rename_encrypted(state, sign, &mut listed, "Newer");
    renamed.await.unwrap();
    named(&mut ann, "Newer").await;

    // Whoever has another identity is in no new group before it is accepted.
    let mut again = ann.resets(&world).await;
    again.publishes_first_card().await;
    let (session, state, sign) = bot.parts();
    let refused = session.begin_group(state, sign, &first, "News").await;
    let changed = matches!(&refused, Err(Error::Encryption(Wrong::NewIdentity(_))));
    assert!(changed, "{refused:?}");
    world.end().await;
}

#[tokio::test]
async fn a_device_invites_people_whom_it_verifies_and_keeps_settings() {
    let world = World::new().await;
    let server = Server::new(&world.url).unwrap();
    let apikey = service(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let mut bot = opens(&folder, &server, &apikey).await;
    let (session, state, _) = bot.parts();
    let invited = session.invite_person(state, None, None).await.unwrap();
    let link = Invitation::parse(&invited.link).unwrap();
    let mut ann = Person::registers(&world, "Ann", Some(link.code.reveal())).await;
    ann.publishes_first_card().await;
    let (state, sign) = (&mut ann.state, &ann.sign);
    let proved = ann.session.prove_invitation(state, sign, &link).await;
    let read = bot.read(proved.unwrap().id).await.unwrap();
    let [Some(Kind::Verify { mac })] = &contents(read)[..] else {
        panic!("no proof");
    };
    let newcomer = ann.user();
    let (_, state, _) = bot.parts();
    let mark = |state: &State| state.pins.get(newcomer).map(Pin::mark);
    let (invitation, forged) = (invited.invitation, "00".repeat(32));
    assert!(!state.pins.prove(newcomer, &invitation, &forged).unwrap());
    assert_eq!(mark(state), Some(Mark::Seen));
    assert!(state.pins.prove(newcomer, &invitation, mac).unwrap());
    bot.save().unwrap();
    drop(bot);
    let mut bot = opens(&folder, &server, &apikey).await;
    assert_eq!(mark(bot.parts().1), Some(Mark::Verified));

    let kept: BTreeMap<_, _> = [("drafts".to_owned(), "Dear Ann,".into())].into();
    for _ in 0..2 {
        let (session, state, sign) = bot.parts();
        let saved = session.saved_messages(state, sign).await.unwrap().id;
        let read = contents(bot.read(saved).await.unwrap());
        if !read.is_empty() {
            assert_eq!(read, [Some(Kind::Settings(kept.clone()))]);
            world.end().await;
            return;
        }
        let settings = NewMessage::new(Kind::Settings(kept.clone()));
        bot.say(saved, settings).await.unwrap();
        // As after a restart.
        drop(bot);
        bot = opens(&folder, &server, &apikey).await;
    }
    panic!("no settings");
}

#[tokio::test]
async fn a_device_publishes_its_card_again_that_a_restored_database_has_lost() {
    let world = World::new().await;
    let server = Server::new(&world.url).unwrap();
    let apikey = service(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let mut ann = Person::new(&world, "Ann").await;
    let backup = Backup::of(&world);
    let mut bot = opens(&folder, &server, &apikey).await;
    befriends(&bot, &ann).await;
    let friend: UserId = ann.user();
    let lost = bot.direct(friend).await.unwrap();
    bot.read(lost).await.unwrap();
    bot.say(lost, text("Lost")).await.unwrap();
    drop(bot);
    let restored = restores(world, &backup).await;
    let server = Server::new(&restored.url).unwrap();
    let station = ann.session.identity().station;
    let session = server.login(&ann.email, PASSWORD, station).await;
    ann.session = session.unwrap();

    let mut bot = opens(&folder, &server, &apikey).await;
    befriends(&bot, &ann).await;
    match bot.direct(friend).await {
        Err(Error::Encryption(wrong)) if wrong.may_be_restored() => {}
        other => panic!("{other:?}"),
    }
    bot.accept_restored().await.unwrap();
    let again = bot.direct(friend).await.unwrap();
    assert!(bot.read(again).await.unwrap().is_empty());
    bot.say(again, text("And on")).await.unwrap();
    assert_eq!(reads(&mut ann).await.1, [Some(text("And on").kind)]);
    restored.end().await;
}
