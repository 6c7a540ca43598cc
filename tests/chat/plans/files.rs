//! Plans of statements about files.

use sqlx::PgConnection;

use super::{CONVERSATION, USER, connection, filled, plan};

async fn with_files() -> PgConnection {
    let mut db = filled().await;
    sqlx::raw_sql(
        "set statement_timeout = 0;
        insert into files (file_id, user_id, conversation_id, instance, size, created_at, digest, message_seq)
        select md5('f' || n)::uuid, md5('u' || n % 2000)::uuid, md5('c' || n % 10000)::uuid, 'AAAAAAAAAA', 1, now(), sha256(''),
               nullif(2 * (n / 10000) + 1, 1)
        from generate_series(0, 49999) n;
        insert into file_records select file_key, r, sha256(''), '' from files, generate_series(0, 1) r;
        insert into gone_files select 100000 + n, md5('u1')::uuid, 1 from generate_series(0, 9999) n;
        insert into file_usage select user_id, 1 from users;
        insert into file_stores (place) values ('dir:/x');
        insert into file_objects (object_id, store_id, file_key, state)
            select md5('o' || n)::uuid, 1, n, (array['stored', 'stored', 'begun', 'gone'])[1 + n % 4] from generate_series(0, 49999) n;
        analyze files, file_records, gone_files, file_usage, file_stores, file_store_head, file_objects;
        reset statement_timeout",
    )
    .execute(&mut db)
    .await
    .unwrap();
    db
}

#[tokio::test]
async fn statements_about_files_look_each_up_by_key() {
    let file = "md5('f1')::uuid";
    let one = |value: &str, of: &str| format!("array[{value}]::{of}[]");
    let (files, users, keys) = (
        one(file, "uuid"),
        one(USER, "uuid"),
        one("100000", "bigint"),
    );
    let records = format!("1, {}, {}", one("0", "int"), one("''", "bytea"));
    let named = format!(
        "{}, {files}, {users}, {}, {}",
        one("0", "int"),
        one(CONVERSATION, "uuid"),
        one("'AAAAAAAAAA'", "text")
    );
    // Empty and full, because a plan stays as it was when its statement was first used.
    for (state, mut db) in [("empty", connection().await), ("full", with_files().await)] {
        for (name, marks, arguments) in [
            (
                "a user's own",
                &["from visible_files", "user_id = $2 and reader_id = $2"][..],
                format!("{file}, {USER}"),
            ),
            (
                "a reader's",
                &[
                    "from visible_files",
                    "reader_id = $2 and digest is not null",
                ],
                format!("{file}, {USER}"),
            ),
            ("a record", &["select r.bytes, r.object_id"], "1, 0".into()),
            (
                "put",
                &["insert into file_records (file_key, record, hash, bytes)"],
                format!("{records}, {}", one("''", "bytea")),
            ),
            (
                "put outside",
                &["insert into file_records (file_key, record, hash, object_id"],
                format!("{records}, {USER}"),
            ),
            ("lock for put", &["cross join file_store_head"], "1".into()),
            (
                "of cleared messages",
                &["message_seq <= $2", "order by message_seq limit $3"],
                format!("{CONVERSATION}, 1, 500"),
            ),
            (
                "finish",
                &["update file_objects set state = 'stored'"],
                USER.into(),
            ),
            (
                "objects of files",
                &["where file_key = any($1) and state = 'stored'"],
                keys.clone(),
            ),
            ("unfinished", &["begun_at < now()"], "900".into()),
            (
                "gone objects",
                &["where state = 'gone' and object_id >"],
                format!("{USER}, 64, {}", one("1", "int")),
            ),
            ("compare", &["bool_and(r.hash = i.hash)"], records.clone()),
            ("have", &["row_number() over (order by record)"], "1".into()),
            ("hashes", &["as \"hashes!\""], "1".into()),
            (
                "lock",
                &["with named as materialized", "for no key update"],
                named.clone(),
            ),
            (
                "tie",
                &["update files f set message_seq"],
                format!("{files}, {users}, {}", one("1", "bigint")),
            ),
            ("used", &["select bytes from file_usage"], USER.into()),
            (
                "next gone",
                &["from gone_files where file_key >"],
                "1, 256".into(),
            ),
            (
                "records of gone files",
                &["select k.file_key, r.record"],
                format!("{keys}, 64"),
            ),
            ("forget", &["delete from gone_files"], keys.clone()),
            (
                "users without files",
                &["delete from file_usage where user_id"],
                users.clone(),
            ),
            (
                "abandoned",
                &["or valid_until < $1"],
                "now(), now() - interval '1 day', 500, null".into(),
            ),
        ] {
            let plan = plan(&mut db, marks, &arguments).await;
            assert!(
                !plan.contains("Seq Scan")
                    && !plan.contains("Join Filter")
                    && !plan.contains("Hash Cond"),
                "{name}, {state}\n{plan}"
            );
            let lines: Vec<&str> = plan.lines().collect();
            let whole = lines.windows(2).find(|two| {
                two[0].contains("Index")
                    && two[0].contains("Scan")
                    && !two[0].contains("Bitmap Heap")
                    && !two[1].contains("Index Cond")
            });
            assert!(whole.is_none(), "{name}, {state}: {whole:?}\n{plan}");
        }
    }
}
