//! `parlance send`: a message of a service to a person, end-to-end encrypted, as a client of its
//! own.

mod attachment;
mod media;

use std::{
    env::VarError,
    fs::{self, DirBuilder},
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use self::attachment::{Attachment, attachments, unreadable};
use super::{Error, print_json, say};
use crate::settings::Settings;
use parlance_client::{
    ConversationId, Device, ErrorCode, MessageId, NewMessage, Received, Server, UserId,
    e2ee::{self, Content, Kind},
};
use parlance_wire::text::Email;

/// The variable with the service's apikey, which comes before the file.
const APIKEY: &str = "PARLANCE_APIKEY";

#[derive(Debug, Args)]
pub(super) struct Sending {
    /// The address of the service
    #[arg(long = "as", value_name = "SERVICE")]
    service: String,
    /// The address of the person
    #[arg(long, value_name = "EMAIL")]
    to: String,
    /// The message's id: a UUID. Sent again with the same id, it is stored once
    #[arg(long, value_parser = message_id)]
    id: Option<MessageId>,
    /// A file to send, with the text as its caption; may be given several times
    ///
    /// If this is interrupted, the same command goes on where it was: what the server has is not sent again for
    /// a day. With --id, the message is stored once, too. A picture is sent as it is, with the place and the
    /// camera that it may name.
    #[arg(long = "file", value_name = "PATH")]
    files: Vec<PathBuf>,
    /// The text, instead of standard input; everyone on this machine can see it meanwhile
    #[arg(long)]
    text: Option<String>,
    /// The server's address (default: PUBLIC_URL)
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// The directory of SERVICE.apikey and SERVICE.json (default: .parlance in the home directory)
    #[arg(long, value_name = "DIRECTORY")]
    keys: Option<PathBuf>,
    /// Accept the person's new keys, after you have asked them
    #[arg(long)]
    accept_new_keys: bool,
    /// Accept that the server has lost something, after its database was restored from a backup
    #[arg(long)]
    accept_restored: bool,
    /// For scripts: one JSON object
    #[arg(long)]
    json: bool,
}

fn message_id(text: &str) -> Result<MessageId, String> {
    MessageId::parse(text).ok_or_else(|| "an id is a UUID, with dashes".into())
}

/// Sends the text and the files.
pub(super) async fn run(settings: &Settings, send: &Sending) -> Result<(), Error> {
    let (service, to) = (email(&send.service)?, email(&send.to)?);
    let attachments = attachments(&send.files)?;
    let text = text(send.text.as_deref(), !attachments.is_empty())?;
    let keys = match &send.keys {
        Some(keys) => keys.clone(),
        None => std::env::home_dir().ok_or(Error::NoHome)?.join(".parlance"),
    };
    // An address may contain a slash, and a file's name may not.
    let file = |kind: &str| keys.join(format!("{}.{kind}", service.as_str().replace('/', "%2F")));
    let apikey = apikey(&file("apikey"), &service)?;
    private_directory(&keys)?;
    let server = Server::new(send.server.as_deref().unwrap_or(&settings.public_url))?;
    let kept = file("json");
    let device = Device::open(&kept, service.as_str(), async |station| {
        server.login_service(&apikey, station).await
    });
    let mut sender = Sender {
        device: device.await?,
        service,
        to,
    };
    if send.accept_restored {
        sender.device.accept_restored().await?;
    }
    sender.befriend().await?;
    if send.accept_new_keys {
        let friend = UserId::of(&sender.to);
        sender.device.accept_identity(friend).await?;
    }
    let id = send.id.unwrap_or_else(MessageId::random);
    sender
        .send(id, text, &attachments, send.id.is_some())
        .await?;
    if send.json {
        return print_json(&json!({ "messageid": id }));
    }
    say(format_args!("{id}"))
}

fn email(text: &str) -> Result<Email, Error> {
    Email::parse(text).ok_or_else(|| Error::NotAnEmail(text.to_owned()))
}

/// The text that was given, or that on standard input. Only files may do without.
fn text(given: Option<&str>, has_files: bool) -> Result<String, Error> {
    let text = match given {
        Some(given) => given.to_owned(),
        // Nobody is asked for a caption.
        None if has_files && io::stdin().is_terminal() => String::new(),
        None => {
            let mut text = String::new();
            let read = io::stdin().read_to_string(&mut text);
            read.map_err(Error::Input)?;
            text
        }
    };
    let text = text.trim_end_matches(['\r', '\n']).to_owned();
    if text.is_empty() && !has_files {
        return Err(Error::NothingToSend);
    }
    Ok(text)
}

/// The service's apikey: from the environment, or from a file that only its owner can read. Never
/// from an argument, which every process on the machine can see.
fn apikey(path: &Path, service: &Email) -> Result<String, Error> {
    match std::env::var(APIKEY) {
        Ok(apikey) if !apikey.is_empty() => return Ok(apikey),
        // Not the file's instead, which may be another one's.
        Err(VarError::NotUnicode(_)) => return Err(Error::NotAnApikey),
        Ok(_) | Err(VarError::NotPresent) => {}
    }
    let text = fs::read_to_string(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::NoApikey {
            service: service.as_str().to_owned(),
            path: path.display().to_string(),
        },
        _ => unreadable(path)(error),
    })?;
    #[cfg(unix)]
    {
        let mode = fs::metadata(path).map_err(unreadable(path))?.permissions();
        if std::os::unix::fs::PermissionsExt::mode(&mode) & 0o077 != 0 {
            return Err(Error::OpenApikey(path.display().to_string()));
        }
    }
    Ok(text.trim().to_owned())
}

