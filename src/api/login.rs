//! `srv=chatserver&api=chatlogin`: login and registration, the one API that needs no signature.

use std::collections::BTreeMap;

use serde::Serialize;

use super::answer;
use crate::{
    chat::{self, Services, error::Error},
    notify::event::Event,
    settings::{Registration, Settings},
    store::user::NewUser,
};
use parlance_wire::{
    id::{StationId, UserId},
    key::SecretHash,
    request::{
        Api, conversation::MAX_ERASED, conversationgroup::MAX_PARTICIPANTS, login::Action,
        notification::MAX_FRAME, reports::MAX_MESSAGE_IDS,
    },
    text::EncryptedKey,
    time::Timestamp,
    version::ClientVersion,
    word::CredentialKind,
};

/// Who wants to log in. Nothing of it is proven yet.
#[derive(Debug)]
pub(crate) struct LoginContext<'a> {
    /// The user that the header claims.
    pub claimed: Option<UserId>,
    /// The station that the header names.
    pub station: Option<StationId>,
    /// The moment of the request.
    pub now: Timestamp,
    pub services: &'a Services,
    pub version: ClientVersion,
    /// The address that clients are told, and the limits that hold for them.
    pub settings: &'a Settings,
    /// What happened, to be announced after its commit.
    pub outbox: Vec<Event>,
}

#[derive(Serialize)]
struct LoginView<'a> {
    server: &'static str,
    listeners: BTreeMap<&'static str, String>,
    registration: &'static str,
    rsakey: &'a str,
    userid: UserId,
    fullname: &'a str,
    nick: &'a str,
    urls: Urls,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    v4: Option<Version4View<'a>>,
}

/// What a v4 client is told besides.
#[derive(Serialize)]
struct Version4View<'a> {
    /// Which version of `rsakey` this is.
    version: i32,
    /// What opened the login: after `recovery`, a client asks for a new password.
    key: &'a str,
    limits: LimitsView,
}

/// What this server takes at most; of a client that asks for more, it refuses a request that it could have spared.
#[derive(Serialize)]
struct LimitsView {
    /// Bytes of a message's `Data`.
    messagebytes: usize,
    /// Bytes of a request.
    bodybytes: usize,
    /// Bytes of `rsakey`.
    rsakeybytes: usize,
    /// Bytes of a socket's frame.
    framebytes: usize,
    /// Participants of a group.
    participants: usize,
    conversations: u32,
    /// In a day (UTC).
    newconversations: u32,
    stations: i32,
    /// Open at the same time.
    sockets: usize,
    /// In progress at the same time.
    requests: usize,
    /// Ids of one report.
    messageids: usize,
    /// Ids of one `erase`.
    erasedids: usize,
    /// Seconds that a client's clock may be wrong by.
    clockdifference: i64,
    /// Seconds for which a message without a `ValidUntil` is wanted.
    messagelifetime: i64,
    /// Seconds for which a message is kept after that.
    expirygrace: i64,
}

impl LimitsView {
    fn of(settings: &Settings) -> Self {
        Self {
            messagebytes: settings.max_message_bytes,
            bodybytes: settings.max_body_bytes,
            rsakeybytes: EncryptedKey::MAX_BYTES,
            framebytes: MAX_FRAME,
            participants: MAX_PARTICIPANTS,
            conversations: settings.conversations_per_user,
            newconversations: settings.new_conversations_per_day,
            stations: chat::user::MAX_STATIONS,
            sockets: settings.sockets_per_user,
            requests: settings.requests_per_user,
            messageids: MAX_MESSAGE_IDS,
            erasedids: MAX_ERASED,
            clockdifference: settings.signature_window.num_seconds(),
            messagelifetime: settings.message_lifetime.num_seconds(),
            expirygrace: settings.expiry_grace.num_seconds(),
        }
    }
}

/// The URL of each API, in the published order.
#[derive(Serialize)]
struct Urls {
    login: String,
    availability: String,
    conversation: String,
    conversationgroup: String,
    blocklist: String,
    fileserver: String,
    friends: String,
    notification: String,
    reports: String,
}

