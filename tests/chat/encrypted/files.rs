//! Files between two clients of version 4.

use parlance_client::{
    Error, ErrorCode, Upload,
    e2ee::{FileReference, file::Shape},
};

use super::{Person, Wrong, channel};

async fn fetches(person: &Person, file: &FileReference) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![];
    person.session.fetch_file(file, &mut bytes).await?;
    Ok(bytes)
}

#[tokio::test]
async fn a_file_is_sent_on_from_where_it_was_interrupted_and_read_whole_or_not_at_all() {
    let (world, [ann, ben], [channel, _]) = channel().await;
    let sends = async |upload: &Upload, mut content: &[u8]| {
        let session = &ann.session;
        session
            .send_file(&channel.conversation, upload, &mut content)
            .await
    };
    for length in [0, 1, 262_128, 5_000_001] {
        let content: Vec<u8> = (0..length)
            .map(|n| u8::try_from(n % 241).unwrap())
            .collect();
        let upload = Upload::new("a file".into(), "text/plain".into(), length).unwrap();
        // Its source ends too early, and then it is there in full.
        if let Some((_, part)) = content.split_last() {
            let interrupted = sends(&upload, part).await;
            assert!(matches!(interrupted, Err(Error::Invalid(_))));
        }
        let file = sends(&upload, &content).await.unwrap();
        assert_eq!(sends(&upload, &content).await.unwrap(), file);
        assert!(fetches(&ben, &file).await.unwrap() == content);
        // The server does not know how long it is.
        let size: i64 = sqlx::query_scalar("select size from files order by file_key desc limit 1")
            .fetch_one(&world.db)
            .await
            .unwrap();
        assert_eq!(size.unsigned_abs(), Shape::of(length).unwrap().stored());
        // Another file than the message says, and what a server changes.
        let other = FileReference {
            digest: "00".repeat(32),
            ..file.clone()
        };
        let other = fetches(&ben, &other).await.unwrap_err();
        assert!(matches!(other, Error::Encryption(Wrong::DifferentFile)));
        world
            .sql("update file_records set bytes = set_byte(bytes, 0, 255 - get_byte(bytes, 0))")
            .await;
        let damaged = fetches(&ben, &file).await.unwrap_err();
        assert!(matches!(damaged, Error::Encryption(Wrong::DamagedFile)));
        ann.session.delete_file(upload.id).await.unwrap();
        let gone = fetches(&ben, &file).await.unwrap_err();
        assert_eq!(gone.code(), Some(ErrorCode::FileNotFound));
    }
    world.end().await;
}
