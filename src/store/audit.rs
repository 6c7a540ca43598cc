//! The audit log: one line for each administrative change, written in the transaction that makes
//! the change, and chained like a transcript (docs/operating.md), so that altering or removing a
//! line requires altering all later ones.

use std::{collections::BTreeMap, fmt::Display};

use serde::Serialize;
use sqlx::PgConnection;

use super::{Db, error::Result};
use parlance_wire::time::Timestamp;

/// The author of an administrative change.
#[derive(Debug, Clone)]
pub struct Actor {
    /// An operating system's user, or a user of this server.
    pub name: String,
    /// The command line of a host, or a client's address.
    pub origin: String,
}

/// The kind of change. Where there is a command for it, the words are those of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    UserAdd,
    UserRole,
    UserDisable,
    UserEnable,
    UserApikey,
    UserRevoke,
    UserForgetStation,
    UserPasswdReset,
    /// The invitation of a reset was used, and the user has new keys.
    UserReset,
    UserDelete,
    UserExport,
    UserLimits,
    /// The first account was registered, with the link that `serve` printed.
    UserFirst,
    InviteCreate,
    InviteRevoke,
    ConversationDelete,
    FilesMove,
    FilesAdopt,
    DoctorRepair,
}

impl Change {
    /// The word in the log.
    fn as_str(self) -> &'static str {
        match self {
            Self::UserAdd => "user add",
            Self::UserRole => "user role",
            Self::UserDisable => "user disable",
            Self::UserEnable => "user enable",
            Self::UserApikey => "user apikey",
            Self::UserRevoke => "user revoke",
            Self::UserForgetStation => "user stations --forget",
            Self::UserPasswdReset => "user passwd-reset",
            Self::UserReset => "user reset",
            Self::UserDelete => "user delete",
            Self::UserExport => "user export",
            Self::UserLimits => "user limits",
            Self::UserFirst => "user first",
            Self::InviteCreate => "invite",
            Self::InviteRevoke => "invite revoke",
            Self::ConversationDelete => "conversation delete",
            Self::FilesMove => "files move",
            Self::FilesAdopt => "files adopt",
            Self::DoctorRepair => "doctor --repair",
        }
    }
}

/// A line as it is hashed: a JSON object with its keys in this order.
#[derive(Serialize)]
struct Entry<'a> {
    at: Timestamp,
    actor: &'a str,
    origin: &'a str,
    change: &'static str,
    /// The id of the user, invitation or conversation that was changed; empty if there is none.
    subject: &'a str,
    details: BTreeMap<&'static str, String>,
}

/// A line of the log.
#[derive(Debug)]
pub struct Line {
    /// Its number; lines are numbered from 1, without holes.
    pub seq: i64,
    /// A JSON object: `at`, `actor`, `origin`, `change`, `subject`, `details`.
    pub entry: String,
    /// The hash over all lines up to this one, in hex.
    pub chain: String,
}

/// Adds a line in the caller's transaction, so that the line exists if and only if the change does.
pub(super) async fn append(
    c: &mut PgConnection,
    by: &Actor,
    change: Change,
    subject: &(impl Display + ?Sized),
    details: impl IntoIterator<Item = (&'static str, String)>,
    now: Timestamp,
) -> sqlx::Result<()> {
    let subject = subject.to_string();
    let entry = Entry {
        at: now,
        actor: &by.name,
        origin: &by.origin,
        change: change.as_str(),
        subject: &subject,
        details: details.into_iter().collect(),
    };
    let entry = serde_json::to_string(&entry).map_err(|error| sqlx::Error::Encode(error.into()))?;
    // Under the head's lock, so that lines have a single order. The update computes from the row as
    // locked.
    sqlx::query!(
        "with head as (
            update audit_head
            set seq = seq + 1, chain = sha256(chain || int8send(seq + 1) || sha256(convert_to($1, 'UTF8')))
            returning seq, chain
        )
        insert into audit_log (seq, entry, chain) select seq, $1, chain from head",
        entry,
    )
    .execute(c)
    .await?;
    tracing::info!(audit = entry, "administrative change");
    Ok(())
}

/// Adds a line about a change that does not have a single transaction of its own.
pub(crate) async fn record(
    db: &Db,
    by: &Actor,
    change: Change,
    subject: &(impl Display + ?Sized),
    details: impl IntoIterator<Item = (&'static str, String)>,
    now: Timestamp,
) -> Result<()> {
    db.transaction(async |c| {
        append(c, by, change, subject, details, now).await?;
        Ok(super::db::End::Commit(()))
    })
    .await
}

/// The lines after a number, oldest first.
pub(crate) async fn lines(db: &Db, after: i64, limit: i64) -> Result<Vec<Line>> {
    db.run(async |c| {
        sqlx::query_as!(
            Line,
            r#"select seq, entry, encode(chain, 'hex') as "chain!" from audit_log where seq > $1 order by seq limit $2"#,
            after,
            limit,
        )
        .fetch_all(c)
        .await
    })
    .await
}

/// The number and the chain of the newest line, without checking them. Before the first line, the
/// number is 0. Returns `None` if the head was deleted.
pub(crate) async fn head(db: &Db) -> Result<Option<(i64, String)>> {
    let head = db
        .run(async |c| {
            sqlx::query!(r#"select seq, encode(chain, 'hex') as "chain!" from audit_head"#)
                .fetch_optional(c)
                .await
        })
        .await?;
    Ok(head.map(|head| (head.seq, head.chain)))
}

/// The number of faults in the log, and one of them.
pub(super) async fn check(c: &mut PgConnection) -> sqlx::Result<(i64, Option<String>)> {
    let row = sqlx::query_file!("src/store/sql/doctor/audit.sql")
        .fetch_one(c)
        .await?;
    Ok((row.count, row.example))
}

/// A fault in the log, if there is one: a line that is not as it was written.
pub(crate) async fn first_fault(db: &Db) -> Result<Option<String>> {
    db.run(async |c| check(c).await.map(|(_, example)| example))
        .await
}
