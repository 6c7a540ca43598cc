//! `srv=chatowner&api=workspace`: host names that belong to users.

use serde::{Deserialize, Serialize};

use crate::text::WorkspaceName;

/// The actions of this API.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Page "Workspace - register": idempotent for its owner, refused to anyone else.
    WorkspaceRegister {
        /// A host name.
        workspacename: WorkspaceName,
    },
}
