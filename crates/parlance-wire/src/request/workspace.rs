//! `srv=chatowner&api=workspace`: host names that are registered for users.

use serde::{Deserialize, Serialize};

use crate::text::WorkspaceName;

/// The actions of this API.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Page "Workspace - register". Idempotent for its owner, refused to anyone else.
    WorkspaceRegister {
        /// The host name.
        workspacename: WorkspaceName,
    },
}
