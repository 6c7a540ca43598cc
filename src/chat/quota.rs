//! Quotas of conversations, participants and invitations, and the refusals when they are exceeded.

use parlance_wire::request::conversationgroup::MAX_PARTICIPANTS;

use super::{Call, error::Error};
use crate::store::quota::{Daily, Exceeded, Limits};

/// Maximum number of users that a user invites to groups per day.
// Low, because a client has only the public keys of friends, so it invites only friends who have
// left a group.
const MAX_INVITATIONS_PER_DAY: u32 = 100;
/// Maximum unanswered invitations of one user.
// Without it, strangers could fill the list in which users look for the invitations of friends.
const MAX_WAITING_INVITATIONS: u32 = 100;

/// Maximum nick changes of a user per day.
// Everyone who shares a conversation with the user is notified of each.
const MAX_NICKS_PER_DAY: u32 = 10;

/// The limits for this call.
#[must_use]
pub(crate) fn limits(call: &Call<'_>) -> Limits {
    Limits {
        participants: MAX_PARTICIPANTS,
        conversations: call.services.policy.conversations_per_user,
        // Others cannot use up all of it: a tenth is reserved for what the user creates or accepts.
        conversations_by_others: call.services.policy.conversations_per_user
            - call.services.policy.conversations_per_user / 10,
        conversations_per_day: call.services.policy.new_conversations_per_day,
        invitations_per_day: MAX_INVITATIONS_PER_DAY,
        nicks_per_day: MAX_NICKS_PER_DAY,
        waiting_invitations: MAX_WAITING_INVITATIONS,
    }
}

/// The refusal when a quota is exceeded.
#[must_use]
pub(crate) fn refusal(exceeded: Exceeded, limits: &Limits) -> Error {
    match exceeded {
        // `too_large`, not `rate_limited`: waiting does not help.
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
        Exceeded::Day(Daily::Nicks, wait) => Error::DailyLimit(
            format!(
                "You can change your nick at most {} times a day. The next day begins at midnight UTC.",
                limits.nicks_per_day
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
