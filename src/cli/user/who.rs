//! Whom a command is about.

use clap::Args;

use crate::cli::Error;
use parlance_wire::{id::UserId, text::Email};

/// A user, as they are named on the command line.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Who {
    /// The address in its normal form, or the id.
    pub name: String,
    pub id: UserId,
}

impl Who {
    /// Reads an address or an id: a user whom an older version let in may have an address that is none today.
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

/// A user who is there already.
#[derive(Debug, Args)]
pub(in crate::cli) struct Known {
    /// The e-mail address, or the user id
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
