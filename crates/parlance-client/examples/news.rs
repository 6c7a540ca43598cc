//! Prints new messages and other changes.
//!
//! `cargo run -p parlance-client --example news -- http://127.0.0.1:8080/ ann@example.org PASSWORD`

use std::io::Write;

use parlance_client::{Feed, Server, StationId, Update};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, email, password] = &arguments[..] else {
        return Err("usage: news URL EMAIL PASSWORD".into());
    };
    let session = Server::new(url)?
        .login(email, password, StationId::random())
        .await?;
    let mut feed = Feed::open(session).await?;
    loop {
        let update = feed.next().await?;
        print(&update, &mut std::io::stdout())?;
    }
}

/// Prints a change on one line.
pub(crate) fn print(update: &Update, out: &mut impl Write) -> std::io::Result<()> {
    match update {
        Update::Message {
            conversation,
            message,
            ..
        } => {
            let text = message.data.as_str();
            writeln!(
                out,
                "{conversation} {} {}: {text}",
                message.created, message.user
            )
        }
        Update::Report { report, .. } => {
            let (id, what, who) = (report.message_id, &report.r#type, report.user);
            writeln!(out, "{id} {what} by {who}")
        }
        Update::List(list) => writeln!(out, "{} conversations", list.len()),
        other => writeln!(out, "{other:?}"),
    }
}
