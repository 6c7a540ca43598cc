//! The user that a command is about.

use clap::Args;

use crate::cli::Error;
use parlance_wire::{id::UserId, text::Email};

/// A user as named on the command line.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Who {
    /// The normalized address, or the id.
    pub name: String,
    pub id: UserId,
}

impl Who {
    /// Parses an address or an id. The id is needed for a user of an older version whose address is
    /// not valid any more.
    pub(in crate::cli) fn parse(text: &str) -> Result<Self, Error> {
        if let Some(id) = UserId::parse(text) {
            return Ok(Self {
                name: id.to_string(),
                id,
            });
        }
        let email = Email::parse(text).ok_or_else(|| Error::NotAUser(text.to_owned()))?;
        Ok(Self {
            id: UserId::of(&email),
            name: email.to_string(),
        })
    }
}

/// Arguments of commands about an existing user.
#[derive(Debug, Args)]
pub(in crate::cli) struct Known {
    /// The e-mail address or the user id
    user: String,
    /// For scripts: one JSON object
    #[arg(long)]
    pub json: bool,
}

impl Known {
    pub(super) fn who(&self) -> Result<Who, Error> {
        Who::parse(&self.user)
    }
}
