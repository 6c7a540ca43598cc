//! Embeds the output of `script/web` in `web/dist` as a table of files for
//! `src/server/web_client.rs`. Without that output the table is empty, and the server says that it
//! has no client.

use std::{
    env,
    ffi::OsStr,
    fmt::Write as _,
    fs,
    io::{self, Error},
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    // A path that does not exist yet would count as changed in every build, so script/web touches
    // this file.
    println!("cargo::rerun-if-changed=build.rs");
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let dist = root.join("web/dist");
    let stamp = dist.join("version");
    let mut table = String::from("const FILES: &[File] = &[\n");
    let mut version = "none".to_owned();
    if stamp.exists() {
        // Written last by every change to the files.
        println!("cargo::rerun-if-changed=web/dist/version");
        fs::read_to_string(&stamp)?.trim().clone_into(&mut version);
        let mut files = vec![];
        collect(&dist, &mut files)?;
        files.sort();
        for file in files {
            append(&mut table, &dist, &file)?;
        }
    } else {
        println!("cargo::warning=this binary gets no web client: script/web builds it");
    }
    table.push_str("];\n");
    println!(
        "cargo::rustc-env=PARLANCE_VERSION={} (web client: {version})",
        variable("CARGO_PKG_VERSION")?
    );
    fs::write(
        Path::new(&variable("OUT_DIR")?).join("web_client.rs"),
        table,
    )
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(|error| Error::other(format!("{name}: {error}")))
}

/// All files below a directory, without the compressed versions of others.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if !matches!(extension(&path), "br" | "gz" | "") {
            files.push(path);
        }
    }
    Ok(())
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(OsStr::to_str).unwrap_or_default()
}

fn append(table: &mut String, dist: &Path, file: &Path) -> io::Result<()> {
    let content_type = match extension(file) {
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        "wasm" => "application/wasm",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        other => {
            return Err(Error::other(format!(
                "{other}: a file without a media type"
            )));
        }
    };
    let path = file.strip_prefix(dist).map_err(Error::other)?.display();
    let path = if path.to_string() == "index.html" {
        "/".to_owned()
    } else {
        format!("/{path}")
    };
    let file = file.display().to_string();
    let compressed = |suffix: &str| {
        let packed = format!("{file}.{suffix}");
        if Path::new(&packed).exists() {
            format!("Some(include_bytes!({packed:?}))")
        } else {
            "None".to_owned()
        }
    };
    writeln!(
        table,
        "File {{ path: {path:?}, content_type: {content_type:?}, plain: include_bytes!({file:?}), brotli: {}, gzip: {} }},",
        compressed("br"),
        compressed("gz"),
    )
    .map_err(Error::other)
}
