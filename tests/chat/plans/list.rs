//! The cost of a list: unread messages are counted, and lines compared, without reading whole
//! conversations.

use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::{CONVERSATION, GROUP, USER, connection, filled, plan, reads_by_index, statement};

/// Number of blocks of a table that a plan has read, from memory or disk.
fn blocks_of(plan: &serde_json::Value, table: &str) -> i64 {
    let own = if plan["Relation Name"] == table {
        plan["Shared Hit Blocks"].as_i64().unwrap() + plan["Shared Read Blocks"].as_i64().unwrap()
    } else {
        0
    };
    let below = plan["Plans"].as_array().into_iter().flatten();
    own + below.map(|plan| blocks_of(plan, table)).sum::<i64>()
}

/// The blocks of a table that a call reads.
async fn read(db: &mut PgConnection, call: &str, table: &str) -> i64 {
    let explain = format!("explain (analyze, buffers, format json) execute {call}");
    let plan: serde_json::Value = sqlx::raw_sql(AssertSqlSafe(explain))
        .fetch_one(db)
        .await
        .unwrap()
        .get(0);
    blocks_of(&plan[0]["Plan"], table)
}

#[tokio::test]
async fn what_has_changed_in_a_long_list_is_found_without_reading_the_list() {
    let mut db = filled().await;
    let prepare = format!(
        "insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
        select conversation_id, md5('u1')::uuid, '', '', 'member', now() from conversations where is_group
        on conflict do nothing;
        insert into list_era (era_id, database, postmaster_started_at, complete_from)
        select md5('era')::uuid, oid, pg_postmaster_start_time(), '3' from pg_database where datname = current_database();
        prepare compare as {};
        prepare list as {}",
        statement(&["with present as materialized"]),
        statement(&["u.unread as", "where p.user_id = $1\n"]),
    );
    sqlx::raw_sql(AssertSqlSafe(prepare))
        .execute(&mut db)
        .await
        .unwrap();
    let user = "md5('u1')::uuid";
    // No other transaction runs in this database.
    let mark: String = sqlx::query_scalar(
        "select encode(list_mark(
                    era_id, md5('u1')::uuid, pg_snapshot_xmax(pg_current_snapshot())::text::bigint, o.conversations, 0
                ), 'hex')
        from current_list_era,
             (select bit_xor(uuid_hash_extended(conversation_id, 0)) as conversations from participants where user_id = md5('u1')::uuid) o",
    )
    .fetch_one(&mut db)
    .await
    .unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!(
        "update conversations set last_report_id = gen_random_uuid() where conversation_id in ({GROUP}, {CONVERSATION});
        insert into list_changes select pg_current_xact_id(), id from unnest(array[{GROUP}, {CONVERSATION}, md5('c500')::uuid]) id"
    )))
    .execute(&mut db)
    .await
    .unwrap();
    let call = format!("compare({user}, decode('{mark}', 'hex'))");
    let changed: Vec<uuid::Uuid> = sqlx::raw_sql(AssertSqlSafe(format!("execute {call}")))
        .fetch_one(&mut db)
        .await
        .unwrap()
        .get(2);
    assert_eq!(changed.len(), 2);
    let whole = read(&mut db, &format!("list({user})"), "conversations").await;
    let compared = read(&mut db, &call, "conversations").await;
    assert!(compared * 100 < whole, "{compared} of {whole}");
    assert_eq!(read(&mut db, &call, "messages").await, 0);
    // Where it is not known what has changed, each of the user's is looked at, and nothing else of it.
    sqlx::raw_sql("update list_era set complete_from = '9000000000000000000'")
        .execute(&mut db)
        .await
        .unwrap();
    let looked_at = read(&mut db, &call, "conversations").await;
    assert!(looked_at * 10 < whole * 11, "{looked_at} of {whole}");
    assert_eq!(read(&mut db, &call, "messages").await, 0);
}

#[tokio::test]
async fn unread_messages_are_counted_without_reading_the_conversation() {
    let mut db = filled().await;
    let query = statement(&["u.unread as", "where p.user_id = $1\n"]);
    sqlx::raw_sql(AssertSqlSafe(format!(
        "update conversations set last_message_seq = last_seq; prepare list as {query}"
    )))
    .execute(&mut db)
    .await
    .unwrap();
    for (viewed, bound) in [(5000, 0), (4990, 12), (0, 2500)] {
        // The user has read all but one conversation.
        let sql = format!(
            "update participants set viewed_seq = case when conversation_id = {CONVERSATION} then {viewed} else 5000 end"
        );
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut db)
            .await
            .unwrap();
        // The messages of the filled conversation are this user's own, so all are read for the
        // other user.
        let explain = "explain (analyze, buffers, format json) execute list(md5('u2')::uuid)";
        let plan: serde_json::Value = sqlx::raw_sql(explain)
            .fetch_one(&mut db)
            .await
            .unwrap()
            .get(0);
        let read = blocks_of(&plan[0]["Plan"], "messages");
        assert!(read <= bound, "{viewed}: {read} blocks");
    }
}

#[tokio::test]
async fn lists_and_their_changes_are_read_by_index() {
    // Empty and full, because a plan stays as it was when its statement was first used.
    for mut db in [connection().await, filled().await] {
        for (name, marks, arguments) in [
            (
                "list",
                &["null::bigint as \"unread?\"", "where p.user_id = $1\n"][..],
                USER.to_owned(),
            ),
            (
                "list: compare",
                &["with present as materialized"],
                format!("{USER}, decode(repeat('00', 40), 'hex')"),
            ),
            (
                "list: some",
                &["u.unread as", "p.conversation_id = any($2)"],
                format!("{USER}, array[{CONVERSATION}]"),
            ),
            (
                "erase",
                &["select m.ctid from unnest($2::uuid[])"],
                format!("{CONVERSATION}, array[md5('h2000')::uuid], 'AAAAAAAAAA'"),
            ),
            (
                "list, with what is unread",
                &["u.unread as", "where p.user_id = $1\n"],
                USER.to_owned(),
            ),
            (
                "list, a page",
                &["order by page.last_access_at desc"],
                format!("{USER}, {CONVERSATION}, 51"),
            ),
        ] {
            let plan = plan(&mut db, marks, &arguments).await;
            reads_by_index(name, &plan);
        }
    }
}
