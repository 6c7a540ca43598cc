//! Every hot query is backed by an index, whatever the tables hold: proved on filled tables, with the
//! plan that a prepared statement ends up with.

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use crate::world::{database, file};

/// The statement whose text holds all of these, from what the build checked.
fn statement(marks: &[&str]) -> String {
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
const TALK: &str = "md5('c1')::uuid";

async fn filled() -> PgConnection {
    let mut db = PgConnection::connect_with(&database().await).await.unwrap();
    sqlx::raw_sql(
        "insert into users (user_id, email, full_name, nick, public_key, encrypted_private_key, created_at)
        select md5('u' || n)::uuid, n, n, n, '', '', now() from generate_series(0, 1999) n;
        insert into conversations (conversation_id, is_group, instance, last_seq, last_access_at, created_at)
        select md5('c' || n)::uuid, false, 'AAAAAAAAAA', 10, now(), now() from generate_series(0, 9999) n;
        insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
        select md5('c' || n)::uuid, md5('u' || (n + d) % 2000)::uuid, '', '', 'member', now()
        from generate_series(0, 9999) n, generate_series(0, 1) d;
        insert into messages (conversation_id, seq, message_id, instance, user_id, station_id, type, created_at, valid_until, data)
        select md5('c' || n % 10000)::uuid, 2 * (n / 10000) + 1, md5('m' || n)::uuid, 'AAAAAAAAAA', md5('u1')::uuid, md5('s')::uuid, 'Message', now(), now(), ''
        from generate_series(0, 49999) n;
        insert into reports (conversation_id, seq, report_id, message_seq, message_id, user_id, station_id, type, created_at, valid_until)
        select conversation_id, seq + 1, message_id, seq, message_id, user_id, station_id, 'viewed', now(), now() from messages;
        insert into messages (conversation_id, seq, message_id, instance, user_id, station_id, type, created_at, valid_until, data)
        select md5('c1')::uuid, n, md5('h' || n)::uuid, 'AAAAAAAAAA', md5('u1')::uuid, md5('s')::uuid, 'Message', now(), now(), ''
        from generate_series(11, 5000) n;
        update conversations set last_seq = 5000 where conversation_id = md5('c1')::uuid;
        insert into stations select user_id, md5('s' || nick)::uuid, now() from users;
        insert into credentials select sha256(nick::bytea), user_id, '', now() from users;
        insert into friendships select md5('u' || n)::uuid, md5('u' || (n + d) % 2000)::uuid, now() from generate_series(0, 1999) n, unnest(array[1, 1999]) d;
        insert into listeners select user_id, md5('n')::uuid from users;
        insert into blocks select md5('u' || n)::uuid, md5('u' || n - 1)::uuid, now() from generate_series(1, 1999) n;
        analyze",
    )
    .execute(&mut db)
    .await
    .unwrap();
    sqlx::raw_sql("set plan_cache_mode = force_generic_plan").execute(&mut db).await.unwrap();
    db
}

#[tokio::test]
async fn no_hot_query_reads_a_whole_table() {
    let mut db = filled().await;
    let one = |value: &str, of: &str| format!("array[{value}]::{of}[]");
    let add = [
        one(TALK, "uuid"),
        one("'AAAAAAAAAA'", "text"),
        one(USER, "uuid"),
        one("md5('s')::uuid", "uuid"),
        one("gen_random_uuid()", "uuid"),
        one("'Message'", "text"),
        one("now()", "timestamptz"),
        one("null", "timestamptz"),
        one("now()", "timestamptz"),
        one("true", "bool"),
        one("''", "text"),
    ]
    .join(", ");
    let read = format!("{TALK}, {USER}, 'AAAAAAAAAA', md5('h2000')::uuid, now(), md5('m5')::uuid, now(), 50, 4194304");
    let report = format!(
        "{TALK}, {USER}, array[md5('h2000')::uuid, md5('h2001')::uuid], array[gen_random_uuid(), gen_random_uuid()], 'AAAAAAAAAA', 'delivered', md5('s')::uuid, now()"
    );
    for (name, marks, arguments) in [
        ("list", &["where p.user_id = $1", "order by c.last_access_at desc"][..], USER.to_owned()),
        ("seen_by", &["everyone.names", "from participants p\n", "p.user_id = $2", "c.last_message_id as"], format!("{TALK}, {USER}")),
        ("arrange", &["update participants p", "everyone.ids"], format!("{TALK}, {USER}, true, null, null, null, null, now()")),
        ("add", &["insert into messages"], add),
        ("download", &["order by m.seq limit $8 + 1"], read.clone()),
        ("downloadpartial", &["order by m.seq desc limit $8 + 1"], read),
        ("report", &["insert into reports"], report),
        ("clear", &["cleared_seq = c.last_seq"], format!("{TALK}, {USER}, 'AAAAAAAAAA', 'BBBBBBBBBB'")),
        ("identity", &["u.public_key, u.disabled_at"], format!("{USER}, md5('s1')::uuid, now()")),
        ("login", &["from credentials c"], format!("sha256('1'), null, {USER}, 100, now()")),
        ("friends", &["'offline' end as"], USER.to_owned()),
        ("requests", &["order by f.requested_at"], USER.to_owned()),
        ("hidden", &["hidden_at is not null order by conversation_id"], USER.to_owned()),
        ("arrive", &["insert into listeners"], format!("{USER}, md5('n')::uuid")),
        ("leave", &["availability = 'offline'\n", "any($1)"], format!("array[{USER}]")),
        ("everyone_with", &["array_agg(o.user_id) as \"everyone"], format!("{TALK}, {USER}")),
        ("availability", &["update users set availability = $2"], format!("{USER}, 'busy'")),
        ("purge: find", &["where purged_seq < cleared_seq order by"], String::new()),
        ("purge: messages", &["delete from messages m using"], format!("{TALK}, 100, 1000")),
        ("purge: reports", &["delete from reports r using"], format!("{TALK}, 100, 1000")),
    ] {
        let query = statement(marks);
        sqlx::raw_sql(AssertSqlSafe(format!("prepare hot as {query}"))).execute(&mut db).await.unwrap();
        let call = if arguments.is_empty() { "hot".to_owned() } else { format!("hot({arguments})") };
        let plan = sqlx::raw_sql(AssertSqlSafe(format!("explain execute {call}"))).fetch_all(&mut db).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        let plan = plan.join("\n");
        assert!(!plan.contains("Seq Scan"), "{name}\n{plan}");
        assert!(plan.contains("Index"), "{name}\n{plan}");
        assert!(!name.starts_with("purge: find") || plan.contains("conversations_to_purge"), "{name}\n{plan}");
        sqlx::raw_sql("deallocate hot").execute(&mut db).await.unwrap();
    }
}

#[tokio::test]
async fn a_page_reads_its_own_rows_and_not_the_conversation() {
    let mut db = filled().await;
    for (marks, bound) in [(["order by m.seq limit $8 + 1"], "from"), (["order by m.seq desc limit $8 + 1"], "before")] {
        let query = statement(&marks);
        sqlx::raw_sql(AssertSqlSafe(format!("prepare page as {query}"))).execute(&mut db).await.unwrap();
        let explain = format!(
            "explain (analyze, buffers, format json) execute page({TALK}, {USER}, 'AAAAAAAAAA', md5('h2000')::uuid, null, null, null, 50, 4194304)"
        );
        let plan: serde_json::Value = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_one(&mut db).await.unwrap().get(0);
        let read = plan[0]["Plan"]["Shared Hit Blocks"].as_i64().unwrap() + plan[0]["Plan"]["Shared Read Blocks"].as_i64().unwrap();
        // 51 of 5,000 rows, 5 reports, and the way there.
        assert!(read < 60, "{bound}: {read} blocks");
        sqlx::raw_sql("deallocate page").execute(&mut db).await.unwrap();
    }
}

#[tokio::test]
async fn the_update_that_each_message_makes_stays_heap_only() {
    let mut db = PgConnection::connect_with(&database().await).await.unwrap();
    sqlx::raw_sql(
        "insert into conversations (conversation_id, is_group, instance, last_access_at, created_at) values (md5('c1')::uuid, false, 'AAAAAAAAAA', now(), now())",
    )
    .execute(&mut db)
    .await
    .unwrap();
    for _ in 0..50 {
        sqlx::raw_sql("update conversations set last_seq = last_seq + 1, last_message_id = gen_random_uuid(), last_access_at = now()")
            .execute(&mut db)
            .await
            .unwrap();
    }
    sqlx::raw_sql("select pg_stat_force_next_flush()").execute(&mut db).await.unwrap();
    let row = sqlx::raw_sql("select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'conversations'")
        .fetch_one(&mut db)
        .await
        .unwrap();
    assert_eq!((row.get::<i64, _>(0), row.get::<i64, _>(1)), (50, 50));
}
