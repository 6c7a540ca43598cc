//! What must hold of the tables, whatever happened to them: looked at as a whole, beside a running server.

use sqlx::{ConnectOptions, Connection, PgConnection};

use super::Db;

/// Something that must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The numbers of a conversation's rows have no holes, and end where the counter stands.
    Dense,
    /// A conversation names its newest message and its newest report.
    HistoryHead,
    /// The rows of the present life, and only they, name the present instance.
    Instance,
    /// Each message and each report is in a conversation that is there.
    Orphan,
    /// Each report is about a message that is there, under the id that it names.
    Report,
    /// A conversation of two has two participants, who name each other, and the id that follows from them.
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
                "rows of an earlier life are shown, or rows of this one hidden; restore a backup"
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

/// Looks at all tables, in one snapshot, so that a server may run meanwhile.
pub async fn examine(db: &Db) -> sqlx::Result<Vec<Finding>> {
    let mut connection = db.maintenance_options().connect().await?;
    let mut tx = connection.begin().await?;
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
        ($query:literal) => {{
            let row = sqlx::query!($query).fetch_one(c).await?;
            Ok((row.count, row.example))
        }};
    }
    match rule {
        Rule::Dense => check!(
            r#"
            with rows as (
                -- Reports go with the message that they are about: how many is written down there.
                select conversation_id, count(*) + sum(reports_gone) as found, max(seq) as newest, sum(reports_gone) as gone
                from (
                    select conversation_id, seq, reports_gone from transcript
                    union all select conversation_id, seq, 0 from reports
                ) r
                join conversations c using (conversation_id)
                -- What a clear made unreachable is being deleted, in any order.
                where r.seq > c.cleared_seq
                group by conversation_id
            ), wrong as (
                select format('conversation %s has %s rows up to number %s, where %s to %s are counted', c.conversation_id,
                              coalesce(found, 0), coalesce(newest, 0), c.cleared_seq + 1, c.last_seq) as what
                from conversations c
                left join rows using (conversation_id)
                where coalesce(found, 0) <> c.last_seq - c.cleared_seq
                    or newest > c.last_seq or newest < c.last_seq and gone = 0
            )
            select count(*) as "count!", min(what) as example from wrong
            "#
        ),
        Rule::HistoryHead => check!(
            r#"
            with wrong as (
                select format('conversation %s', c.conversation_id) as what
                from conversations c
                where c.last_message_id is distinct from (
                        select m.message_id from transcript m
                        where m.conversation_id = c.conversation_id and m.seq > c.cleared_seq order by m.seq desc limit 1
                    )
                    or c.last_report_id is distinct from (
                        select r.report_id from reports r
                        where r.conversation_id = c.conversation_id and r.seq > c.cleared_seq order by r.seq desc limit 1
                    )
                    -- Where reports are gone, the newest may be one of them.
                    and not exists (
                        select from expired_messages e
                        where e.conversation_id = c.conversation_id and e.seq > c.cleared_seq and e.reports > 0
                    )
            )
            select count(*) as "count!", min(what) as example from wrong
            "#
        ),
        Rule::Instance => check!(
            r#"
            select count(*) as "count!", min(format('message %s of conversation %s', m.seq, m.conversation_id)) as example
            from transcript m
            join conversations c using (conversation_id)
            where (m.seq > c.cleared_seq) <> (m.instance = c.instance)
            "#
        ),
        Rule::Orphan => check!(
            r#"
            with rows as (
                select conversation_id, format('message %s of conversation %s', seq, conversation_id) as what from transcript
                union all select conversation_id, format('report %s of conversation %s', seq, conversation_id) from reports
            )
            select count(*) as "count!", min(what) as example
            from rows where not exists (select from conversations c where c.conversation_id = rows.conversation_id)
            "#
        ),
        Rule::Report => check!(
            r#"
            select count(*) as "count!", min(format('report %s of conversation %s', r.seq, r.conversation_id)) as example
            from reports r
            join conversations c using (conversation_id)
            where r.seq > c.cleared_seq and not exists (
                select from transcript m
                where m.conversation_id = r.conversation_id and m.seq = r.message_seq and m.message_id = r.message_id
            )
            "#
        ),
        Rule::Direct => check!(
            r#"
            with direct as (
                select c.conversation_id, count(p.user_id) as participants,
                       array_agg(replace(p.user_id::text, '-', '') order by p.user_id) as users,
                       bool_and(p.peer_id is not null and exists (
                           select from participants o where o.conversation_id = c.conversation_id and o.user_id = p.peer_id
                       ) and p.peer_id <> p.user_id) as know_each_other
                from conversations c
                left join participants p using (conversation_id)
                where not c.is_group
                group by c.conversation_id
            )
            select count(*) as "count!", min(format('conversation %s', conversation_id)) as example
            from direct
            where participants <> 2 or not know_each_other
                or replace(conversation_id::text, '-', '') <> md5(users[1] || ';' || users[2])
            "#
        ),
        Rule::Admin => check!(
            r#"
            select count(*) as "count!", min(format('group %s', conversation_id)) as example
            from (
                select conversation_id from conversations c join participants p using (conversation_id)
                where c.is_group group by conversation_id having not bool_or(p.role = 'admin')
            ) wrong
            "#
        ),
        Rule::Invitation => check!(
            r#"
            select count(*) as "count!", min(format('invitation of user %s to conversation %s', i.user_id, i.conversation_id)) as example
            from invitations i
            join conversations c using (conversation_id)
            where not c.is_group
                or not exists (select from participants p where p.conversation_id = i.conversation_id)
                or exists (select from participants p where p.conversation_id = i.conversation_id and p.user_id = i.user_id)
            "#
        ),
        Rule::Chain => check!(
            r#"
            with links as (
                select t.conversation_id, t.seq, t.chain, c.chain as head,
                       lag(t.chain, 1, chain_beginning(c.conversation_id, c.instance)) over same
                           || int8send(t.seq) || uuid_send(t.message_id) || t.data_hash as linked,
                       lead(t.seq) over same is null as is_last
                from transcript t
                join conversations c using (conversation_id)
                where t.seq > c.cleared_seq
                window same as (partition by t.conversation_id order by t.seq)
            ), wrong as (
                select format('message %s of conversation %s', seq, conversation_id) as what
                from links where chain <> sha256(linked) or is_last and chain is distinct from head
                union all
                select format('conversation %s', c.conversation_id)
                from conversations c
                where c.chain is not null and not exists (
                    select from transcript t where t.conversation_id = c.conversation_id and t.seq > c.cleared_seq
                )
            )
            select count(*) as "count!", min(what) as example from wrong
            "#
        ),
        Rule::Index => check!(
            r#"
            select count(*) as "count!", min(indexrelid::regclass::text) as example
            from pg_index where not indisvalid and indrelid in (select oid from pg_class where relnamespace = 'public'::regnamespace)
            "#
        ),
    }
}

/// Puts right what can be put right without losing anything, in one transaction. How many rows it changed.
pub async fn repair(db: &Db) -> sqlx::Result<u64> {
    let mut connection = db.maintenance_options().connect().await?;
    let mut tx = connection.begin().await?;
    // Readers go on; writers wait. The truth is in the rows: what names the newest follows from them.
    sqlx::raw_sql(
        "lock table conversations, participants, invitations in share row exclusive mode",
    )
    .execute(&mut *tx)
    .await?;
    let newest = sqlx::query!(
        "update conversations c
        set last_message_id = n.message_id, last_report_id = n.report_id
        from (
            select c.conversation_id,
                   (select m.message_id from transcript m
                       where m.conversation_id = c.conversation_id and m.seq > c.cleared_seq order by m.seq desc limit 1) as message_id,
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
            and (c.last_message_id is distinct from n.message_id or c.last_report_id is distinct from n.report_id)"
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
