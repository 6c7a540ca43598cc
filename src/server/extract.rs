//! Extractors: an endpoint's parameters state what it needs from a request. A request without it is
//! refused before the endpoint runs.

use std::net::IpAddr;

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev, http::Method, web};
use futures_util::future::LocalBoxFuture;

use super::{
    address,
    body::{self, Body},
    identity::{self, SignedRequest},
    load::BodyShare,
    metrics::UNKNOWN,
    request_log::{RequestLog, api_of},
    site,
    state::State,
};
use crate::{
    api::error::Error,
    chat::{self, rates::Allowed},
    store,
};
use parlance_wire::{
    id::{StationId, UserId},
    request::{Action, Api, Head, ParseError, Signed, notification, workspace},
    time::Timestamp,
    version::ClientVersion,
};

/// The state that `server::start` shares with all requests.
pub(super) fn state_of(request: &HttpRequest) -> Result<web::Data<State>, Error> {
    request
        .app_data::<web::Data<State>>()
        .cloned()
        .ok_or_else(|| Error::internal("the server has no state"))
}

/// The actions that one endpoint serves.
pub(super) trait Parse: Sized + 'static {
    /// Reads the action that a body names.
    fn parse(api: Api, head: &Head<'_>, body: &[u8]) -> Result<Self, ParseError>;
}

impl Parse for Signed {
    fn parse(api: Api, head: &Head<'_>, body: &[u8]) -> Result<Self, ParseError> {
        match Action::parse(api, head, body)? {
            Action::Signed(signed) => Ok(signed),
            _ => Err(ParseError::UnknownAction),
        }
    }
}

/// The actions of an API with an endpoint of its own.
macro_rules! parse {
    ($($action:ty),+) => {$(
        impl Parse for $action {
            fn parse(_: Api, head: &Head<'_>, body: &[u8]) -> Result<Self, ParseError> {
                parlance_wire::request::action(&head.action, body)
            }
        }
    )+};
}
parse!(workspace::Action, notification::Action);

/// All actions of any API: some of `chatlogin` need a signature, some do not.
impl Parse for Action {
    fn parse(api: Api, head: &Head<'_>, body: &[u8]) -> Result<Self, ParseError> {
        Self::parse(api, head, body)
    }
}

/// A request to an API, with its action parsed, and its sender not yet authenticated.
pub(super) struct Post<A> {
    pub state: web::Data<State>,
    pub http: HttpRequest,
    pub action: A,
    pub version: ClientVersion,
    /// The time of the request, read once.
    pub now: Timestamp,
    /// The client's address.
    pub address: IpAddr,
    /// The body's share of the budget, if it is large.
    pub share: Option<BodyShare>,
    api: Api,
    body: Vec<u8>,
    timestamp: Option<Timestamp>,
    nonce: Option<String>,
}

/// A request that a user signed, at any station.
pub(super) struct ByUser<A> {
    pub user: UserId,
    pub post: Post<A>,
}

/// A request that a user signed at a station of theirs.
pub(super) struct AtStation<A> {
    pub user: UserId,
    pub station: StationId,
    pub allowed: Allowed,
    pub post: Post<A>,
}

/// A poll for notifications, either signed or, with `ALLOW_UNSIGNED_NOTIFICATIONS`, with a station
/// alone.
pub(super) struct PollRequest {
    pub user: UserId,
    pub station: StationId,
    pub post: Post<notification::Action>,
}

