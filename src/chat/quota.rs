//! Quotas of conversations, participants and invitations, and the refusals when they are exceeded.

use parlance_wire::request::conversationgroup::MAX_PARTICIPANTS;

use super::{Call, error::Error};
use crate::store::quota::{DailyQuota, Exceeded, QuotaLimits};

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
pub(crate) fn limits(call: &Call<'_>) -> QuotaLimits {
    QuotaLimits {
        participants: MAX_PARTICIPANTS,
        conversations: call.allowed.limits.conversations,
        usual_conversations: call.services.policy.per_user.conversations,
        conversations_per_day: call.allowed.limits.new_conversations,
        friend_requests_per_day: call.allowed.limits.friend_requests,
        invitations_per_day: MAX_INVITATIONS_PER_DAY,
        nicks_per_day: MAX_NICKS_PER_DAY,
        waiting_invitations: MAX_WAITING_INVITATIONS,
    }
}

/// The refusal when a quota is exceeded.
#[must_use]
pub(crate) fn refusal(exceeded: Exceeded, limits: &QuotaLimits) -> Error {
    match exceeded {
        // `too_large`, not `rate_limited`: waiting does not help.
        Exceeded::Total(most) => Error::TooLarge(format!(
            "You are in {most} conversations, which is the maximum. Leave a group to make room."
        )),
        Exceeded::TotalOfOther(most) => Error::TooLarge(format!(
            "The other user is in {most} conversations, which is the maximum. They have to leave a group first."
        )),
        Exceeded::Day(DailyQuota::Conversations, wait) => Error::UsedUp(
            format!(
                "You can create at most {} conversations a day. The next day begins at midnight UTC.",
                limits.conversations_per_day
            ),
            wait,
        ),
        Exceeded::Day(DailyQuota::Nicks, wait) => Error::UsedUp(
            format!(
                "You can change your nick at most {} times a day. The next day begins at midnight UTC.",
                limits.nicks_per_day
            ),
            wait,
        ),
        Exceeded::Day(DailyQuota::FriendRequests, wait) => Error::UsedUp(
            format!(
                "You can ask at most {} people a day to be your friends. The next day begins at midnight UTC.",
                limits.friend_requests_per_day
            ),
            wait,
        ),
        Exceeded::Day(DailyQuota::Invitations, wait) => Error::UsedUp(
            format!(
                "You can invite at most {} people a day. The next day begins at midnight UTC.",
                limits.invitations_per_day
            ),
            wait,
        ),
    }
}
