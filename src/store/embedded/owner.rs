//! The system user that the embedded PostgreSQL runs as, and that its files belong to.

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

/// The user to switch to, where this process is root: PostgreSQL refuses to run as root. `None`: this process's own.
pub(super) struct Owner(Option<User>);

impl Owner {
    /// The owner of the first of these paths that exists and is not root's; else `postgres`, else `nobody`.
    ///
    /// # Errors
    /// There is no such user.
    pub(super) fn of(paths: &[&Path]) -> Result<Self, Error> {
        if !geteuid().is_root() {
            return Ok(Self(None));
        }
        // The server may run as an ordinary user: a command of root's must not take its files away from it.
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
        // `postgres` comes with distributions' packages; `nobody` is on every system.
        for name in ["postgres", "nobody"] {
            if let Ok(Some(user)) = User::from_name(name) {
                return Ok(Self(Some(user)));
            }
        }
        Err(Error::NoUser)
    }

    /// The name of the user to switch to. Returns `None` when there is no switch.
    pub(super) fn name(&self) -> Option<&str> {
        self.0.as_ref().map(|user| user.name.as_str())
    }

    pub(super) fn uid(&self) -> u32 {
        self.0
            .as_ref()
            .map_or_else(geteuid, |user| user.uid)
            .as_raw()
    }

    /// Makes a file belong to this user.
    pub(super) fn take(&self, path: &Path) -> io::Result<()> {
        match &self.0 {
            // Never through a symbolic link: that user could have it point at any file of root's.
            Some(user) => lchown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())),
            None => Ok(()),
        }
    }

    /// Makes a program run as this user.
    pub(super) fn run(&self, command: &mut Command) {
        if let Some(user) = &self.0 {
            command
                .uid(user.uid.as_raw())
                .gid(user.gid.as_raw())
                .env("HOME", &user.dir);
        }
        command
            // The user may not be allowed into the directory that this process was started in.
            .current_dir("/")
            .env_remove("PGDATA")
            // PostgreSQL's log lines are sorted by their levels' English names.
            .env("LC_ALL", "C");
    }
}
