//! The endpoints of the API: perform, commit, announce, answer. Their parameters extract what they
//! need from a request.

use actix_web::{Either, Resource, guard, web};

use super::{
    address::{network, of_server},
    answer::Answer,
    body::Body,
    connection,
    export::{self, Export},
    extract::{AtStation, ByUser, PollRequest, Post},
    file::files,
    identity,
    limits::{Attempt, Success},
    load::InProgress,
    request_log::api_of,
    state::State,
    web_client,
};
use crate::{
    api::{self, error::Error, login::LoginContext},
    chat::{Call, error::Error as ChatError},
    store,
};
use parlance_wire::{
    id::{StationId, UserId},
    key::SecretHash,
    request::{
        Action, Api, Signed, account::Action as Account, login::Action as Login,
        workspace::Action as Workspace,
    },
};

/// The paths of the API. Clients of older installations have the longer ones in their settings.
pub(super) const PATHS: [&str; 3] = ["/", "/index.php", "/ozeki/index.php"];

/// The API at one of its paths. The URL's query names it, so guards on the query choose the route.
pub(super) fn resource(path: &str) -> Resource {
    let names = |apis: &'static [Api]| {
        guard::fn_guard(move |context| {
            api_of(&context.req_data()).is_some_and(|api| apis.contains(&api))
        })
    };
    // The routes accept any method: with a wrong one, a request would otherwise fall through to
    // `unknown_api` instead of getting 405.
    web::resource(path)
        .route(web::route().guard(names(&SIGNED)).to(signed))
        .route(
            web::route()
                .guard(names(&[Api::Notification]))
                .to(notification),
        )
        .route(web::route().guard(names(&[Api::File])).to(files))
        .route(web::route().guard(names(&[Api::Login])).to(login))
        .route(web::route().guard(names(&[Api::Workspace])).to(workspace))
        .route(
            web::route()
                .guard(guard::fn_guard(|context| {
                    web_client::is_page(context.head())
                }))
                .to(web_client::serve),
        )
        .default_service(web::route().to(unknown_api))
}

/// The APIs of [`signed`].
const SIGNED: [Api; 7] = [
    Api::Conversation,
    Api::Reports,
    Api::Friends,
    Api::Availability,
    Api::ConversationGroup,
    Api::Blocklist,
    Api::Keys,
];

/// Refuses a request to an unknown API. The body is still read, because one that is too large is
/// refused for that.
async fn unknown_api(_: Body) -> Result<Answer, Error> {
    Err(Error::UnknownApi)
}

/// Login and registration, and the account of a logged-in user.
async fn login(post: Post<Action>) -> Result<Either<Answer, Export>, Error> {
    let (action, post) = post.replace(());
    match action {
        Action::Login(action) => Ok(Either::Left(unsigned(&post, action).await?)),
        Action::Signed(Signed::Account(Account::Export)) => {
            let AtStation { user, post, .. } = post.verify().await?;
            let in_progress = post.state.load.begin(user).await?;
            let export = export::begin(&post.state, user, post.now, in_progress).await?;
            Ok(Either::Right(export))
        }
        Action::Signed(Signed::Account(action @ Account::Delete { .. })) => {
            let request = post.replace(action).1.verify().await?;
            Ok(Either::Left(delete(request).await?))
        }
        Action::Signed(action) => {
            let ends_access = matches!(
                action,
                Signed::Account(
                    Account::SignOut { .. }
                        | Account::Revoke { .. }
                        | Account::ChangePassword(_)
                        | Account::ChangeKeys(_)
                )
            );
            let (state, request) = (post.state.clone(), post.replace(action).1.verify().await?);
            let user = request.user;
            let answer = Box::pin(signed(request)).await;
            // Also after a failure, which may have come after the commit. Other nodes are notified by
            // the database.
            if ends_access {
                state.keys.forget_user(user);
            }
            Ok(Either::Left(answer?))
        }
        // This API has no other actions.
        Action::Workspace(_) | Action::Notification(_) => Err(Error::UnknownAction),
    }
}

