//! How much of everything there may be, and the sentence for who wants more.

use parlance_wire::request::conversationgroup::MAX_PARTICIPANTS;

use super::{Call, error::Error};
use crate::store::quota::{Daily, Exceeded, Limits};

/// A user invites at most so many people to groups in a day. Honest clients invite friends who left: they have nobody
/// else's key.
const MAX_INVITATIONS_PER_DAY: u32 = 100;
/// At most so many invitations wait for one user's answer.
const MAX_WAITING_INVITATIONS: u32 = 100;

/// What holds for this call.
#[must_use]
pub(crate) fn limits(call: &Call<'_>) -> Limits {
    Limits {
        participants: MAX_PARTICIPANTS,
        conversations: call.services.policy.conversations_per_user,
        conversations_by_others: call.services.policy.conversations_per_user
            - call.services.policy.conversations_per_user / 10,
        conversations_per_day: call.services.policy.new_conversations_per_day,
        invitations_per_day: MAX_INVITATIONS_PER_DAY,
        waiting_invitations: MAX_WAITING_INVITATIONS,
    }
}

/// The refusal of what exceeds a quota.
#[must_use]
pub(crate) fn refusal(exceeded: Exceeded, limits: &Limits) -> Error {
    match exceeded {
        Exceeded::Total => Error::TooLarge(format!(
            "You are in {} conversations, which is the maximum. Leave a group to make room.",
            limits.conversations
        )),
        Exceeded::TotalOfOther => Error::TooLarge(format!(
            "The other user is in {} conversations, which is the maximum. They have to leave a group first.",
            limits.conversations
        )),
        Exceeded::Day(Daily::Conversations, wait) => Error::DailyLimit(
            format!(
                "You can create at most {} conversations a day. The next day begins at midnight UTC.",
                limits.conversations_per_day
            ),
            wait,
        ),
        Exceeded::Day(Daily::Invitations, wait) => Error::DailyLimit(
            format!(
                "You can invite at most {} people a day. The next day begins at midnight UTC.",
                limits.invitations_per_day
            ),
            wait,
        ),
    }
}
