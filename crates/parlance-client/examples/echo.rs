//! A bot that answers each message with the message's own text.
//!
//! `cargo run -p parlance-client --example echo -- http://127.0.0.1:8080/ bot@example.org PASSWORD`

use parlance_client::{Error, Feed, News, Server, StationId, message};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, email, password] = &arguments[..] else {
        return Err("usage: echo URL EMAIL PASSWORD".into());
    };
    // A bot that is often restarted has to store the station's id: the server forgets all but the
    // most recent stations.
    let session = Server::new(url)?
        .login(email, password, StationId::random())
        .await?;
    Ok(answer(Feed::open(session).await?).await?)
}

/// Answers messages until the server cannot be reached any more.
pub(crate) async fn answer(mut feed: Feed) -> Result<(), Error> {
    loop {
        let News::Message {
            conversation,
            instance,
            message: question,
        } = feed.next().await?
        else {
            continue;
        };
        let session = feed.session();
        // The feed also reports this bot's own messages, which it must not answer.
        if question.user == session.user() {
            continue;
        }
        let answer = message(question.data.as_str())?;
        match session.add(conversation, &instance, answer).await {
            // Cleared meanwhile, blocked, or not a participant any more: no reason to stop.
            Ok(_) | Err(Error::Refused(_)) => {}
            Err(error) => return Err(error),
        }
    }
}
