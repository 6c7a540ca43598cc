//! The doctor checks invariants of the tables as a whole, beside a running server, and repairs what
//! can be repaired without losing anything.

use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgQueryResult};

use super::{
    Db,
    audit::{self, Actor, Change},
    key_log, list,
};
use parlance_wire::time::Timestamp;

/// An invariant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The numbers of a conversation's rows have no holes, and end at the counter.
    Dense,
    /// A conversation refers to its newest message and its newest report.
    HistoryHead,
    /// Exactly the rows after the last `clear` have the current instance.
    Instance,
    /// Each message and each report belongs to an existing conversation.
    Orphan,
    /// Each report is about an existing message, under the right id.
    Report,
    /// A direct conversation has two participants, who refer to each other, and an id that is
    /// derived from theirs.
    Direct,
    /// A group with participants has an admin.
    Admin,
    /// An invitation is to a group with participants, and not for one of them.
    Invitation,
    /// Each message's chain follows from the previous one, and the conversation's chain is the
    /// newest one.
    Chain,
    /// A user's cards follow each other, and each has its entry in the key log.
    Cards,
    /// The key log has no holes, and its head matches its entries.
    KeyLog,
    /// A conversation's epochs follow each other, and all secrets belong to participants.
    Epochs,
    /// A station's credential exists, or was not recorded yet.
    Station,
    /// Nobody has viewed more than a conversation contains.
    Viewed,
    /// Files have the uploaded bytes, belong to messages, and are counted correctly.
    Files,
    /// A user's messages are counted correctly.
    Usage,
    /// Each line of the audit log follows from the previous one.
    Audit,
    /// Every index is valid.
    Index,
}

impl Rule {
    /// All rules.
    pub const ALL: [Self; 18] = [
        Self::Dense,
        Self::HistoryHead,
        Self::Instance,
        Self::Orphan,
        Self::Report,
        Self::Direct,
        Self::Admin,
        Self::Invitation,
        Self::Chain,
        Self::Cards,
        Self::KeyLog,
        Self::Epochs,
        Self::Station,
        Self::Viewed,
        Self::Files,
        Self::Usage,
        Self::Audit,
        Self::Index,
    ];

    /// Its name in what operators read, and in JSON. It stays when the rule is renamed here.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::HistoryHead => "newest",
            Self::Instance => "instance",
            Self::Orphan => "orphan",
            Self::Report => "report",
            Self::Direct => "two",
            Self::Admin => "admin",
            Self::Invitation => "invitation",
            Self::Chain => "chain",
            Self::Cards => "cards",
            Self::KeyLog => "keylog",
            Self::Epochs => "epochs",
            Self::Station => "stations",
            Self::Viewed => "viewed",
            Self::Files => "files",
            Self::Usage => "usage",
            Self::Audit => "audit",
            Self::Index => "index",
        }
    }

    /// The consequence of a violation, for operators.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Dense => {
                "row numbers are missing or duplicated: rows were deleted or written outside the server; restore a backup"
            }
            Self::HistoryHead => {
                "a list shows another message as the newest than there is; --repair fixes it"
            }
            Self::Instance => {
                "rows of an earlier instance are shown, or rows of the current one hidden; restore a backup"
            }
            Self::Orphan => {
                "rows that no conversation leads to; nobody sees them; restore a backup, or delete them"
            }
            Self::Report => {
                "a report about a message that is not there; messages were deleted outside the server"
            }
            Self::Direct => {
                "a conversation that one of the two does not see, or that has the wrong id; --repair names the other one where it is clear"
            }
            Self::Admin => "a group without an admin; --repair makes its longest member its admin",
            Self::Invitation => "an invitation that leads nowhere; --repair deletes it",
            Self::Chain => {
                "a message was changed, dropped or invented outside the server; clients see it too; restore a backup"
            }
            Self::Cards => {
                "a card was changed, dropped or invented outside the server; clients see it too; restore a backup"
            }
            Self::KeyLog => {
                "the key log was changed outside the server; clients that followed it see it too; restore a backup"
            }
            Self::Epochs => {
                "an epoch was changed, dropped or invented outside the server, or someone has a secret who should not; clients refuse it; restore a backup"
            }
            Self::Station => {
                "a station whose key was revoked can still sign; end it with `user stations --forget`"
            }
            Self::Viewed => "messages that are not viewed are not counted; --repair fixes it",
            Self::Files => {
                "records of a file were changed, dropped or left over outside the server; clients refuse what was changed: restore a backup; --repair deletes what is left over, and counts again"
            }
            Self::Usage => {
                "what a user has stored was counted wrong, so that they may store too much or too little; --repair counts again"
            }
            Self::Audit => {
                "a line of the audit log was changed, dropped or invented outside the server; compare with an older backup"
            }
            Self::Index => {
                "an index that PostgreSQL does not use: reads are slow, or a constraint does not hold; run reindex"
            }
        }
    }
}

