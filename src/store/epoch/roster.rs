//! Compares an announced roster with the users' cards.

use parlance_wire::id::UserId;
use sqlx::PgConnection;

use super::begin::NewEpoch;
use crate::store::error::Result;

/// Returns `true` if an announced roster is that of the members with their newest cards, or with
/// the RSA keys of those who have none (docs/e2ee.md, Epochs).
///
/// A card that is published at the same time may or may not count. Clients accept both: the roster
/// with the previous card, and the one with the new card.
pub(in crate::store) async fn is_true(c: &mut PgConnection, epoch: &NewEpoch<'_>) -> Result<bool> {
    let members: Vec<UserId> = epoch.members.iter().copied().collect();
    let roster = sqlx::query_scalar!(
        r#"
        select sha256(coalesce(string_agg(uuid_send(u.user_id) || sha256(coalesce(
            (select convert_to(d.card, 'UTF8') from cards d where d.user_id = u.user_id order by d.n desc limit 1),
            decode(u.public_key, 'base64')
        )), '' order by u.user_id), '')) as "roster!"
        from users u where u.user_id = any($1)
        "#,
        &members as _,
    )
    .fetch_one(c)
    .await?;
    Ok(roster == epoch.signed.announcement.roster().as_bytes())
}
