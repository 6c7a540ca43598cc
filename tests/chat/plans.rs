//! Every hot query uses an index, whatever the tables contain: checked on filled tables, with the
//! plan that a prepared statement ends up with.

mod files;
mod groups;
mod keys;
mod limits;
mod list;
mod sessions;

use parlance::store::Db;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, Row};

use crate::world::{World, database, eventually, file};

/// The statement whose text contains all of these, from the query data of the build.
pub(crate) fn statement(marks: &[&str]) -> String {
    let mut found = vec![];
    for entry in std::fs::read_dir(file(".sqlx")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let query: serde_json::Value = serde_json::from_str(&text).unwrap();
        let query = query["query"].as_str().unwrap().to_owned();
        if marks.iter().all(|mark| query.contains(mark)) {
            found.push(query);
        }
    }
    assert_eq!(found.len(), 1, "{marks:?} name {} statements", found.len());
    found.remove(0)
}

const USER: &str = "md5('u1')::uuid";
const CONVERSATION: &str = "md5('c1')::uuid";
const GROUP: &str = "md5('g1')::uuid";

/// A connection with the server's session settings.
async fn connection() -> PgConnection {
    Db::new(database().await, 1)
        .options()
        .connect()
        .await
        .unwrap()
}

async fn fill(db: &mut PgConnection) {
    // A request's timeouts are too short for this on a slow disk, and while autovacuum analyzes the
    // same tables.
    sqlx::raw_sql(
        "set statement_timeout = 0; set lock_timeout = 0;
        insert into users (user_id, email, full_name, nick, public_key, encrypted_private_key, created_at)
        select md5('u' || n)::uuid, n, n, n, '', '', now() from generate_series(0, 1999) n;
        insert into conversations (conversation_id, is_group, instance, last_seq, last_access_at, created_at)
        select md5('c' || n)::uuid, false, 'AAAAAAAAAA', 10, now(), now() from generate_series(0, 9999) n;
        insert into participants (conversation_id, user_id, peer_id, secret, display_name, role, joined_at)
        select md5('c' || n)::uuid, md5('u' || (n + d) % 2000)::uuid, md5('u' || (n + 1 - d) % 2000)::uuid, '', '', 'member', now()
        from generate_series(0, 9999) n, generate_series(0, 1) d;
        insert into messages (conversation_id, seq, message_id, instance, user_id, station_id, type, created_at, valid_until, data, chain)
        select md5('c' || n % 10000)::uuid, 2 * (n / 10000) + 1, md5('m' || n)::uuid, 'AAAAAAAAAA', md5('u1')::uuid, md5('s')::uuid, 'Message', now(), now(), '', ''
        from generate_series(0, 49999) n;
        insert into reports (conversation_id, seq, report_id, message_seq, message_id, user_id, station_id, type, created_at, valid_until)
        select conversation_id, seq + 1, message_id, seq, message_id, user_id, station_id, 'viewed', now(), now() from messages;
        insert into messages (conversation_id, seq, message_id, instance, user_id, station_id, type, created_at, valid_until, data, chain)
        select md5('c1')::uuid, n, md5('h' || n)::uuid, 'AAAAAAAAAA', md5('u1')::uuid, md5('s')::uuid, 'Message', now(), now(), '', ''
        from generate_series(11, 5000) n;
        insert into expired_messages select md5('e' || n % 10000)::uuid, n / 10000 + 1, md5('e' || n)::uuid, 'AAAAAAAAAA', md5('u1')::uuid, md5('s')::uuid, 'Message', now(), null, now(), '', '', 0
        from generate_series(0, 49999) n;
        update conversations set last_seq = 5000 where conversation_id = md5('c1')::uuid;
        insert into stations select user_id, md5('s' || nick)::uuid, now() from users;
        insert into push_subscriptions select user_id, station_id, '', now(), md5('n')::uuid from stations;
        insert into credentials select sha256(nick::bytea), user_id, '', now() from users;
        insert into friendships select md5('u' || n)::uuid, md5('u' || (n + d) % 2000)::uuid, now() from generate_series(0, 1999) n, unnest(array[1, 1999]) d;
        insert into listeners select user_id, md5('n')::uuid from users;
        insert into conversations (conversation_id, is_group, instance, last_access_at, created_at)
        select md5('g' || n)::uuid, true, 'AAAAAAAAAA', now(), now() from generate_series(0, 1999) n;
        insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
        select md5('g' || n)::uuid, md5('u' || (n + d) % 2000)::uuid, '', '', 'member', now()
        from generate_series(0, 1999) n, generate_series(0, 4) d;
        insert into invitations select md5('g' || n)::uuid, md5('u' || (n + 10 + d) % 2000)::uuid, md5('u' || n)::uuid, '', '', now()
        from generate_series(0, 1999) n, generate_series(0, 4) d;
        insert into departures select md5('g' || n)::uuid, md5('u' || (n + 20) % 2000)::uuid, now(), false from generate_series(0, 1999) n;
        insert into quotas (user_id) select user_id from users;
        insert into cards (user_id, n, card, sign_signature, rsa_signature, log_seq, published_at)
        select md5('u' || n % 2000)::uuid, 1 + n / 2000, '', decode(repeat('00', 64), 'hex'), '', n, now() from generate_series(0, 9999) n;
        insert into key_log select n, sha256((n / 5)::text::bytea) || decode(repeat('00', 40), 'hex') from generate_series(1, 9999) n;
        insert into former_participants select md5('u' || (n + 30) % 2000)::uuid, md5('g' || n)::uuid from generate_series(0, 1999) n;
        insert into epochs select md5('g' || n % 2000)::uuid, 1 + n / 2000, '', decode(repeat('00', 64), 'hex'), '{}', 0, now() from generate_series(0, 9999) n;
        insert into epoch_secrets select p.conversation_id, e.epoch, p.user_id, '' from participants p join epochs e using (conversation_id);
        update conversations set epoch = 5 where is_group;
        insert into blocks select md5('u' || n)::uuid, md5('u' || n - 1)::uuid, now() from generate_series(1, 1999) n;
        analyze;
        reset statement_timeout; reset lock_timeout",
    )
    .execute(db)
    .await
    .unwrap();
}