/// A violated rule.
#[derive(Debug)]
pub struct Finding {
    /// The violated rule.
    pub rule: Rule,
    /// Number of violations.
    pub count: i64,
    /// One of them.
    pub example: String,
}

/// Checks all tables in one snapshot, so that a server may run meanwhile.
pub async fn examine(db: &Db) -> sqlx::Result<Vec<Finding>> {
    let mut connection = db.maintenance_options().connect().await?;
    let mut tx = connection.begin().await?;
    // Rules compare tables, so all statements must see the same moment.
    sqlx::raw_sql("set transaction isolation level repeatable read read only")
        .execute(&mut *tx)
        .await?;
    // Never committed, as it only reads; it ends with its connection.
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
        Rule::Cards => check!("src/store/sql/doctor/cards.sql"),
        Rule::KeyLog => key_log::check(c).await,
        Rule::Epochs => check!("src/store/sql/doctor/epochs.sql"),
        Rule::Station => check!("src/store/sql/doctor/station.sql"),
        Rule::Viewed => check!("src/store/sql/doctor/viewed.sql"),
        Rule::Files => check!("src/store/sql/doctor/files.sql"),
        Rule::Usage => check!("src/store/sql/doctor/usage.sql"),
        Rule::Audit => audit::check(c).await,
        Rule::Index => check!("src/store/sql/doctor/index.sql"),
    }
}

/// Repairs what can be repaired without losing anything, in one transaction with a line in the
/// audit log. Returns the number of changed rows.
pub async fn repair(db: &Db, by: &Actor, now: Timestamp) -> sqlx::Result<u64> {
    let mut connection = db.maintenance_options().connect().await?;
    let mut tx = connection.begin().await?;
    // Readers continue, writers wait. The rows themselves are taken as correct; references to the
    // newest follow from them.
    sqlx::raw_sql(
        "lock table conversations, participants, invitations, files, gone_files, file_usage, file_objects in share row exclusive mode",
    )
    .execute(&mut *tx)
    .await?;
    // If reports were deleted with expired messages, the newest may have been one of them, and its
    // id stays. Holes in the numbers and broken links are not repaired: hiding them would hide a
    // loss.
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
    list::end_era(&mut tx).await?;
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
    let viewed = sqlx::query!(
        "update participants p
        set viewed_seq = c.last_seq
        from conversations c
        where c.conversation_id = p.conversation_id and p.viewed_seq > c.last_seq"
    )
    .execute(&mut *tx)
    .await?;
    let leftover = sqlx::query!(
        "delete from file_records r
        where not exists (select from files f where f.file_key = r.file_key)
            and not exists (select from gone_files g where g.file_key = r.file_key)"
    )
    .execute(&mut *tx)
    .await?;
    // Their bytes are then deleted in the background.
    let objects = sqlx::query!(
        "update file_objects o set state = 'gone'
        where state = 'stored'
            and not exists (select from file_records r where r.file_key = o.file_key and r.object_id = o.object_id)
            and not exists (select from gone_files g where g.file_key = o.file_key)"
    )
    .execute(&mut *tx)
    .await?;
    let counted = sqlx::query!(
        "with counted as (
            select user_id, sum(file_cost(size))::bigint as bytes
            from (select user_id, size from files union all select user_id, size from gone_files) f group by user_id
        )
        insert into file_usage (user_id, bytes)
        select user_id, coalesce(c.bytes, 0) from file_usage u full join counted c using (user_id)
        where coalesce(u.bytes, 0) <> coalesce(c.bytes, 0)
        on conflict on constraint file_usage_key do update set bytes = excluded.bytes"
    )
    .execute(&mut *tx)
    .await?;
    // The difference, added up like any other: messages may be deleted meanwhile, as they are not locked.
    let stored = sqlx::query!(
        "insert into usage_changes (user_ids, bytes)
        select array[user_id], array[sum(bytes)::bigint]
        from (
            select user_id, bytes from stored_bytes
            union all select user_id, -bytes from usage
            union all select user_id, -bytes from usage_change
        ) m
        group by user_id
        having sum(bytes) <> 0"
    )
    .execute(&mut *tx)
    .await?;
    let repaired: u64 = [
        newest,
        peers,
        admins,
        invitations,
        viewed,
        leftover,
        objects,
        counted,
        stored,
    ]
    .iter()
    .map(PgQueryResult::rows_affected)
    .sum();
    if repaired > 0 {
        let details = [("rows", u64::to_string(&repaired))];
        audit::append(&mut tx, by, Change::DoctorRepair, "", details, now).await?;
    }
    tx.commit().await?;
    Ok(repaired)
}
