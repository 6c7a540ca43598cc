//! `srv=chatserver&api=chatlogin`: coming in. The one API that needs no signature.

use std::collections::BTreeMap;

use serde::Serialize;

use super::answer;
use crate::{
    chat::{self, Services, error::Error},
    settings::Registration,
    store::user::NewUser,
};
use parlance_wire::{
    id::{StationId, UserId},
    request::{Api, login::Action},
    time::Timestamp,
};

/// Who is at the context. Nothing of it is shown yet.
#[derive(Debug)]
pub(crate) struct LoginContext<'a> {
    /// The user whom the header claims, if it does.
    pub claimed: Option<UserId>,
    /// The station that the header names.
    pub station: Option<StationId>,
    /// The moment of the request.
    pub now: Timestamp,
    pub services: &'a Services,
    /// The address that clients are told.
    pub public_url: &'a str,
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
}

/// Where each API is, in the published order.
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

/// Does what is asked.
pub(crate) async fn perform(context: &LoginContext<'_>, action: Action) -> Result<Vec<u8>, Error> {
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
            answer::ok(LoginView {
                server: env!("CARGO_PKG_VERSION"),
                listeners: listeners(context.public_url),
                registration: if context.services.policy.registration == Registration::Closed {
                    "false"
                } else {
                    "true"
                },
                rsakey: &account.encrypted_private_key,
                userid: account.user_id,
                fullname: &account.full_name,
                nick: &account.nick,
                urls: urls(context.public_url),
            })
        }
        Action::Register(new) => {
            if new.apikey.is_short() {
                return Err(Error::BadRequest(
                    "apikey must be 16 to 256 characters: the hex of 32 bytes has 64.".into(),
                ));
            }
            let user = NewUser {
                email: &new.email,
                full_name: &new.fullname,
                nick: &new.nick,
                key_hash: &new.apikey,
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

/// Where sockets are opened: beside the API, in the scheme that goes with it.
fn listeners(public_url: &str) -> BTreeMap<&'static str, String> {
    let (scheme, rest) = match public_url.split_once("://") {
        Some(("https", rest)) => ("wss", rest),
        Some((_, rest)) => ("ws", rest),
        None => return BTreeMap::new(),
    };
    let place = rest.trim_end_matches("index.php").trim_end_matches('/');
    BTreeMap::from([(scheme, format!("{scheme}://{place}/ws"))])
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
        fileserver: url("chatfileserver"),
        friends: of(Api::Friends),
        notification: of(Api::Notification),
        reports: of(Api::Reports),
    }
}
