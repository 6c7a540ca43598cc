//! How a participant has arranged a conversation in their own list.

use super::Db;
use crate::store::rows::ConversationRow;
use parlance_wire::{
    chain::Chain,
    id::{ConversationId, MessageId, ReportId, UserId},
    text::{Color, HideId, Instance},
    time::Timestamp,
};

/// One change to how a conversation stands in a participant's list.
#[derive(Debug, Clone)]
pub(crate) enum Property {
    /// A favorite, or not.
    Favorite(bool),
    /// Muted, or not.
    Muted(bool),
    /// Hidden until the instance changes.
    HiddenIn(HideId),
    /// Hidden for good.
    Hidden,
    /// Hidden in neither way.
    Shown,
    /// The background colour.
    Color(Color),
}

/// Makes one change for one participant and answers the conversation as they see it then, in one
/// statement. Made twice, it is as if made once. `None`: no such conversation, for this user.
pub(crate) async fn set_property(
    db: &Db,
    conversation: ConversationId,
    user: UserId,
    change: &Property,
    now: Timestamp,
) -> sqlx::Result<Option<ConversationRow>> {
    let favorite = match change {
        Property::Favorite(on) => Some(*on),
        _ => None,
    };
    let muted = match change {
        Property::Muted(on) => Some(*on),
        _ => None,
    };
    let hidden = match change {
        Property::Hidden => Some(true),
        Property::Shown => Some(false),
        _ => None,
    };
    let hide_id = match change {
        Property::HiddenIn(hide_id) => Some(hide_id.as_str()),
        Property::Shown => Some(""),
        _ => None,
    };
    let color = match change {
        Property::Color(color) => Some(color.as_str()),
        _ => None,
    };
    db.run(async |c| {
        sqlx::query_as!(
            ConversationRow,
            r#"
            update participants p
            set favorite_at = case when $3::bool is null then p.favorite_at when $3 then coalesce(p.favorite_at, $8) end,
                muted_at = case when $4::bool is null then p.muted_at when $4 then coalesce(p.muted_at, $8) end,
                hidden_at = case when $5::bool is null then p.hidden_at when $5 then coalesce(p.hidden_at, $8) end,
                hide_id = coalesce($6, p.hide_id),
                color = coalesce($7, p.color)
            from conversations c
            where p.conversation_id = $1 and p.user_id = $2 and c.conversation_id = $1
            returning
                   c.conversation_id as "conversation_id: ConversationId", c.is_group, c.instance as "instance: Instance",
                   c.last_message_id as "last_message_id: MessageId", c.last_report_id as "last_report_id: ReportId",
                   c.chain as "chain: Chain", c.last_access_at as "last_access_at: Timestamp",
                   p.user_id as "user_id: UserId", p.secret, p.display_name,
                   p.muted_at is not null as "is_muted!", p.favorite_at is not null as "is_favorite!",
                   p.hidden_at is not null as "is_hidden!", p.hide_id, p.color,
                   p.peer_id as "peer_id: UserId",
                   case when p.peer_id is null then
                       (select array_agg(o.user_id) from participants o where o.conversation_id = c.conversation_id)
                   end as "group: Vec<UserId>"
            "#,
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

/// Everyone in a conversation. `None`: no such conversation, for this user.
pub(crate) async fn everyone_with(
    db: &Db,
    conversation: ConversationId,
    user: UserId,
) -> sqlx::Result<Option<Vec<UserId>>> {
    let everyone = db
        .run(async |c| {
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

/// The conversations that a user has hidden for good.
pub(crate) async fn hidden_by(db: &Db, user: UserId) -> sqlx::Result<Vec<ConversationId>> {
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