/// Deletes an account. Its apikey cannot be guessed faster here than at login, and what others guess
/// there refuses nobody here.
async fn delete(request: AtStation<Account>) -> Result<Answer, Error> {
    let AtStation {
        user,
        station,
        allowed,
        post,
    } = request;
    let state = post.state.clone();
    state.limits.take_confirmation(user, station)?;
    let (action, post) = post.replace(());
    let request = AtStation {
        user,
        station,
        allowed,
        post: post.replace(Signed::Account(action)).1,
    };
    let answer = Box::pin(signed(request)).await;
    if !matches!(answer, Err(Error::Chat(ChatError::LoginFailed))) {
        state.limits.refund_confirmation(user, station);
    }
    if answer.is_ok() {
        state.erasure.notify_one();
    }
    answer
}

/// Login and registration. Failures are counted, and beyond the limit no more attempts are checked.
async fn unsigned(post: &Post<()>, action: Login) -> Result<Answer, Error> {
    let (state, address) = (&post.state, post.address);
    let claim = identity::claim(&post.http);
    let claimed = claim.user()?;
    let mut context = LoginContext {
        claimed,
        station: claim.station()?,
        version: post.version,
        now: post.now,
        address,
        services: &state.services,
        public_url: of_server(&state.settings, &post.http),
        user: None,
        settings: &state.settings,
        outbox: Vec::new(),
    };
    let is_registration = matches!(action, Login::Register(_));
    // Counted separately from login attempts and never refunded: open registration must not be a
    // way to fill the database.
    if is_registration {
        state.limits.take_registration(address)?;
    }
    if let Login::Prelogin { email } = &action {
        let user = Some(UserId::of(email));
        begin_prelogin(state, Attempt::new(address, user, context.station)).await?;
        return Ok(api::login::perform(&mut context, action).await?.into());
    }
    let attempt = begin_login(state, Attempt::new(address, claimed, context.station)).await?;
    let success = match &action {
        Login::Login { apikey, .. } => Some(
            begin_success(state, apikey, &attempt)
                .await
                .inspect_err(|_| state.limits.refund_login(&attempt))?,
        ),
        _ => None,
    };
    let result = api::login::perform(&mut context, action).await;
    state.announce(&context.outbox);
    if let Some(user) = context.user {
        // Also notified by the database, but the next request may be sooner.
        state.keys.registered(user);
    }
    if let Err(ChatError::Unavailable {
        uncertain: true, ..
    }) = result
    {
        // It may have been committed, and nobody knows what to announce.
        state.resync.request_everywhere();
    }
    // Includes `AlreadyExists`: a registration with an existing key reveals as much as a login with
    // it.
    let has_failed = matches!(
        result,
        Err(ChatError::LoginFailed
            | ChatError::RegistrationClosed(_)
            | ChatError::AlreadyExists(_))
    );
    if !has_failed {
        state.limits.refund_login(&attempt);
    } else if let Some(success) = success {
        state.logins.refund(success);
    }
    Ok(result?.into())
}

/// Counts a login attempt: if others' failures have used up the allowance, as one of the known.
async fn begin_login(state: &State, attempt: Attempt) -> Result<Attempt, Error> {
    let Err(refused) = state.limits.take_login(&attempt) else {
        return Ok(attempt);
    };
    let attempt = as_known(state, attempt, refused).await?;
    state.limits.take_known_login(&attempt)?;
    Ok(attempt)
}

/// Counts a login as one that succeeds: if its key was used too often at this address, as that of a known station.
async fn begin_success(
    state: &State,
    key: &SecretHash,
    attempt: &Attempt,
) -> Result<Success, Error> {
    match state.logins.take(key, attempt) {
        Ok(success) => Ok(success),
        Err(refused) => {
            let station = known_station(state, attempt, refused).await?;
            Ok(state.logins.take_at_station(key, station)?)
        }
    }
}

/// Counts a question before a login: if others' have used up the allowance, as one of the known.
async fn begin_prelogin(state: &State, attempt: Attempt) -> Result<(), Error> {
    let Err(refused) = state.limits.take_prelogin(&attempt) else {
        return Ok(());
    };
    let attempt = as_known(state, attempt, refused).await?;
    Ok(state.limits.take_known_prelogin(&attempt)?)
}

/// The attempt as that of a station that has logged in before, or of a user who recently signed
/// correctly from this address: these have separate allowances. Others are refused.
async fn as_known(state: &State, attempt: Attempt, refused: ChatError) -> Result<Attempt, Error> {
    if state.limits.is_familiar(&attempt) {
        return Ok(attempt.of_known(false));
    }
    known_station(state, &attempt, refused).await?;
    Ok(attempt.of_known(true))
}

