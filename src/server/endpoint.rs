//! The endpoints of the API: work, commit, announce, answer. What each needs of a request is in its parameters.

use actix_web::{Resource, guard, web};

use super::{
    address::network,
    answer::Answer,
    body::Body,
    connection,
    extract::{AtStation, ByListener, ByUser, Post, api_of},
    identity,
    load::AtWork,
    state::State,
};
use crate::{
    api::{self, error::Error, login::LoginContext},
    chat::{Call, error::Error as Rule},
};
use parlance_wire::request::{
    Action, Api, Signed, login::Action as Login, workspace::Action as Workspace,
};

/// Where the API is served: clients of older installations have the longer paths in their settings.
pub(super) const PATHS: [&str; 3] = ["/", "/index.php", "/ozeki/index.php"];

/// The API at one of its paths. The URL's query names it, so the routes are told apart by that.
pub(super) fn resource(path: &str) -> Resource {
    let names = |apis: &'static [Api]| {
        guard::fn_guard(move |context| {
            let query = context.head().uri.query().unwrap_or_default();
            api_of(query).is_some_and(|api| apis.contains(&api))
        })
    };
    web::resource(path)
        // First what is asked for most: each guard before it reads the query, too.
        .route(web::route().guard(names(&SIGNED)).to(signed))
        .route(
            web::route()
                .guard(names(&[Api::Notification]))
                .to(notification),
        )
        .route(web::route().guard(names(&[Api::Login])).to(login))
        .route(web::route().guard(names(&[Api::Workspace])).to(workspace))
        .default_service(web::route().to(unknown_api))
}

/// The APIs of [`signed`].
const SIGNED: [Api; 6] = [
    Api::Conversation,
    Api::Reports,
    Api::Friends,
    Api::Availability,
    Api::ConversationGroup,
    Api::Blocklist,
];

/// Anything else than the API's paths.
pub(super) async fn not_found() -> Result<Answer, Error> {
    Err(Error::UnknownApi)
}

/// A request to no API that is served. Its body is read all the same: one that is too large is refused for that.
async fn unknown_api(_: Body) -> Result<Answer, Error> {
    Err(Error::UnknownApi)
}

/// Login and registration; and what users do with their account once they are logged in.
async fn login(post: Post<Action>) -> Result<Answer, Error> {
    let (action, post) = post.replace(());
    match action {
        Action::Login(action) => unsigned(&post, action).await,
        Action::Signed(action) => {
            let (state, request) = (post.state.clone(), post.replace(action).1.verify().await?);
            let user = request.user;
            let answer = Box::pin(signed(request)).await;
            // Also after a failure: what a station or a key may do has perhaps changed. Other nodes hear of it.
            state.keys.forget_user(user);
            answer
        }
        _ => Err(Error::UnknownAction),
    }
}

/// Login and registration. Failures are counted, and beyond the limit no more are checked.
async fn unsigned(post: &Post<()>, action: Login) -> Result<Answer, Error> {
    let (state, address) = (&post.state, post.address);
    let claim = identity::claim(&post.http);
    let claimed = claim.user()?;
    let mut context = LoginContext {
        claimed,
        station: claim.station()?,
        now: post.now,
        services: &state.services,
        version: post.version,
        settings: &state.settings,
        outbox: Vec::new(),
    };
    let is_registration = matches!(action, Login::Register(_));
    // Besides the login attempt, as it is never given back: open registration must not be a way to fill the database.
    if is_registration {
        state.limits.take_registration(address)?;
    }
    if matches!(action, Login::Prelogin { .. }) {
        state.limits.take_prelogin(address)?;
    }
    state.limits.take_login(address, claimed)?;
    let result = api::login::perform(&mut context, action).await;
    // `AlreadyExists`, too: a registration with a key that is taken tells as much as a login with it.
    let has_failed = matches!(
        result,
        Err(Rule::LoginFailed | Rule::RegistrationClosed(_) | Rule::AlreadyExists(_))
    );
    if !has_failed {
        state.limits.give_login_back(address, claimed);
    }
    state.announce(&context.outbox);
    Ok(result?.into())
}

async fn workspace(signed: ByUser<Workspace>) -> Result<Answer, Error> {
    let ByUser { user, post } = signed;
    let text =
        api::workspace::perform(&post.state.services.db, user, post.now, post.action).await?;
    Ok(text.into())
}

async fn notification(ByListener(poll): ByListener) -> Result<Answer, Error> {
    let AtStation {
        user,
        station,
        post,
    } = poll;
    let state = &post.state;
    let at_work = state.load.begin(user).await?;
    let text = api::notification::perform(
        &state.notifications,
        user,
        station,
        connection::of_poll(state, &post.http),
        post.version,
        post.action,
    )?;
    // Never refused: what was taken from the pending notifications would be told again only at the next poll.
    let share = state.load.answer(user, network(post.address), text.len());
    Ok(Answer::to_user(text, at_work, share))
}

async fn signed(request: AtStation<Signed>) -> Result<Answer, Error> {
    let AtStation {
        user,
        station,
        mut post,
    } = request;
    let state = post.state.clone();
    if let Some(connection) = connection::polled_before(&state, &post.http) {
        state.notifications.ack(user, station, connection);
    }
    let at_work = state.load.begin(user).await?;
    // A body counts only while its request waits: those at work are few.
    drop(post.share.take());
    perform(
        &state,
        AtStation {
            user,
            station,
            post,
        },
        at_work,
    )
    .await
}

/// Performs an action, and announces what came of it.
async fn perform(
    state: &State,
    request: AtStation<Signed>,
    at_work: AtWork,
) -> Result<Answer, Error> {
    let AtStation {
        user,
        station,
        post,
    } = request;
    // Before anything is read: what is announced later may not be in the answer.
    let told = api::fetches(&post.action, post.version)
        .and_then(|what| Some((what, state.notifications.in_flight(user, station)?)));
    let acknowledge = || {
        if let Some((what, told)) = told {
            state.notifications.fetched(user, station, told, what);
        }
    };
    let reading = if api::is_read(&post.action) {
        Some(at_work.read().await?)
    } else {
        None
    };
    let mut call = Call {
        user,
        station,
        version: post.version,
        now: post.now,
        services: &state.services,
        outbox: Vec::new(),
    };
    let result = api::perform(&mut call, post.action).await;
    if let Err(Rule::Unavailable {
        uncertain: true, ..
    }) = result
    {
        // It may have been committed, and then nobody will announce it.
        state.resync.request_everywhere();
    }
    // Also after a failure: what is in the outbox was committed.
    state.announce(&call.outbox);
    // A conversation that is gone cannot be fetched: telling the station of it again would help nobody.
    if let Err(Rule::ConversationNotFound) = result {
        acknowledge();
    }
    let text = result?;
    let address = network(post.address);
    let share = match reading {
        Some(_) => state.load.try_answer(user, address, text.len())?,
        // A change was made: that is answered, however much of the user's waits to be read.
        None => state.load.answer(user, address, text.len()),
    };
    acknowledge();
    Ok(Answer::to_user(text, at_work, share))
}
