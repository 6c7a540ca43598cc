//! Plans of statements that take many users at once, as a group may have thousands.

use super::{GROUP, USER, connection, filled, plan};

#[tokio::test]
async fn statements_about_many_users_look_each_up_by_key_and_compare_no_lists() {
    let others = "array[md5('u1')::uuid, md5('u9')::uuid]";
    let texts = "array['', '']";
    // Empty and full, because a plan stays as it was when its statement was first used.
    for (state, mut db) in [("empty", connection().await), ("full", filled().await)] {
        for (name, marks, arguments) in [
            (
                "newcomers",
                &["as \"declined_recently!\""][..],
                format!("{GROUP}, {USER}, {others}, 1000"),
            ),
            (
                "would be full",
                &["with newcomers as materialized"],
                format!("{GROUP}, {others}, 1000"),
            ),
            (
                "invite",
                &["insert into invitations"],
                format!("{GROUP}, {USER}, {others}, {texts}, {texts}"),
            ),
            (
                "surplus",
                &["with ranked as materialized"],
                format!("{others}, 100"),
            ),
            (
                "precheck",
                &["as \"strangers!\""],
                format!("{USER}, {others}, {GROUP}, 1000"),
            ),
            (
                "quotas",
                &["insert into quotas (user_id) select"],
                others.to_owned(),
            ),
            (
                "empty groups",
                &["as \"is_empty!\""],
                "null, 1000".to_owned(),
            ),
            (
                "unused",
                &["with unused as materialized"],
                format!("{GROUP}, 1"),
            ),
        ] {
            let plan = plan(&mut db, marks, &arguments).await;
            assert!(
                !plan.contains("Join Filter") && !plan.contains("Seq Scan"),
                "{name}, {state}\n{plan}"
            );
            // An index scan without a condition reads the whole index.
            let lines: Vec<&str> = plan.lines().collect();
            let whole = lines.windows(2).find(|two| {
                two[0].contains("Index")
                    && two[0].contains("Scan")
                    && !two[0].contains("Bitmap Heap")
                    && !two[1].contains("Index Cond")
            });
            assert!(whole.is_none(), "{name}, {state}: {whole:?}\n{plan}");
            // The key of blocks begins with the blocking user: a condition on the blocked one alone
            // reads the whole index.
            assert!(
                !lines
                    .iter()
                    .any(|line| line.contains("Index Cond: (blocked_id =")),
                "{name}, {state}\n{plan}"
            );
        }
    }
}
