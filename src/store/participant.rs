//! Participants of conversations, and the properties that each has set for themselves.

use super::{Db, conversation::conversation_rows, error::Result};
use crate::store::rows::ConversationRow;
use parlance_wire::{
    chain::Chain,
    id::{ConversationId, MessageId, ReportId, UserId},
    list::ListMark,
    text::{Color, HideId, Instance},
    time::Timestamp,
};

/// A change to a participant's properties.
#[derive(Debug, Clone)]
pub(crate) enum Property {
    Favorite(bool),
    Muted(bool),
    /// Hidden until the instance changes.
    HiddenIn(HideId),
    /// Hidden for good.
    Hidden,
    /// Not hidden in either way.
    Shown,
    /// The background color.
    Color(Color),
}

/// Makes a change for a participant. Returns the conversation as they then see it, in the same
/// statement. Idempotent. Returns `None` if there is no such conversation for this user.
pub(crate) async fn set_property(
    db: &Db,
    conversation: ConversationId,
    user: UserId,
    change: &Property,
    now: Timestamp,
) -> Result<Option<ConversationRow>> {
    // `None` leaves a column as it is.
    let (mut favorite, mut muted, mut hidden, mut hide_id, mut color) =
        (None, None, None, None, None);
    match change {
        Property::Favorite(on) => favorite = Some(*on),
        Property::Muted(on) => muted = Some(*on),
        Property::Hidden => hidden = Some(true),
        Property::HiddenIn(id) => hide_id = Some(id.as_str()),
        Property::Shown => (hidden, hide_id) = (Some(false), Some("")),
        Property::Color(chosen) => color = Some(chosen.as_str()),
    }
    db.run(async |c| {
        // Once set, a time stays what it was: a retry changes nothing. The user is locked first: if that
        // waits for their deletion, nothing is written into the row that it has blanked.
        conversation_rows!(
            "
            with living as materialized (
                select user_id from users where user_id = $2 and deleted_at is null for key share
            )
            update participants p
            set favorite_at = case when $3::bool is null then p.favorite_at when $3 then coalesce(p.favorite_at, $8) end,
                muted_at = case when $4::bool is null then p.muted_at when $4 then coalesce(p.muted_at, $8) end,
                hidden_at = case when $5::bool is null then p.hidden_at when $5 then coalesce(p.hidden_at, $8) end,
                hide_id = coalesce($6, p.hide_id),
                color = coalesce($7, p.color)
            from living, conversations c
            where p.conversation_id = $1 and p.user_id = living.user_id and c.conversation_id = $1
            returning",
            group of "$1",
            "",
            conversation as _,
            user as _,
            favorite,
            muted,
            hidden,
            hide_id,
            color,
            now as _,
        )
        .fetch_optional(c)
        .await
    })
    .await
}

/// All participants of a conversation. Returns `None` if there is no such conversation for this
/// user.
pub(crate) async fn everyone_with(
    db: &Db,
    conversation: ConversationId,
    user: UserId,
) -> Result<Option<Vec<UserId>>> {
    let everyone = db
        .run(async |c| {
            // An aggregate always returns a row: null, if the user does not take part.
            sqlx::query_scalar!(
                r#"select array_agg(o.user_id) as "everyone: Vec<UserId>" from participants o
                where o.conversation_id = $1
                    and exists (select from participants p where p.conversation_id = $1 and p.user_id = $2)"#,
                conversation as _,
                user as _,
            )
            .fetch_one(c)
            .await
        })
        .await?;
    Ok(everyone)
}

/// The others who are notified that a user is typing. In a direct conversation, that excludes one
/// who has blocked the user or is no longer their friend. Returns `None` if the user does not take
/// part.
pub(crate) async fn who_see_typing(
    db: &Db,
    conversation: ConversationId,
    user: UserId,
) -> Result<Option<Vec<UserId>>> {
    let others = db
        .run(async |c| {
            sqlx::query_scalar!(
                r#"select array(
                    select o.user_id from participants o
                    where o.conversation_id = $1 and o.user_id <> $2
                        and (o.peer_id is null or not o.is_ended and not exists (
                            select from blocks b where b.user_id = o.user_id and b.blocked_id = $2
                        ))
                ) as "others!: Vec<UserId>"
                from participants p where p.conversation_id = $1 and p.user_id = $2"#,
                conversation as _,
                user as _,
            )
            .fetch_optional(c)
            .await
        })
        .await?;
    Ok(others)
}

/// Returns `true` if the other participant of a direct conversation is not notified of the user's
/// actions there, because they have blocked the user or the friendship has ended.
pub(crate) async fn is_silent(db: &Db, conversation: ConversationId, user: UserId) -> Result<bool> {
    db.run(async |c| {
        sqlx::query_scalar!(
            r#"select exists (
                select from participants p
                where p.conversation_id = $1 and p.user_id = $2 and (p.is_ended or exists (
                    select from blocks b where b.user_id = p.peer_id and b.blocked_id = $2
                ))
            ) as "silent!""#,
            conversation as _,
            user as _,
        )
        .fetch_one(c)
        .await
    })
    .await
}

/// The conversations that a user has hidden for good.
pub(crate) async fn hidden_by(db: &Db, user: UserId) -> Result<Vec<ConversationId>> {
    db.run(async |c| {
        sqlx::query_scalar!(
            r#"select conversation_id as "id: ConversationId" from participants
        where user_id = $1 and hidden_at is not null order by conversation_id"#,
            user as _,
        )
        .fetch_all(c)
        .await
    })
    .await
}
