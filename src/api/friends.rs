//! `srv=chatserver&api=chatfriends`: friends and friend requests.

use std::collections::BTreeMap;

use serde::Serialize;

use super::answer::{self, Nothing};
use crate::{
    chat::{self, Call, error::Error},
    store::{
        self,
        rows::{FriendRow, RequestRow},
    },
};
use parlance_wire::{
    id::UserId,
    request::friends::Action,
    version::ClientVersion,
    word::{Availability, ChosenAvailability},
};

#[derive(Serialize)]
struct ListView<'a> {
    friends: BTreeMap<UserId, &'a str>,
    availabilities: Vec<FriendView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<Vec<RequestView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<Vec<LeftView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chosen: Option<ChosenAvailability>,
}

#[derive(Serialize)]
struct FriendView<'a> {
    friendid: UserId,
    friendname: &'a str,
    publickey: &'a str,
    availability: Availability,
    #[serde(skip_serializing_if = "Option::is_none")]
    alike: Option<bool>,
}

#[derive(Serialize)]
struct RequestView {
    friendid: UserId,
    friendname: String,
    alike: bool,
}

impl From<RequestRow> for RequestView {
    fn from(row: RequestRow) -> Self {
        Self {
            friendid: row.user_id,
            friendname: row.nick,
            alike: row.is_alike,
        }
    }
}

/// A friend who has deleted their account.
#[derive(Serialize)]
struct LeftView {
    friendid: UserId,
    friendname: String,
}

impl From<(UserId, String)> for LeftView {
    fn from((friendid, friendname): (UserId, String)) -> Self {
        Self {
            friendid,
            friendname,
        }
    }
}

impl<'a> FriendView<'a> {
    fn new(row: &'a FriendRow, version: ClientVersion) -> Self {
        Self {
            friendid: row.user_id,
            friendname: &row.nick,
            publickey: &row.public_key,
            availability: row.availability,
            alike: version.is_v4().then_some(row.is_alike),
        }
    }
}

/// Performs an action.
pub(crate) async fn perform(call: &mut Call<'_>, action: Action) -> Result<Vec<u8>, Error> {
    match action {
        Action::List => {
            let (requests, left, chosen) = if call.version.is_v4() {
                let db = &call.services.db;
                // Read before the friends, as there is no transaction: a request that is accepted
                // in between is then in both lists; in the other order it could be in neither.
                let requests = store::friend::requests_to(db, call.user).await?;
                let (left, chosen) = store::friend::left_and_chosen(db, call.user).await?;
                (
                    Some(requests.into_iter().map(RequestView::from).collect()),
                    Some(left.into_iter().map(LeftView::from).collect()),
                    Some(chosen),
                )
            } else {
                (None, None, None)
            };
            let rows =
                store::friend::friends_of(&call.services.db, call.user, call.version.is_v4())
                    .await?;
            return answer::ok(ListView {
                friends: rows
                    .iter()
                    .map(|row| (row.user_id, row.nick.as_str()))
                    .collect(),
                availabilities: rows
                    .iter()
                    .map(|row| FriendView::new(row, call.version))
                    .collect(),
                requests,
                left,
                chosen,
            });
        }
        Action::Add { friendid, email } => {
            // The id is derived from the address, so the user need not be looked up.
            let friend = friendid
                .or_else(|| email.as_ref().map(UserId::of))
                .ok_or_else(|| Error::BadRequest("friendid or email is missing.".into()))?;
            chat::friend::add(call, friend).await?;
        }
        Action::Accept { friendid } => chat::friend::accept(call, friendid).await?,
        Action::Remove { friendid } => chat::friend::remove(call, friendid).await?,
    }
    answer::ok(Nothing {})
}