impl<A: Parse> Post<A> {
    async fn read(http: HttpRequest, payload: dev::Payload) -> Result<Self, Error> {
        let state = state_of(&http)?;
        let address = address::of_client(&state.settings, &http);
        let api = api_of(&http.extensions());
        // The body first: if there are two reasons to refuse a request, the body's is given,
        // whatever the URL is.
        let Body { bytes, share } = Body::read(&state, api, address, &http, payload).await?;
        let api = api.ok_or(Error::UnknownApi)?;
        if http.method() != Method::POST {
            return Err(Error::MethodNotAllowed);
        }
        site::check(&state.settings, &http)?;
        let head = Head::parse(&bytes);
        let name = head.as_ref().map_or("", |head| &*head.action);
        body::check_length(&state, api, name, bytes.len())?;
        let head = head?;
        RequestLog::update(&http, |log| {
            let name = api.actions().iter().find(|name| **name == head.action);
            log.action = name.copied().unwrap_or(UNKNOWN);
        });
        let action = A::parse(api, &head, &bytes)?;
        let version = head.version();
        Ok(Self {
            action,
            version,
            now: state.settings.clock.now(),
            address,
            share,
            api,
            timestamp: head.timestamp,
            // Published clients know no nonces: a field with this name does not mean that they send
            // the request only once.
            nonce: head.nonce.filter(|_| version.is_v4()),
            state,
            http,
            body: bytes,
        })
    }
}

impl<A> Post<A> {
    fn signed(&self) -> SignedRequest<'_> {
        let (srv, api) = self.api.names();
        SignedRequest {
            claim: identity::claim(&self.http),
            srv,
            api,
            body: &self.body,
            timestamp: self.timestamp,
            nonce: self.nonce.as_deref(),
            now: self.now,
            address: self.address,
        }
    }

    /// Records the signer, and frees the body, which is not needed after the signature was checked.
    fn verified(&mut self, user: UserId) {
        RequestLog::update(&self.http, |log| log.user = Some(user));
        self.body = Vec::new();
    }

    /// The action, and the same request with another one.
    pub(super) fn replace<B>(self, action: B) -> (A, Post<B>) {
        let post = Post {
            action,
            state: self.state,
            http: self.http,
            version: self.version,
            now: self.now,
            address: self.address,
            share: self.share,
            api: self.api,
            body: self.body,
            timestamp: self.timestamp,
            nonce: self.nonce,
        };
        (self.action, post)
    }

    /// Verifies who signed it.
    pub(super) async fn verify(mut self) -> Result<AtStation<A>, Error> {
        let verified = identity::verify(&self.state, &self.signed()).await?;
        self.verified(verified.user);
        Ok(AtStation {
            user: verified.user,
            station: verified.station,
            allowed: verified.allowed,
            post: self,
        })
    }
}

impl<A: Parse> FromRequest for Post<A> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        Box::pin(Self::read(request.clone(), payload.take()))
    }
}

impl<A: Parse> FromRequest for ByUser<A> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let post = Post::read(request.clone(), payload.take());
        Box::pin(async {
            let mut post = post.await?;
            let user = identity::verify_user(&post.state, &post.signed()).await?;
            post.verified(user);
            Ok(Self { user, post })
        })
    }
}

impl<A: Parse> FromRequest for AtStation<A> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let post = Post::read(request.clone(), payload.take());
        Box::pin(async { post.await?.verify().await })
    }
}

impl FromRequest for PollRequest {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let post = Post::read(request.clone(), payload.take());
        Box::pin(async {
            let mut post = post.await?;
            if let Some((user, station)) = unsigned(&post).await? {
                post.verified(user);
                return Ok(Self {
                    user,
                    station,
                    post,
                });
            }
            let AtStation {
                user,
                station,
                post,
                ..
            } = post.verify().await?;
            Ok(Self {
                user,
                station,
                post,
            })
        })
    }
}

/// The user last seen at the polling station, if the request names no user and the operator allows
/// that: the published request only has its station.
async fn unsigned<A>(post: &Post<A>) -> Result<Option<(UserId, StationId)>, Error> {
    let claim = identity::claim(&post.http);
    if !post.state.settings.allow_unsigned_notifications || claim.user.is_some() {
        return Ok(None);
    }
    let Some(station) = claim.station()? else {
        return Ok(None);
    };
    let limits = &post.state.limits;
    limits.check_signatures(post.address, None)?;
    identity::check_time(&post.state, &post.signed())?;
    let user = store::station::last_user_of(&post.state.services.db, station)
        .await
        .map_err(chat::error::Error::from)?
        // Each guess costs a read, as a bad signature does.
        .ok_or_else(|| {
            limits.count_bad_signature(post.address, None);
            Error::UnknownStation
        })?;
    Ok(Some((user, station)))
}
