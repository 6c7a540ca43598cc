//! `srv=chatserver&api=chatfriends`: friends and friend requests.

use std::collections::BTreeMap;

use serde::Serialize;

use super::answer::{self, Nothing};
use crate::{
    chat::{self, Call, error::Error},
    store::{self, rows::FriendRow},
};
use parlance_wire::{id::UserId, request::friends::Action};

#[derive(Serialize)]
struct ListView<'a> {
    friends: BTreeMap<UserId, &'a str>,
    availabilities: Vec<FriendView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<Vec<RequestView>>,
}

#[derive(Serialize)]
struct FriendView<'a> {
    friendid: UserId,
    friendname: &'a str,
    publickey: &'a str,
    availability: &'a str,
}

#[derive(Serialize)]
struct RequestView {
    friendid: UserId,
    friendname: String,
}

impl<'a> From<&'a FriendRow> for FriendView<'a> {
    fn from(row: &'a FriendRow) -> Self {
        Self {
            friendid: row.user_id,
            friendname: &row.nick,
            publickey: &row.public_key,
            availability: &row.availability,
        }
    }
}

/// Performs an action.
pub(crate) async fn perform(call: &mut Call<'_>, action: Action) -> Result<Vec<u8>, Error> {
    match action {
        Action::List => {
            // The requests first, as this is no transaction: one that is accepted in between is then shown in both
            // lists, while the other order could show it in neither.
            let requests = if call.version.is_v4() {
                let waiting = store::friend::requests_to(&call.services.db, call.user).await?;
                Some(
                    waiting
                        .into_iter()
                        .map(|(friendid, friendname)| RequestView {
                            friendid,
                            friendname,
                        })
                        .collect(),
                )
            } else {
                None
            };
            let rows = store::friend::friends_of(&call.services.db, call.user).await?;
            return answer::ok(ListView {
                friends: rows
                    .iter()
                    .map(|row| (row.user_id, row.nick.as_str()))
                    .collect(),
                availabilities: rows.iter().map(FriendView::from).collect(),
                requests,
            });
        }
        Action::Add { friendid, email } => {
            // The id follows from the address: no need to look the user up.
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