fn private_directory(path: &Path) -> Result<(), Error> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|source| Error::File {
        path: path.display().to_string(),
        source,
    })
}

struct Sender {
    device: Device,
    service: Email,
    to: Email,
}

impl Sender {
    /// Sees to it that the two are friends, as far as the service can.
    async fn befriend(&self) -> Result<(), Error> {
        let session = self.device.session();
        if self.is_friend().await? {
            return Ok(());
        }
        session.add_friend(self.to.as_str()).await?;
        // They may have asked before.
        if self.is_friend().await? {
            return Ok(());
        }
        Err(Error::NotAFriend {
            service: self.service.as_str().to_owned(),
            to: self.to.as_str().to_owned(),
        })
    }

    async fn is_friend(&self) -> Result<bool, Error> {
        let friends = self.device.session().friends().await?.friends;
        let friend = UserId::of(&self.to);
        Ok(friends.iter().any(|one| one.friendid == friend))
    }

    /// Sends the text and the files, unless an earlier call did.
    async fn send(
        &mut self,
        id: MessageId,
        text: String,
        files: &[Attachment],
        is_retry: bool,
    ) -> Result<(), Error> {
        let conversation = self.device.direct(UserId::of(&self.to)).await;
        let conversation = conversation.map_err(|error| self.refusal(error.into()))?;
        let received = self.device.read(conversation).await;
        let received = received.map_err(|error| self.refusal(error.into()))?;
        if is_retry
            && self
                .is_sent(conversation, id, (&text, files), &received)
                .await?
        {
            return Ok(());
        }
        let mut said = self.say(conversation, id, &text, files).await;
        // An earlier call's uploads: it did not learn any more that its message has them, or their content changed
        // while it was read. They are forgotten now.
        if refused_by(&said, ErrorCode::FileNotFound) || refused_by(&said, ErrorCode::FileConflict)
        {
            said = self.say(conversation, id, &text, files).await;
        }
        // An earlier call's request was still on its way.
        if refused_by(&said, ErrorCode::MessageIdConflict) {
            let received = self.device.read(conversation).await?;
            if self
                .is_sent(conversation, id, (&text, files), &received)
                .await?
            {
                return Ok(());
            }
            return Err(Error::OtherMessage(id));
        }
        said
    }

    async fn say(
        &mut self,
        conversation: ConversationId,
        id: MessageId,
        text: &str,
        attachments: &[Attachment],
    ) -> Result<(), Error> {
        let mut files = vec![];
        // One after the other.
        for attachment in attachments {
            let uploaded = attachment.upload(&mut self.device, conversation).await;
            files.push(uploaded.map_err(|error| self.refusal(error))?);
        }
        let (text, reply, mentions) = (text.to_owned(), None, vec![]);
        let kind = if files.is_empty() {
            Kind::Text {
                text,
                reply,
                mentions,
            }
        } else {
            Kind::File {
                files,
                text,
                reply,
                mentions,
            }
        };
        let message = NewMessage {
            id,
            ..NewMessage::new(kind)
        };
        let said = self.device.say(conversation, message).await;
        said.map(|_| ()).map_err(|error| self.refusal(error.into()))
    }

    async fn is_sent(
        &self,
        conversation: ConversationId,
        id: MessageId,
        (text, attachments): (&str, &[Attachment]),
        received: &[Received],
    ) -> Result<bool, Error> {
        let Some(found) = received.iter().find(|one| one.message.id == id) else {
            // Perhaps long ago.
            return Ok(self.device.sent(conversation, id).await?);
        };
        let is_same = found.message.user == self.device.session().user()
            && found
                .content
                .as_ref()
                .is_ok_and(|opened| match &opened.body.content {
                    Content::Known(Kind::Text { text: sent, .. }) => {
                        sent == text && attachments.is_empty()
                    }
                    Content::Known(Kind::File {
                        text: sent, files, ..
                    }) => {
                        sent == text
                            && files
                                .iter()
                                .map(|file| (&file.name, file.size))
                                .eq(attachments
                                    .iter()
                                    .map(|attachment| (&attachment.name, attachment.size)))
                    }
                    _ => false,
                });
        if is_same {
            Ok(true)
        } else {
            Err(Error::OtherMessage(id))
        }
    }

    fn refusal(&self, error: Error) -> Error {
        match error {
            Error::Client(parlance_client::Error::Encryption(e2ee::Error::NewIdentity(_))) => {
                Error::NewKeys(self.to.as_str().to_owned())
            }
            Error::Client(parlance_client::Error::Encryption(wrong)) if wrong.may_be_restored() => {
                Error::Lost(wrong)
            }
            other => other,
        }
    }
}

/// Whether the server refused something with this code.
fn refused_by<T>(result: &Result<T, Error>, code: ErrorCode) -> bool {
    matches!(result, Err(Error::Client(error)) if error.code() == Some(code))
}
