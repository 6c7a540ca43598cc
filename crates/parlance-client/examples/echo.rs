//! A bot that answers each text with the same text, end-to-end encrypted. Whoever asks it for a
//! friendship becomes a friend.
//!
//! `parlance user apikey bot@example.org` makes its account. Then, with the apikey in
//! `PARLANCE_APIKEY`:
//!
//! `cargo run -p parlance-client --example echo -- http://127.0.0.1:8080/ bot@example.org bot.json`

use parlance_client::{
    ConversationId, Device, Error, Feed, NewMessage, Server, Update,
    e2ee::{Content, Kind},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, email, file] = &arguments[..] else {
        return Err("usage: echo URL EMAIL FILE".into());
    };
    let (server, apikey) = (Server::new(url)?, std::env::var("PARLANCE_APIKEY")?);
    let bot = Device::open(file.as_ref(), email, async |station| {
        server.login_service(&apikey, station).await
    });
    let bot = bot.await?;
    let feed = Feed::open(bot.session().clone()).await?;
    Ok(answer(bot, feed).await?)
}

/// Answers messages until the server cannot be reached any more.
pub(crate) async fn answer(mut bot: Device, mut feed: Feed) -> Result<(), Error> {
    accept_requests(&bot).await?;
    loop {
        match feed.next().await? {
            Update::Friends(_) | Update::List(_) => accept_requests(&bot).await?,
            Update::Message {
                conversation,
                message: first,
                ..
            } => match answer_in(&mut bot, conversation, first.seq).await {
                // Blocked, or not a participant any more; or the messages are not what they should
                // be: no reason to stop for everybody else.
                Err(Error::Refused(_) | Error::Encryption(_) | Error::NotAParticipant) | Ok(()) => {
                }
                Err(error) => return Err(error),
            },
            _ => {}
        }
    }
}

/// Answers what is new in a conversation, from this number on.
async fn answer_in(
    bot: &mut Device,
    conversation: ConversationId,
    first: i64,
) -> Result<(), Error> {
    for received in bot.read(conversation).await? {
        // The feed also reports this bot's own messages, which it must not answer.
        let is_own = received.message.user == bot.session().user();
        let Ok(opened) = received.content else {
            continue;
        };
        if let Content::Known(Kind::Text { text, .. }) = opened.body.content
            && !is_own
            && received.message.seq >= first
        {
            let answer = Kind::Text {
                text,
                reply: None,
                mentions: vec![],
            };
            bot.say(conversation, NewMessage::new(answer)).await?;
        }
    }
    Ok(())
}

async fn accept_requests(bot: &Device) -> Result<(), Error> {
    for request in bot.session().friends().await?.requests {
        bot.session().accept_friend(request.friendid).await?;
    }
    Ok(())
}
