//! Uploads that have begun and are in no message yet, so that what was interrupted goes on.

use std::collections::BTreeSet;

use parlance_wire::{
    id::{ConversationId, FileId},
    text::Instance,
};
use serde::{Deserialize, Serialize};

use crate::{answer::Conversation, session::Upload};

/// Maximum uploads that are kept: more than go on at the same time.
const MAX: usize = 100;

/// An upload that has begun.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Begun {
    conversation: ConversationId,
    instance: Instance,
    /// The hash of the content, hex: with the key of one content, no other one may be encrypted.
    sha256: String,
    upload: Upload,
}

/// The uploads of a device.
pub(super) struct Uploads {
    /// The oldest ones first.
    begun: Vec<Begun>,
    /// Those that were handed out since the device was opened: two files of the same content are two uploads.
    taken: BTreeSet<FileId>,
}

impl Uploads {
    /// With those that were kept.
    pub(super) fn new(begun: Vec<Begun>) -> Self {
        Self {
            begun,
            taken: BTreeSet::new(),
        }
    }

    /// Those to be kept.
    pub(super) fn begun(&self) -> &[Begun] {
        &self.begun
    }

    /// The upload of this content that was interrupted, under the name of the new one; otherwise, the new one.
    pub(super) fn begin(
        &mut self,
        conversation: &Conversation,
        sha256: [u8; 32],
        new: Upload,
    ) -> Upload {
        let sha256 = hex::encode(sha256);
        let interrupted = self.begun.iter_mut().find(|begun| {
            begun.conversation == conversation.id
                && begun.instance == conversation.instance
                && begun.sha256 == sha256
                && begun.upload.size == new.size
                && !self.taken.contains(&begun.upload.id)
        });
        let upload = if let Some(begun) = interrupted {
            begun.upload.name = new.name;
            begun.upload.mime = new.mime;
            begun.upload.clone()
        } else {
            self.begun.push(Begun {
                conversation: conversation.id,
                instance: conversation.instance.clone(),
                sha256,
                upload: new.clone(),
            });
            let surplus = self.begun.len().saturating_sub(MAX);
            self.begun.drain(..surplus);
            new
        };
        self.taken.insert(upload.id);
        upload
    }

    /// Forgets the uploads of these files.
    pub(super) fn forget(&mut self, files: &[FileId]) {
        self.begun.retain(|begun| !files.contains(&begun.upload.id));
    }
}