/// The station of an attempt that was refused, if the user has logged in from it before.
async fn known_station(
    state: &State,
    attempt: &Attempt,
    refused: ChatError,
) -> Result<StationId, Error> {
    // Only now, so that a login costs no more reads than it has to.
    let Some(station) = attempt.station() else {
        return Err(refused.into());
    };
    state.limits.take_station_asked(attempt)?;
    let is_known = store::station::is_known(&state.services.db, attempt.user(), station)
        .await
        .map_err(ChatError::from)?;
    if !is_known {
        return Err(refused.into());
    }
    Ok(station)
}

async fn workspace(signed: ByUser<Workspace>) -> Result<Answer, Error> {
    let ByUser { user, post } = signed;
    let _in_progress = post.state.load.begin(user).await?;
    let text =
        api::workspace::perform(&post.state.services.db, user, post.now, post.action).await?;
    Ok(text.into())
}

async fn notification(poll: PollRequest) -> Result<Answer, Error> {
    let PollRequest {
        user,
        station,
        post,
    } = poll;
    let state = &post.state;
    state.presence.called(user);
    let in_progress = state.load.begin(user).await?;
    let text = api::notification::perform(
        &state.notifications,
        user,
        station,
        connection::of_poll(state, &post.http),
        post.version,
        post.action,
    )?;
    // Never refused: the changes are no longer pending, and would be repeated only at the next
    // poll.
    let share = state.load.answer(user, network(post.address), text.len());
    Ok(Answer::to_user(text, in_progress, share))
}

pub(super) async fn signed(request: AtStation<Signed>) -> Result<Answer, Error> {
    let AtStation {
        user,
        station,
        allowed,
        mut post,
    } = request;
    let state = post.state.clone();
    state.presence.called(user);
    // Before waiting for its turn: the request itself is the acknowledgement, whatever its outcome.
    if let Some(connection) = connection::polled_before(&state, &post.http) {
        state.notifications.ack(user, station, connection);
    }
    let in_progress = state.load.begin(user).await?;
    // A body only counts while its request waits, as few are in progress; but one with thousands of
    // secrets counts until it is done.
    let max = state.settings.max_body_bytes;
    let _counted = post.share.take().filter(|share| share.bytes() > max);
    perform(
        &state,
        AtStation {
            user,
            station,
            allowed,
            post,
        },
        in_progress,
    )
    .await
}

/// Performs an action, and announces its events.
async fn perform(
    state: &web::Data<State>,
    request: AtStation<Signed>,
    in_progress: InProgress,
) -> Result<Answer, Error> {
    let AtStation {
        user,
        station,
        allowed,
        post,
    } = request;
    // Before anything is read, as a later announcement may not be covered by the answer.
    let in_flight = api::acknowledged_by(&post.action, post.version)
        .and_then(|what| Some((what, state.notifications.in_flight(user, station)?)));
    let acknowledge = || {
        if let Some((what, receipt)) = in_flight {
            state.notifications.fetched(user, station, receipt, what);
        }
    };
    let reading = if api::is_read(&post.action) {
        Some(in_progress.read().await?)
    } else {
        None
    };
    let mut call = Call {
        user,
        station,
        version: post.version,
        allowed,
        now: post.now,
        services: &state.services,
        outbox: Vec::new(),
        later: Vec::new(),
    };
    let result = api::perform(&mut call, post.action).await;
    if let Err(ChatError::Unavailable {
        uncertain: true, ..
    }) = result
    {
        // It may have been committed, and nobody knows what to announce.
        state.resync.request_everywhere();
    }
    // After a failure, too: the events in the outbox were committed.
    state.announce(&call.outbox);
    if !call.later.is_empty() {
        state.clone().into_inner().announce_later(call.later);
    }
    // A conversation that is gone cannot be fetched: the station would be notified of it again and
    // again.
    if let Err(ChatError::ConversationNotFound) = result {
        acknowledge();
    }
    let text = result?;
    let address = network(post.address);
    let share = match reading {
        Some(_) => state.load.try_answer(user, address, text.len())?,
        // The change is made, and a refusal would deny that: it is answered, however much the user
        // leaves unread.
        None => state.load.answer(user, address, text.len()),
    };
    // Only now, because an answer that was refused above has given the station nothing.
    acknowledge();
    Ok(Answer::to_user(text, in_progress, share))
}