#[derive(Serialize)]
struct RegisterView {
    userid: UserId,
}

/// Performs an action.
pub(crate) async fn perform(
    context: &mut LoginContext<'_>,
    action: Action,
) -> Result<Vec<u8>, Error> {
    match action {
        Action::Login { apikey } => {
            let station = context.station.ok_or_else(|| {
                Error::BadRequest("The header Ozeki-Station must be 32 hexadecimal digits.".into())
            })?;
            let account = chat::user::log_in(
                &context.services.db,
                context.now,
                &apikey,
                context.claimed,
                station,
            )
            .await?;
            if account.is_new_station {
                context.outbox.push(Event::StationAdded {
                    user: account.user_id,
                    station,
                });
            }
            answer::ok(LoginView {
                server: env!("CARGO_PKG_VERSION"),
                listeners: listeners(&context.settings.public_url),
                // Text, as published.
                registration: if context.services.policy.registration == Registration::Closed {
                    "false"
                } else {
                    "true"
                },
                rsakey: &account.encrypted_private_key,
                userid: account.user_id,
                fullname: &account.full_name,
                nick: &account.nick,
                urls: urls(&context.settings.public_url),
                v4: context.version.is_v4().then(|| Version4View {
                    version: account.vault_version,
                    key: &account.kind,
                    limits: LimitsView::of(context.settings),
                }),
            })
        }
        Action::Prelogin { email } => {
            answer::ok(chat::user::prelogin(&context.services.db, &email).await?)
        }
        Action::Register(new) => {
            check_length("apikey", &new.apikey)?;
            let recovery = new.recoverykey.as_ref().filter(|_| context.version.is_v4());
            recovery.map_or(Ok(()), |key| check_length("recoverykey", key))?;
            let user = NewUser {
                email: &new.email,
                full_name: &new.fullname,
                nick: &new.nick,
                key_hash: &new.apikey,
                kind: CredentialKind::Password,
                kdf: new.kdf.as_ref().filter(|_| context.version.is_v4()),
                recovery,
                label: "password",
                public_key: &new.publickey,
                encrypted_private_key: &new.rsakey,
            };
            let userid =
                chat::user::register(context.services, context.now, &user, new.invite.as_ref())
                    .await?;
            answer::ok(RegisterView { userid })
        }
    }
}

/// Checks that a key is none that could be guessed from a stolen database: the server keeps only a hash of it.
pub(super) fn check_length(field: &str, key: &SecretHash) -> Result<(), Error> {
    if key.is_short() {
        return Err(Error::BadRequest(format!(
            "{field} must be 16 to 256 characters: the hex of 32 bytes has 64."
        )));
    }
    Ok(())
}

/// Where sockets are opened: beside the API, in the scheme that goes with it.
fn listeners(public_url: &str) -> BTreeMap<&'static str, String> {
    let (scheme, rest) = match public_url.split_once("://") {
        Some(("https", rest)) => ("wss", rest),
        Some((_, rest)) => ("ws", rest),
        None => return BTreeMap::new(),
    };
    let host_and_path = rest.trim_end_matches("index.php").trim_end_matches('/');
    BTreeMap::from([(scheme, format!("{scheme}://{host_and_path}/ws"))])
}

fn urls(public_url: &str) -> Urls {
    // After the host, a query needs a path.
    let slash = if public_url.splitn(4, '/').count() < 4 {
        "/"
    } else {
        ""
    };
    let url = |api: &str| format!("{public_url}{slash}?srv=chatserver&api={api}");
    let of = |api: Api| url(api.names().1);
    Urls {
        login: of(Api::Login),
        availability: of(Api::Availability),
        conversation: of(Api::Conversation),
        conversationgroup: of(Api::ConversationGroup),
        blocklist: of(Api::Blocklist),
        // Published, but not served: a client that asks there gets `unknown_api`.
        fileserver: url("chatfileserver"),
        friends: of(Api::Friends),
        notification: of(Api::Notification),
        reports: of(Api::Reports),
    }
}
