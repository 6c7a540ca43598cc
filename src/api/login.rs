//! `srv=chatserver&api=chatlogin`, unsigned: login and registration.

use std::{borrow::Cow, collections::BTreeMap, net::IpAddr};

use serde::Serialize;

use super::{answer, limits::LimitsView};
use crate::{
    chat::{self, Services, error::Error},
    notify::event::Event,
    settings::{Registration, Settings},
    store::{registration::NewUser, station::Arriving},
};
use parlance_wire::{
    id::{ServerId, StationId, UserId},
    kdf::Kdf,
    key::SecretHash,
    request::{Api, login::Action},
    time::Timestamp,
    version::ClientVersion,
    word::{CredentialKind, UserRole},
};

/// The sender of a login or a registration, as claimed and not yet verified.
#[derive(Debug)]
pub(crate) struct LoginContext<'a> {
    /// The user in the header.
    pub claimed: Option<UserId>,
    /// The station in the header.
    pub station: Option<StationId>,
    /// The version that the client claims.
    pub version: ClientVersion,
    /// The time of the request.
    pub now: Timestamp,
    /// The client's address.
    pub address: IpAddr,
    pub services: &'a Services,
    /// The address at which the client reaches the server.
    pub public_url: Cow<'a, str>,
    /// The user who has logged in or registered.
    pub user: Option<UserId>,
    /// The server's settings, with its limits.
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

/// The additional fields for v4 clients.
#[derive(Serialize)]
struct Version4View<'a> {
    role: UserRole,
    /// The version of `rsakey`.
    version: i32,
    /// The kind of key that opened the login. After `recovery`, a client asks for a new password.
    key: CredentialKind,
    limits: LimitsView,
    /// The key by which push services know this server; absent if it does not send pushes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pushkey: Option<&'a str>,
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
struct PreloginView {
    server: ServerId,
    #[serde(flatten)]
    kdf: Kdf,
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
        Action::Login {
            apikey,
            stationname,
        } => {
            let station = context.station.ok_or_else(|| {
                Error::BadRequest("The header Ozeki-Station must be 32 hexadecimal digits.".into())
            })?;
            // With a user in the header, a key logs in nobody else: a guess has to be right for one
            // user, whose attempts are limited.
            let account = chat::user::log_in(
                context.services,
                context.now,
                &apikey,
                context.claimed,
                Arriving {
                    station,
                    name: stationname.as_ref(),
                },
            )
            .await?;
            context.user = Some(account.user_id);
            let limits = if context.version.is_v4() {
                let (services, settings) = (context.services, context.settings);
                let own = chat::user::limits(services, account.user_id, context.now).await?;
                let fileused = chat::file::used(services, account.user_id).await?;
                Some(LimitsView::of(settings, &own, fileused))
            } else {
                None
            };
            if account.is_new_station {
                context.outbox.push(Event::StationAdded {
                    user: account.user_id,
                    station,
                });
            }
            answer::ok(LoginView {
                server: env!("CARGO_PKG_VERSION"),
                listeners: listeners(&context.public_url),
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
                urls: urls(&context.public_url),
                v4: limits.map(|limits| Version4View {
                    role: account.role,
                    version: account.vault_version,
                    key: account.kind,
                    limits,
                    pushkey: context.services.push_key(),
                }),
            })
        }
        Action::Prelogin { email } => {
            let kdf = chat::user::prelogin(context.services, &email).await?;
            answer::ok(PreloginView {
                server: context.services.identity.id,
                kdf,
            })
        }
        Action::Register(new) => {
            check_length("apikey", &new.apikey)?;
            if let Some(key) = &new.recoverykey {
                check_length("recoverykey", key)?;
            }
            let user = NewUser {
                email: &new.email,
                full_name: &new.fullname,
                nick: &new.nick,
                key_hash: &new.apikey,
                kind: CredentialKind::Password,
                label: "password",
                kdf: &new.kdf,
                recovery: new.recoverykey.as_ref(),
                public_key: &new.publickey,
                encrypted_private_key: &new.rsakey,
                card: chat::keys::first(context.services, &new)?,
            };
            let userid = chat::user::register(
                context.services,
                &mut context.outbox,
                &user,
                new.invite.as_ref(),
                context.address,
                context.now,
            )
            .await?;
            context.user = Some(userid);
            answer::ok(RegisterView { userid })
        }
    }
}

/// Checks that a key cannot be guessed from a stolen database: the server stores only a hash of it.
pub(super) fn check_length(field: &str, key: &SecretHash) -> Result<(), Error> {
    if key.is_short() {
        return Err(Error::BadRequest(format!(
            "{field} must be 16 to 256 characters: the hex of 32 bytes has 64."
        )));
    }
    Ok(())
}

/// The URL at which WebSockets are opened: next to the API's, with `wss` for `https`.
fn listeners(public_url: &str) -> BTreeMap<&'static str, String> {
    let (scheme, rest) = match public_url.split_once("://") {
        Some(("https", rest)) => ("wss", rest),
        Some((_, rest)) => ("ws", rest),
        None => return BTreeMap::new(),
    };
    // Older installations have `index.php` in their URL; the sockets are served next to it, not beneath it.
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
        fileserver: of(Api::File),
        friends: of(Api::Friends),
        notification: of(Api::Notification),
        reports: of(Api::Reports),
    }
}
