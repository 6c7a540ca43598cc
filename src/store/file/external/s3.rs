//! A store in a bucket of an S3 service.

use std::{ops::Range, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt, stream::TryChunksError};
use object_store::{
    ClientOptions, Error, GetOptions, ObjectStore, ObjectStoreExt, PutMode, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};

use crate::{
    settings::{Bucket, S3Keys},
    store::error::Cause,
};

const CONNECT: Duration = Duration::from_secs(5);
/// Names that are listed at a time.
const LISTED: usize = 1000;

#[derive(Debug)]
pub(crate) struct S3 {
    bucket: AmazonS3,
    prefix: String,
}

impl S3 {
    /// `timeout`: maximum time of one operation.
    pub(super) fn new(bucket: &Bucket, keys: &S3Keys, timeout: Duration) -> Result<Self, Cause> {
        // A failed request is repeated within the time; one without an answer takes most of it.
        let attempt = timeout * 2 / 3;
        let options = ClientOptions::new()
            .with_allow_http(bucket.endpoint.starts_with("http://"))
            .with_timeout(attempt)
            .with_connect_timeout(CONNECT);
        let retry = RetryConfig {
            max_retries: 2,
            retry_timeout: attempt,
            ..RetryConfig::default()
        };
        let client = AmazonS3Builder::new()
            .with_endpoint(&bucket.endpoint)
            .with_bucket_name(&bucket.name)
            .with_region(&keys.region)
            .with_access_key_id(&keys.id)
            .with_secret_access_key(&keys.secret)
            .with_client_options(options)
            // One by one: not every service has the other way, and a request to delete one object can be
            // repeated.
            .with_disable_bulk_delete(true)
            .with_retry(retry);
        Ok(Self {
            bucket: client.build()?,
            prefix: bucket.prefix.clone(),
        })
    }

    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}/{name}", self.prefix))
    }

    /// Makes the bucket a store: writes this object, which says so, unless it is there.
    pub(super) async fn prepare(&self, name: &str, text: Bytes) -> Result<(), Cause> {
        let (path, new) = (self.path(name), PutMode::Create.into());
        match self.bucket.put_opts(&path, text.clone().into(), new).await {
            Ok(_) | Err(Error::AlreadyExists { .. }) => Ok(()),
            // Not every service knows this condition; the others refuse it, or ignore it.
            Err(_) => self.put(name, text).await,
        }
    }

    pub(super) async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Cause> {
        self.bucket.put(&self.path(name), bytes.into()).await?;
        Ok(())
    }

    pub(super) async fn get(
        &self,
        name: &str,
        range: Option<Range<u64>>,
    ) -> Result<Option<Bytes>, Cause> {
        let options = GetOptions {
            range: range.clone().map(Into::into),
            ..GetOptions::default()
        };
        let path = self.path(name);
        let got = async { self.bucket.get_opts(&path, options).await?.bytes().await };
        match (if_there(got.await), range) {
            (Ok(got), _) => Ok(got),
            // A range that begins beyond the end is refused, and not in a way that can be told from other
            // failures.
            (Err(error), Some(range)) => match self.bucket.head(&path).await {
                Ok(object) if object.size <= range.start => Ok(Some(Bytes::new())),
                _ => Err(error.into()),
            },
            (Err(error), None) => Err(error.into()),
        }
    }

    pub(super) async fn has(&self, name: &str) -> Result<bool, Cause> {
        Ok(if_there(self.bucket.head(&self.path(name)).await)?.is_some())
    }

    /// Returns whether it was there, as far as the service tells.
    pub(super) async fn delete(&self, name: &str) -> Result<bool, Cause> {
        Ok(if_there(self.bucket.delete(&self.path(name)).await)?.is_some())
    }

    /// The names of all objects in the store, in batches.
    pub(super) fn list(&self) -> impl Stream<Item = Result<Vec<String>, Cause>> {
        let all = self.bucket.list(Some(&self.path("")));
        let names = all.map_ok(|object| object.location.filename().unwrap_or_default().to_owned());
        names
            .try_chunks(LISTED)
            .map_err(|TryChunksError(_, error)| error.into())
    }
}

fn if_there<T>(result: object_store::Result<T>) -> object_store::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
