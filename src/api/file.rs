//! `srv=chatserver&api=chatfileserver`: encrypted files (docs/api.md, Files). Bytes are received and sent
//! by `server::file`.

use serde::Serialize;

use super::answer::{self, Nothing};
use crate::{
    chat::{self, Call, error::Error},
    store::file::Upload,
};
use parlance_wire::request::file::{Action, Records};

#[derive(Serialize)]
struct UploadView<'a> {
    size: u64,
    records: u32,
    have: &'a [Records],
    complete: bool,
}

/// Performs an action.
pub(crate) async fn perform(call: &mut Call<'_>, action: Action) -> Result<Vec<u8>, Error> {
    match action {
        Action::Create {
            conversationid,
            instance,
            fileid,
            size,
            validuntil,
        } => {
            let create =
                chat::file::create(call, conversationid, &instance, fileid, size, validuntil);
            view(&create.await?)
        }
        Action::Status { fileid } => view(&chat::file::status(call, fileid).await?),
        Action::Complete { fileid, digest } => {
            chat::file::complete(call, fileid, digest).await?;
            answer::ok(Nothing {})
        }
        Action::Delete { fileid } => {
            chat::file::delete(call, fileid).await?;
            answer::ok(Nothing {})
        }
        Action::Put(_) => Err(Error::BadRequest(
            "put has its JSON in the header Ozeki-Request, and records in the body.".into(),
        )),
        Action::Get { .. } => Err(Error::BadRequest(
            "get is for GET, with its JSON in the header Ozeki-Request.".into(),
        )),
    }
}

/// The state of an upload, as its uploader sees it.
pub(crate) fn view(upload: &Upload) -> Result<Vec<u8>, Error> {
    answer::ok(UploadView {
        size: upload.layout.size(),
        records: upload.layout.records(),
        have: &upload.have,
        complete: upload.is_complete,
    })
}