async fn filled() -> PgConnection {
    let mut db = connection().await;
    fill(&mut db).await;
    db
}

/// The plan of a statement, with these arguments.
async fn plan(db: &mut PgConnection, marks: &[&str], arguments: &str) -> String {
    let query = statement(marks);
    sqlx::raw_sql(AssertSqlSafe(format!("prepare hot as {query}")))
        .execute(&mut *db)
        .await
        .unwrap();
    let call = if arguments.is_empty() {
        "hot".to_owned()
    } else {
        format!("hot({arguments})")
    };
    let plan = sqlx::raw_sql(AssertSqlSafe(format!("explain execute {call}")))
        .fetch_all(&mut *db)
        .await
        .unwrap();
    sqlx::raw_sql("deallocate hot").execute(db).await.unwrap();
    plan.iter()
        .map(|row| row.get::<String, _>(0))
        .collect::<Vec<_>>()
        .join("\n")
}

fn arguments_of_add() -> String {
    let one = |value: &str, of: &str| format!("array[{value}]::{of}[]");
    [
        one(CONVERSATION, "uuid"),
        one("'AAAAAAAAAA'", "text"),
        one(USER, "uuid"),
        one("md5('s')::uuid", "uuid"),
        one("gen_random_uuid()", "uuid"),
        one("'Message'", "text"),
        one("now()", "timestamptz"),
        one("null", "timestamptz"),
        one("now()", "timestamptz"),
        one("true", "bool"),
        one("sha256('')", "bytea"),
        one("1", "int"),
        one("1", "bigint"),
        one("null", "text"),
        one("null", "timestamptz"),
        one("''", "text"),
    ]
    .join(", ")
}

