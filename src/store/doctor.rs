//! The doctor: checks what must hold of the tables as a whole, beside a running server, and repairs what can be
//! repaired without losing anything.

use sqlx::{ConnectOptions, Connection, PgConnection};

use super::Db;

/// Something that must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The numbers of a conversation's rows have no holes, and end where the counter stands.
    Dense,
    /// A conversation names its newest message and its newest report.
    HistoryHead,
    /// The rows after the last `clear`, and only they, name the current instance.
    Instance,
    /// Each message and each report is in a conversation that is there.
    Orphan,
    /// Each report is about a message that is there, under the id that it names.
    Report,
    /// A direct conversation has two participants, who name each other, and the id that follows from theirs.
    Direct,
    /// A group that has participants has an admin.
    Admin,
    /// An invitation is to a group that someone is in, and not for one who is in it.
    Invitation,
    /// Each message's chain follows from the one before it, and the conversation's is the newest one's.
    Chain,
    /// Every index is valid.
    Index,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Dense,
        Self::HistoryHead,
        Self::Instance,
        Self::Orphan,
        Self::Report,
        Self::Direct,
        Self::Admin,
        Self::Invitation,
        Self::Chain,
        Self::Index,
    ];

    /// What it means if it does not hold, for an operator.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Dense => {
                "numbers are missing or too many: rows were deleted or written past the server; restore a backup"
            }
            Self::HistoryHead => {
                "a list shows another message as the newest than there is; --repair puts it right"
            }
            Self::Instance => {
                "rows of an earlier instance are shown, or rows of the current one hidden; restore a backup"
            }
            Self::Orphan => {
                "rows that no conversation leads to; nobody sees them; restore a backup, or delete them"
            }
            Self::Report => {
                "a report about a message that is not there; messages were deleted past the server"
            }
            Self::Direct => {
                "a conversation that one of the two does not see, or that has the wrong id; --repair names the other one where it is clear"
            }
            Self::Admin => {
                "a group that nobody can run; --repair makes its longest member its admin"
            }
            Self::Invitation => "an invitation that leads nowhere; --repair deletes it",
            Self::Chain => {
                "a message was changed, dropped or invented past the server; clients see it too; restore a backup"
            }
            Self::Index => {
                "an index that PostgreSQL does not use: reads are slow, or a constraint does not hold; run reindex"
            }
        }
    }
}

/// Where a rule does not hold.
#[derive(Debug)]
pub struct Finding {
    /// The rule that does not hold.
    pub rule: Rule,
    /// In how many places.
    pub count: i64,
    /// One of them.
    pub example: String,
}

/// Checks all tables, in one snapshot, so that a server may run meanwhile.
pub async fn examine(db: &Db) -> sqlx::Result<Vec<Finding>> {
    let mut connection = db.maintenance_options().connect().await?;
    let mut tx = connection.begin().await?;
    // Rules compare tables: each statement must see the same moment.
    sqlx::raw_sql("set transaction isolation level repeatable read read only")
        .execute(&mut *tx)
        .await?;
    let mut findings = vec![];
    for rule in Rule::ALL {
        let (count, example) = check(&mut tx, rule).await?;
        if let Some(example) = example.filter(|_| count > 0) {
            findings.push(Finding {
                rule,
                count,
                example,
            });
        }
    }
    Ok(findings)
}

async fn check(c: &mut PgConnection, rule: Rule) -> sqlx::Result<(i64, Option<String>)> {
    macro_rules! check {
        ($file:literal) => {{
            let row = sqlx::query_file!($file).fetch_one(c).await?;
            Ok((row.count, row.example))
        }};
    }
    match rule {
        Rule::Dense => check!("src/store/sql/doctor/dense.sql"),
        Rule::HistoryHead => check!("src/store/sql/doctor/head.sql"),
        Rule::Instance => check!("src/store/sql/doctor/instance.sql"),
        Rule::Orphan => check!("src/store/sql/doctor/orphan.sql"),
        Rule::Report => check!("src/store/sql/doctor/report.sql"),
        Rule::Direct => check!("src/store/sql/doctor/direct.sql"),
        Rule::Admin => check!("src/store/sql/doctor/admin.sql"),
        Rule::Invitation => check!("src/store/sql/doctor/invitation.sql"),
        Rule::Chain => check!("src/store/sql/doctor/chain.sql"),
        Rule::Index => check!("src/store/sql/doctor/index.sql"),
    }
}

/// Repairs what can be repaired without losing anything, in one transaction. Returns how many rows it changed.
pub async fn repair(db: &Db) -> sqlx::Result<u64> {
    let mut connection = db.maintenance_options().connect().await?;
    let mut tx = connection.begin().await?;
    // Readers go on; writers wait. The rows are right by definition: what names the newest follows from them.
    sqlx::raw_sql(
        "lock table conversations, participants, invitations in share row exclusive mode",
    )
    .execute(&mut *tx)
    .await?;
    let newest = sqlx::query!(
        "update conversations c
        set last_message_id = n.message_id, last_message_seq = n.message_seq, last_report_id = n.report_id
        from (
            select c.conversation_id,
                   (select m.message_id from transcript m
                       where m.conversation_id = c.conversation_id and m.seq > c.cleared_seq order by m.seq desc limit 1) as message_id,
                   coalesce((select max(m.seq) from transcript m
                       where m.conversation_id = c.conversation_id and m.seq > c.cleared_seq), 0) as message_seq,
                   case when exists (
                       select from expired_messages e
                       where e.conversation_id = c.conversation_id and e.seq > c.cleared_seq and e.reports > 0
                   ) then c.last_report_id else
                       (select r.report_id from reports r
                           where r.conversation_id = c.conversation_id and r.seq > c.cleared_seq order by r.seq desc limit 1)
                   end as report_id
            from conversations c
        ) n
        where c.conversation_id = n.conversation_id
            and (c.last_message_id is distinct from n.message_id or c.last_message_seq <> n.message_seq
                or c.last_report_id is distinct from n.report_id)"
    )
    .execute(&mut *tx)
    .await?;
    let peers = sqlx::query!(
        "update participants p
        set peer_id = o.user_id
        from participants o, conversations c
        where o.conversation_id = p.conversation_id and o.user_id <> p.user_id
            and c.conversation_id = p.conversation_id and not c.is_group
            and p.peer_id is distinct from o.user_id
            and (select count(*) from participants a where a.conversation_id = p.conversation_id) = 2"
    )
    .execute(&mut *tx)
    .await?;
    let admins = sqlx::query!(
        "update participants p
        set role = 'admin'
        from (
            select distinct on (conversation_id) conversation_id, user_id
            from participants join conversations c using (conversation_id)
            where c.is_group and not exists (
                select from participants a where a.conversation_id = c.conversation_id and a.role = 'admin'
            )
            order by conversation_id, joined_at, user_id
        ) longest
        where p.conversation_id = longest.conversation_id and p.user_id = longest.user_id"
    )
    .execute(&mut *tx)
    .await?;
    let invitations = sqlx::query!(
        "delete from invitations i
        using conversations c
        where c.conversation_id = i.conversation_id and (
            not c.is_group
            or not exists (select from participants p where p.conversation_id = i.conversation_id)
            or exists (select from participants p where p.conversation_id = i.conversation_id and p.user_id = i.user_id)
        )"
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok([newest, peers, admins, invitations]
        .iter()
        .map(sqlx::postgres::PgQueryResult::rows_affected)
        .sum())
}
