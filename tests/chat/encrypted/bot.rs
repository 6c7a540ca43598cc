//! The example bot, and people.

use std::time::Duration;

use parlance_client::{Device, Feed, NewUser, Server, Update, UserId, keys::Account};
use parlance_wire::text::Email;
use tokio::time::timeout;

use super::person::Person;
use crate::world::{World, eventually};

#[path = "../../../crates/parlance-client/examples/echo.rs"]
#[expect(dead_code, reason = "its `main`")]
mod echo;

pub(super) const EMAIL: &str = "bot@example.org";

/// The apikey of a service that has registered.
pub(super) async fn service(server: &Server) -> String {
    let account = Account::of_service().unwrap();
    let apikey = account.apikey.reveal().to_owned();
    let new = NewUser {
        email: EMAIL,
        fullname: "The bot",
        nick: "Bot",
        invite: None,
    };
    server.register_account(&new, account).await.unwrap();
    apikey
}

/// Waits for this many messages.
async fn hears(feed: &mut Feed, messages: usize) {
    let all = async {
        let mut heard = 0;
        while heard < messages {
            if let Update::Message { .. } = feed.next().await.unwrap() {
                heard += 1;
            }
        }
    };
    timeout(Duration::from_secs(30), all)
        .await
        .expect("messages");
}

#[tokio::test]
async fn the_example_bot_answers_each_text_encrypted_and_goes_on_after_a_restart() {
    let world = World::new().await;
    let server = Server::new(&world.url).unwrap();
    let apikey = service(&server).await;
    let mut ann = Person::new(&world, "Ann").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bot.json");
    let starts = async || {
        let bot = Device::open(&file, EMAIL, async |station| {
            server.login_service(&apikey, station).await
        });
        let bot = bot.await.unwrap();
        let feed = Feed::open(bot.session().clone()).await.unwrap();
        (bot, feed)
    };
    let (bot, its_feed) = starts().await;
    let bot = tokio::spawn(echo::answer(bot, its_feed));
    let user = UserId::of(&Email::parse(EMAIL).unwrap());
    ann.session.add_friend(EMAIL).await.unwrap();
    eventually("a friendship", async || {
        let friends = ann.session.friends().await.unwrap().friends;
        friends.iter().any(|friend| friend.friendid == user)
    })
    .await;
    let mut anns = ann.creates(user).await;
    let mut feed = Feed::open(ann.session.clone()).await.unwrap();
    ann.says("one", &mut anns).await.unwrap();
    hears(&mut feed, 2).await;
    ann.rekeys(&mut anns, &[], &[]).await.unwrap();
    ann.says("two", &mut anns).await.unwrap();
    hears(&mut feed, 2).await;

    bot.abort();
    assert!(bot.await.unwrap_err().is_cancelled());
    let (bot, its_feed) = starts().await;
    let bot = tokio::spawn(echo::answer(bot, its_feed));
    // Who has renewed their keys is in the epoch that the bot begins then.
    ann.renews().await;
    ann.says("three", &mut anns).await.unwrap();
    hears(&mut feed, 2).await;
    assert!(!bot.is_finished());
    bot.abort();
    let anns = ann.follows().await.unwrap();
    assert_eq!(anns.conversation.epoch, 3);
    let texts = ann.hears(&anns).await.unwrap();
    assert_eq!(texts, ["one", "one", "two", "two", "three", "three"]);
    world.end().await;
}
