//! Plans of statements about strangers, limits and who is known.

use super::{CONVERSATION, USER, filled, plan, reads_by_index};

#[tokio::test]
async fn what_is_asked_about_one_user_is_read_by_key() {
    let mut db = filled().await;
    for (name, marks, arguments) in [
        (
            "purge: kept",
            &["keep_until >= coalesce"][..],
            "now() - interval '1 day', null, 1000".to_owned(),
        ),
        (
            "quota: total",
            &["from conversations_allowed($1, $2)"],
            format!("{USER}, 1000"),
        ),
        (
            "typing",
            &["o.user_id <> $2"],
            format!("{CONVERSATION}, {USER}"),
        ),
        (
            "station",
            &["station_id = $2 and ($1::uuid is null or user_id = $1)"],
            format!("{USER}, md5('s1')::uuid"),
        ),
        (
            "friendship",
            &["as \"outgoing!\""],
            format!("{USER}, md5('u2')::uuid"),
        ),
    ] {
        let plan = plan(&mut db, marks, &arguments).await;
        reads_by_index(name, &plan);
    }
}
