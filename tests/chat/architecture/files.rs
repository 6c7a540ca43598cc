//! The source files that are checked.

use std::path::Path;

use crate::world::file;

/// A file, by its path from the repository's root.
pub(super) struct Source {
    pub path: String,
    pub text: String,
}

impl Source {
    pub(super) fn lines(&self) -> usize {
        self.text.lines().count()
    }
}

/// The files below these folders (or these files themselves) whose names have this ending.
pub(super) fn sources(roots: &[&str], ending: &str) -> Vec<Source> {
    let mut found = vec![];
    let mut pending: Vec<_> = roots.iter().map(|root| file(root)).collect();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            // Build artifacts are not checked.
            if !path.ends_with("target") {
                pending.extend(
                    std::fs::read_dir(path)
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
            }
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(read(&path));
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(!found.is_empty(), "{roots:?} hold no {ending}");
    found
}

fn read(path: &Path) -> Source {
    let relative = path.strip_prefix(file("")).unwrap();
    Source {
        path: relative.to_string_lossy().into_owned(),
        text: std::fs::read_to_string(path).unwrap(),
    }
}

/// A file's module path: `chat::message` for `src/chat/message.rs`.
pub(super) fn module(path: &str) -> Vec<String> {
    let (_, inside) = path.rsplit_once("src/").unwrap();
    let name = inside.trim_end_matches(".rs").trim_end_matches("/mod");
    match name {
        "lib" | "main" => vec![],
        name => name.split('/').map(ToOwned::to_owned).collect(),
    }
}
