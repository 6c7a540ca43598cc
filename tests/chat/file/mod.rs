//! Files: uploaded in records, read by those who take part, and gone with their message.

/// Plays stories in each kind of store.
macro_rules! in_each_store {
    ($($story:ident),+ $(,)?) => {
        in_each_store!(postgres Postgres $($story),+);
        in_each_store!(directory Directory $($story),+);
        in_each_store!(s3 S3 $($story),+);
    };
    ($module:ident $kind:ident $($story:ident),+) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $story() {
                    super::$story(crate::world::Kind::$kind).await;
                }
            )+
        }
    };
}

mod access;
mod cut;
mod full;
mod interrupted;
mod killed;
mod life;
mod limits;
mod message;
mod range;
mod raw;
mod relocate;
mod slow;
mod store;
mod sweep;
mod turns;
mod upload;

use crate::world::{Answer, World};

/// Asserts that two refusals are the same but for the request's id.
#[track_caller]
fn is_same(one: &Answer, other: &Answer) {
    assert_eq!((one.status, &one.text), (other.status, &other.text));
    let names = |answer: &Answer| {
        let names = answer.headers.keys().map(ToString::to_string);
        // Says only whether the body had arrived when the answer was sent.
        let mut names: Vec<_> = names.filter(|name| name != "connection").collect();
        names.sort();
        names
    };
    assert_eq!(names(one), names(other));
}

/// Rows of everything that is stored of files.
async fn rows(world: &World) -> [i64; 3] {
    [
        world.count("files").await,
        world.count("file_records").await,
        world.count("gone_files").await,
    ]
}

/// Bytes that all users' files count.
async fn counted(world: &World) -> i64 {
    sqlx::query_scalar("select coalesce(sum(bytes), 0)::bigint from file_usage")
        .fetch_one(&world.db)
        .await
        .unwrap()
}