fn arguments_of_report() -> String {
    let one = |value: &str, of: &str| format!("array[{value}]::{of}[]");
    [
        one(CONVERSATION, "uuid"),
        one("'AAAAAAAAAA'", "text"),
        one(USER, "uuid"),
        one("md5('s')::uuid", "uuid"),
        one("'delivered'", "text"),
        one("now()", "timestamptz"),
        one("1, 1", "bigint"),
        one("md5('h2000')::uuid, md5('h2001')::uuid", "uuid"),
        one("gen_random_uuid(), gen_random_uuid()", "uuid"),
    ]
    .join(", ")
}

const ADD: [&str; 2] = ["insert into messages", "for no key update"];
const REPORT: [&str; 1] = ["insert into reports"];
const DOWNLOAD: [&str; 1] = ["order by m.seq limit $8"];
const DOWNLOAD_PARTIAL: [&str; 1] = ["order by m.seq desc limit $8"];

#[tokio::test]
async fn no_hot_query_reads_a_whole_table() {
    let mut db = filled().await;
    let read = format!(
        "{CONVERSATION}, {USER}, 'AAAAAAAAAA', md5('h2000')::uuid, null, md5('m5')::uuid, null, 50, 50"
    );
    for (name, marks, arguments) in [
        (
            "invitations",
            &["u.nick as inviter_nick"][..],
            USER.to_owned(),
        ),
        (
            "invited",
            &["from visible_invitations where conversation_id = $1"],
            GROUP.into(),
        ),
        (
            "put in",
            &["with answered as"],
            format!("{GROUP}, now(), array[{USER}], array[''], array[''], {USER}"),
        ),
        (
            "withdraw hidden",
            &["with hidden as materialized"],
            GROUP.into(),
        ),
        (
            "withdraw",
            &["with gone as materialized", "delete from invitations"],
            format!("{GROUP}, array[{USER}]"),
        ),
        (
            "accept",
            &["with accepted as"],
            format!("{GROUP}, md5('u12')::uuid, now()"),
        ),
        (
            "decline",
            &["using visible_invitations v\n        where"],
            format!("{GROUP}, md5('u12')::uuid"),
        ),
        (
            "quota: lock",
            &["from quotas q where q.user_id = any($1)"],
            format!("array[{USER}]"),
        ),
        (
            "quota: day",
            &["update quotas q"],
            format!("{USER}, 1, 0, 0, 0"),
        ),
        (
            "seen_by",
            &[
                "\"admins?: Vec<UserId>\"\n            from participants p",
                "and p.user_id = $2\n",
                "c.last_access_at as",
            ],
            format!("{CONVERSATION}, {USER}"),
        ),
        (
            "arrange",
            &["update participants p", "c.last_message_id as"],
            format!("{CONVERSATION}, {USER}, true, null, null, null, null, now()"),
        ),
        ("add", &ADD, arguments_of_add()),
        ("download", &DOWNLOAD, read.clone()),
        ("downloadpartial", &DOWNLOAD_PARTIAL, read),
        (
            "newest",
            &["\"instance: Instance\", c.last_seq, c.last_report_id as"],
            format!("{CONVERSATION}, {USER}"),
        ),
        (
            "locate",
            &["r.created_at >= $3"],
            format!("{CONVERSATION}, now(), now(), gen_random_uuid()"),
        ),
        (
            "transcript",
            &["from transcript t\n", "limit $5"],
            format!("{CONVERSATION}, {USER}, 'AAAAAAAAAA', 100, 51"),
        ),
        (
            "nicks",
            &["nick from users where user_id = any"],
            format!("array[{USER}]"),
        ),
        ("report", &REPORT, arguments_of_report()),
        (
            "clear",
            &["cleared_seq = c.last_seq"],
            format!("{CONVERSATION}, {USER}, 'AAAAAAAAAA', 'BBBBBBBBBB'"),
        ),
        (
            "clear: why not",
            &["else 'not_any_more'"],
            format!("{CONVERSATION}, {USER}, 'AAAAAAAAAA'"),
        ),
        (
            "identity",
            &["u.public_key, u.disabled_at"],
            format!("{USER}, md5('s1')::uuid, now()"),
        ),
        (
            "login",
            &["u.*, c.credential_id"],
            format!("sha256('1'), null, {USER}, 100, now(), 'phone', 10, 100"),
        ),
        ("friends", &["'offline' end as"], format!("{USER}, true")),
        ("requests", &["by f.requested_at"], format!("{USER}, 9")),
        (
            "hidden",
            &["hidden_at is not null order by conversation_id"],
            USER.to_owned(),
        ),
        (
            "arrive",
            &["insert into listeners"],
            format!("md5('n')::uuid, array[{USER}], array[1]"),
        ),
        (
            "count sockets",
            &["update listeners l set sockets"],
            format!("md5('n')::uuid, array[{USER}], array[1]"),
        ),
        (
            "leave",
            &["update users u set availability = 'offline'"],
            format!("array[{USER}]"),
        ),
        (
            "everyone_with",
            &["array_agg(o.user_id) as \"everyone"],
            format!("{CONVERSATION}, {USER}"),
        ),
        (
            "availability",
            &["set availability = $2, chosen_availability ="],
            format!("{USER}, 'busy', 'busy'"),
        ),
        (
            "purge: find",
            &["where purged_seq < cleared_seq order by"],
            String::new(),
        ),
        (
            "purge: messages",
            &["delete from messages m using"],
            format!("{CONVERSATION}, 100, 1000"),
        ),
        (
            "purge: expired",
            &["greatest(valid_until, stored_at) >= coalesce"],
            "now() - interval '1 day', null, 1000".into(),
        ),
        (
            "erase",
            &["user_id = $2 and stored_at <= $3"],
            format!("{CONVERSATION}, {USER}, now(), 100, 500"),
        ),
        (
            "export",
            &["as before from (select * from rows"],
            format!("{USER}, {CONVERSATION}, 100"),
        ),
        (
            "purge: remains",
            &["delete from expired_messages e using"],
            format!("{CONVERSATION}, 100, 1000"),
        ),
        (
            "purge: secrets",
            &["delete from epoch_secrets s using"],
            format!("{GROUP}, 100, 1000"),
        ),
        (
            "purge: reports",
            &["delete from reports r using"],
            format!("{CONVERSATION}, 100, 1000"),
        ),
    ] {
        let plan = plan(&mut db, marks, &arguments).await;
        reads_by_index(name, &plan);
        assert!(
            !name.starts_with("purge: find") || plan.contains("conversations_to_purge"),
            "{name}\n{plan}"
        );
    }
}

