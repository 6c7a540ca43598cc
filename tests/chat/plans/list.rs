//! The cost of a list: unread messages are counted, and lines compared, without reading whole
//! conversations.

use sqlx::{AssertSqlSafe, Row};

use super::{CONVERSATION, USER, connection, filled, plan, reads_by_index, statement};

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
                &["with listed as materialized"],
                format!("{USER}, array[1::bigint]"),
            ),
            (
                "list: those of",
                &[
                    "from participants\n            where user_id = $1 and conversation_id = any($2)",
                ],
                format!("{USER}, array[{CONVERSATION}]"),
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
