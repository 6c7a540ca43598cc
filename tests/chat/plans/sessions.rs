//! Statements about stations, credentials and vaults.

use super::{CONVERSATION, USER, connection, filled, plan, reads_by_index};

#[tokio::test]
async fn queries_about_stations_and_credentials_use_indexes() {
    // Empty and full, because a plan stays as it was when its statement was first used.
    for mut db in [connection().await, filled().await] {
        for (name, marks, arguments) in [
            (
                "prelogin",
                &["select kdf from users", "as sample"][..],
                format!("{USER}, '\\x{}'", "ab".repeat(16)),
            ),
            (
                "vault",
                &["select encrypted_private_key, vault_version, kdf"],
                USER.to_owned(),
            ),
            (
                "standing",
                &["as \"is_disabled!\""],
                format!("array[{USER}], array[md5('s1')::uuid]"),
            ),
            ("stations", &["c.label as \"label?\""], USER.to_owned()),
            (
                "end stations",
                &["delete from stations\n", "credential_id = $4"],
                format!("{USER}, null, md5('s1')::uuid, null"),
            ),
            (
                "claim pushes",
                &[
                    "from unnest($1::uuid[], $2::bigint[])",
                    "push_subscriptions",
                ],
                format!("array[{CONVERSATION}], array[1], 900"),
            ),
            (
                "sockets opened",
                &["set node_id = $1, pushed_at"],
                format!("{USER}, array[{USER}], array[md5('s1')::uuid]"),
            ),
            (
                "sockets closed",
                &["set node_id = null"],
                format!("{USER}, array[{USER}], array[md5('s1')::uuid], array[true]"),
            ),
            (
                "calls",
                &["set called_at = now() from due"],
                format!("array[{USER}], 60"),
            ),
            (
                "silent users",
                &["called_at < now() - make_interval(secs => $1)"],
                "300, 500".to_owned(),
            ),
            (
                "credentials",
                &["used_at as \"used_at: Timestamp\""],
                USER.to_owned(),
            ),
            (
                "replace a credential",
                &["with stored as", "update stations s"],
                format!("{USER}, sha256('x'), 'password', now(), array[gen_random_uuid()]"),
            ),
        ] {
            let plan = plan(&mut db, marks, &arguments).await;
            reads_by_index(name, &plan);
        }
    }
}
