//! The system user that the embedded PostgreSQL runs as, and that owns its files.

use std::{
    io,
    os::unix::{
        fs::{MetadataExt, lchown},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

use nix::unistd::{Uid, User, geteuid};

use super::Error;

/// The user to switch to if this process is root, as PostgreSQL refuses to run as root. `None`: the
/// process's own user.
pub(super) struct Owner(Option<User>);

impl Owner {
    /// The owner of the first of these paths that exists and is not owned by root; else `postgres`,
    /// else `nobody`.
    ///
    /// # Errors
    /// There is no such user.
    pub(super) fn of(paths: &[&Path]) -> Result<Self, Error> {
        if !geteuid().is_root() {
            return Ok(Self(None));
        }
        // If the server runs as an ordinary user, a command of root's must not take its files away
        // from it.
        for path in paths {
            let Ok(found) = std::fs::symlink_metadata(path) else {
                continue;
            };
            if found.uid() != 0 {
                return match User::from_uid(Uid::from_raw(found.uid())) {
                    Ok(Some(user)) => Ok(Self(Some(user))),
                    _ => Err(Error::UnknownOwner {
                        path: (*path).to_owned(),
                        uid: found.uid(),
                    }),
                };
            }
        }
        // `postgres` comes with the packages of distributions; `nobody` exists on every system.
        for name in ["postgres", "nobody"] {
            if let Ok(Some(user)) = User::from_name(name) {
                return Ok(Self(Some(user)));
            }
        }
        Err(Error::NoUser)
    }

    /// The name of the user to switch to. Returns `None` if no switch is needed.
    pub(super) fn name(&self) -> Option<&str> {
        self.0.as_ref().map(|user| user.name.as_str())
    }

    pub(super) fn uid(&self) -> u32 {
        self.0
            .as_ref()
            .map_or_else(geteuid, |user| user.uid)
            .as_raw()
    }

    /// Changes the owner of a file to this user.
    pub(super) fn take(&self, path: &Path) -> io::Result<()> {
        match &self.0 {
            // Never through a symbolic link, which that user could point at any file of root's.
            Some(user) => lchown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())),
            None => Ok(()),
        }
    }

    /// Makes a command run as this user.
    pub(super) fn run(&self, command: &mut Command) {
        if let Some(user) = &self.0 {
            command
                .uid(user.uid.as_raw())
                .gid(user.gid.as_raw())
                .env("HOME", &user.dir);
        }
        command
            // The user may not be allowed into this process's working directory.
            .current_dir("/")
            .env_remove("PGDATA")
            // PostgreSQL's log lines are classified by the English names of their levels.
            .env("LC_ALL", "C");
    }
}