/// Asserts that a plan reads neither a whole table nor a whole index, except for one that only has
/// what is looked for.
fn reads_by_index(name: &str, plan: &str) {
    assert!(!plan.contains("Seq Scan"), "{name}\n{plan}");
    assert!(plan.contains("Index"), "{name}\n{plan}");
    let lines: Vec<&str> = plan.lines().collect();
    let whole = lines.windows(2).find(|two| {
        two[0].contains("Index") && two[0].contains("Scan ") && !two[1].contains("Index Cond")
    });
    assert!(
        whole.is_none_or(
            |two| two[0].contains("Bitmap Heap") || two[0].contains("conversations_to_purge")
        ),
        "{name}\n{plan}"
    );
}

#[tokio::test]
async fn a_plan_that_was_made_while_the_tables_were_empty_is_good_when_they_are_full() {
    let mut db = connection().await;
    let report = plan(&mut db, &REPORT, &arguments_of_report()).await;
    for key in [
        "(conversation_id = j_1.conversation_id) AND (message_seq = m.seq) AND (user_id = j_1.user_id)",
        "message_id = n_1.message_id",
    ] {
        assert!(
            report
                .lines()
                .any(|line| line.contains("Index Cond") && line.contains(key)),
            "{key}\n{report}"
        );
    }
    let add = plan(&mut db, &ADD, &arguments_of_add()).await;
    // A batch must not be compared with itself, each with each.
    assert!(
        !report.contains("Join Filter") && !add.contains("Join Filter"),
        "{report}\n{add}"
    );
    for key in [
        "(message_id = i_1.message_id) AND (instance = i_1.instance)",
        "(user_id = ($3)[i.place]) AND (conversation_id = i.conversation_id)",
    ] {
        assert!(
            add.lines().any(|line| line.contains("Index Cond")
                && (line.contains(key)
                    || line.contains(
                        "(conversation_id = i.conversation_id) AND (user_id = ($3)[i.place])"
                    ))),
            "{key}\n{add}"
        );
    }
}

