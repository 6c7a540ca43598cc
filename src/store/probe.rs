//! Whether the database takes writes: one that can be read may be read-only, have a full disk, or lack what a statement calls.

use sqlx::Connection;
use uuid::Uuid;

use super::Db;

/// SQLSTATEs, or classes of them, that say that nothing can be written, whatever it is; and what a person is told.
const CAUSES: [(&str, &str); 5] = [
    ("25006", "the database is read-only"),
    ("42501", "the role may not write"),
    ("53", "the database has no room"),
    ("57P", "the database is stopping, or was stopped"),
    ("58", "the database cannot read or write its files"),
];

/// Stores a message and takes it back, as everything that storing one needs is needed for it; and writes one small
/// thing down for good, which the disk has to take.
///
/// # Errors
/// What the database said.
pub async fn write(db: &Db, node: Uuid) -> sqlx::Result<()> {
    let nowhere = Uuid::new_v4();
    db.run(async |c| {
        let mut tx = c.begin().await?;
        let stored = sqlx::query!(
            "insert into messages (conversation_id, seq, message_id, instance, user_id, station_id, type, created_at, valid_until, data, chain)
            select $1, 1, $1, '', $1, $1, 'Probe', now(), now(), '', chain(chain_beginning($1, ''), 1::bigint, $1, sha256(''))",
            nowhere,
        )
        .execute(&mut *tx)
        .await;
        tx.rollback().await?;
        stored?;
        sqlx::query!("update nodes set alive_until = alive_until where node_id = $1", node).execute(c).await?;
        Ok(())
    })
    .await
}

/// Why writes fail, in words for a person: no SQL, no names. Returns `None` when the error may be about this one write
/// alone, its content or its lock.
#[must_use]
pub fn cause(error: &sqlx::Error) -> Option<String> {
    let Some(code) = error.as_database_error().and_then(sqlx::error::DatabaseError::code) else {
        return Some("the database is away".into());
    };
    if let Some((_, cause)) = CAUSES.iter().find(|(class, _)| code.starts_with(class)) {
        return Some((*cause).into());
    }
    let is_about_it = ["21", "22", "23", "40", "44", "54", "55P03", "57014"].iter().any(|class| code.starts_with(class));
    (!is_about_it).then(|| format!("the database refuses them (SQLSTATE {code})"))
}
