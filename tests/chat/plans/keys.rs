//! Plans of statements about cards, the key log and epochs.

use super::{GROUP, USER, connection, filled, plan, reads_by_index};

#[tokio::test]
async fn queries_about_keys_and_epochs_use_indexes() {
    // Empty and full, because a plan stays as it was when its statement was first used.
    for mut db in [connection().await, filled().await] {
        for (name, marks, arguments) in [
            (
                "cards",
                &["with mine as materialized"][..],
                format!("{USER}, array[{USER}, md5('u9')::uuid], array[0, 1]::bigint[], 2001"),
            ),
            (
                "card: newest",
                &["as seconds_left"],
                format!("{USER}, 19, now(), decode(repeat('00', 32), 'hex')"),
            ),
            ("key log", &["string_agg(l.entry"], "100, 1000".into()),
            (
                "epochs",
                &["from participants p\nleft join lateral", "$5::bigint"],
                format!("{GROUP}, {USER}, 4, 50, 1000000"),
            ),
            (
                "epoch: standing",
                &["e.members as \"members?"],
                format!("{GROUP}, {USER}"),
            ),
            (
                "epoch: begin",
                &["with announced as"],
                format!(
                    "{GROUP}, 6, '', decode(repeat('00', 64), 'hex'), array[{USER}], now(), {USER}, 100"
                ),
            ),
            (
                "epoch: lock",
                &["as \"instance: Instance\", c.epoch, p.role"],
                format!("{GROUP}, {USER}"),
            ),
            (
                "epoch: admins",
                &[
                    "as \"user_id: UserId\" from participants where conversation_id = $1 and role = 'admin'",
                ],
                GROUP.to_owned(),
            ),
            (
                "epoch: forget",
                &["with empty as materialized"],
                format!("{GROUP}, 3"),
            ),
            (
                "epoch: share",
                &["where conversation_id = $1 and user_id = $2) as \"exists!\""],
                format!("{GROUP}, {USER}"),
            ),
            (
                "remove",
                &["with removed as", "delete from participants"],
                format!("{GROUP}, array[{USER}]"),
            ),
        ] {
            let plan = plan(&mut db, marks, &arguments).await;
            reads_by_index(name, &plan);
        }
    }
}