#[tokio::test]
async fn a_page_reads_its_own_rows_and_not_the_conversation() {
    let mut db = filled().await;
    for (marks, bound) in [(DOWNLOAD, "from"), (DOWNLOAD_PARTIAL, "before")] {
        let query = statement(&marks);
        sqlx::raw_sql(AssertSqlSafe(format!("prepare page as {query}")))
            .execute(&mut db)
            .await
            .unwrap();
        let explain = format!(
            "explain (analyze, buffers, format json) execute page({CONVERSATION}, {USER}, 'AAAAAAAAAA', md5('h2000')::uuid, null, null, 0, 51, 51)"
        );
        let plan: serde_json::Value = sqlx::raw_sql(AssertSqlSafe(explain))
            .fetch_one(&mut db)
            .await
            .unwrap()
            .get(0);
        let read = plan[0]["Plan"]["Shared Hit Blocks"].as_i64().unwrap()
            + plan[0]["Plan"]["Shared Read Blocks"].as_i64().unwrap();
        // 51 of 5,000 rows, 5 reports, and the index pages.
        assert!(read < 60, "{bound}: {read} blocks");
        sqlx::raw_sql("deallocate page")
            .execute(&mut db)
            .await
            .unwrap();
    }
}

/// The lines of a statement's plan from its lock on, which show what is locked in which order.
async fn locks(db: &mut PgConnection, marks: &[&str], arguments: &str) -> String {
    let plan = plan(db, marks, arguments).await;
    let lines: Vec<&str> = plan.lines().collect();
    let lock = lines
        .iter()
        .position(|line| line.contains("LockRows"))
        .unwrap_or_else(|| panic!("no lock\n{plan}"));
    lines[lock..lines.len().min(lock + 3)].join("\n")
}

#[tokio::test]
async fn batches_lock_their_conversations_in_one_order() {
    // Empty and full, because plans differ.
    for mut db in [connection().await, filled().await] {
        for (name, marks, arguments) in [
            ("add", &ADD[..], arguments_of_add()),
            ("report", &REPORT[..], arguments_of_report()),
        ] {
            let locks = locks(&mut db, marks, &arguments).await;
            let lines: Vec<&str> = locks.lines().map(str::trim).collect();
            // In ascending order of ids, however the planner finds them.
            let is_sorted =
                lines[1].contains("Sort ") && lines[2] == "Sort Key: conversations.conversation_id";
            let is_by_index =
                lines[1].contains("Index Scan using conversations_key on conversations");
            assert!(is_sorted || is_by_index, "{name}\n{locks}");
        }
    }
}

#[tokio::test]
async fn the_updates_that_each_message_and_report_make_stay_heap_only() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    for n in 0..50 {
        let id = ann.adds(&conversation, &n.to_string()).await;
        ben.views(&conversation, &[id]).await.ok();
    }
    // Connections report their statistics when they end.
    world.stop().await;
    let counted = async || -> (i64, i64) {
        let row = sqlx::raw_sql(
            "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'conversations'",
        );
        let row = row.fetch_one(&world.db).await.unwrap();
        (row.get(0), row.get(1))
    };
    eventually("the counts", async || counted().await.0 >= 100).await;
    // With an index on an updated column there would be none; a full page may cost one or two.
    let (updates, heap_only) = counted().await;
    assert!(
        updates == 100 && heap_only >= 90,
        "{heap_only} of {updates}"
    );
}
