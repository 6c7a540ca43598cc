//! `parlance audit`: shows the audit log and checks it.

use clap::Args;
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use std::collections::BTreeMap;

use super::{Error, Purpose, print_json, say, with_database};
use crate::{
    settings::Settings,
    store::{self, Db, audit::Line},
};

/// Lines read per query.
const PAGE: i64 = 1000;

#[derive(Debug, Args)]
pub(super) struct Audit {
    /// Only the lines after this number
    #[arg(long, default_value_t = 0)]
    after: i64,
    /// The hash of a line that was noted before; it must still be in the log
    #[arg(long, value_name = "HASH", value_parser = hash)]
    known: Option<String>,
    /// For scripts: one JSON object a line, and one at the end
    #[arg(long)]
    json: bool,
}

/// Parses a line's hash into the form in which the log has it.
fn hash(text: &str) -> Result<String, String> {
    // Otherwise a slip of the hand would say that the log was changed.
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("a hash has 64 hexadecimal digits".into())
    }
}

/// The fields of a line that are shown. A line that does not have them is printed as it is.
#[derive(Deserialize)]
struct Entry {
    at: String,
    actor: String,
    origin: String,
    change: String,
    subject: String,
    #[serde(default)]
    details: BTreeMap<String, String>,
}

/// Shows the log and checks it. A line that was changed or removed is a problem: exit code 1.
pub(super) async fn run(settings: &Settings, audit: &Audit) -> Result<(), Error> {
    let (fault, head, is_known) = with_database(settings, Purpose::Look, async |db| {
        let is_known = show(db, audit).await?;
        // After the lines, so that lines added meanwhile are checked too.
        let fault = store::audit::first_fault(db).await?;
        Ok((fault, store::audit::head(db).await?, is_known))
    })
    .await?;
    let fault = fault.or_else(|| {
        (!is_known).then(|| "the line with the hash of --known is not there".to_owned())
    });
    let count = head.as_ref().map(|(count, _)| *count);
    // Of an empty log there is no line whose hash could be noted.
    let head = head.filter(|(count, _)| *count > 0).map(|(_, head)| head);
    if audit.json {
        print_json(&json!({ "lines": count, "head": head, "fault": fault }))?;
    } else if fault.is_none() {
        match (count, head) {
            (Some(count), Some(head)) => say(format_args!(
                "Intact: {count} lines. The newest one's hash is {head}"
            ))?,
            _ => say(format_args!("The log is empty."))?,
        }
    }
    fault.map_or(Ok(()), |fault| Err(Error::AuditBroken(fault)))
}

/// Prints the lines. Returns `false` if the line of `--known` is not among them.
async fn show(db: &Db, audit: &Audit) -> Result<bool, Error> {
    let mut is_known = audit.known.is_none();
    let mut after = 0;
    loop {
        let lines = store::audit::lines(db, after, PAGE).await?;
        let Some(last) = lines.last() else {
            return Ok(is_known);
        };
        after = last.seq;
        for line in &lines {
            is_known |= audit.known.as_deref() == Some(&*line.chain);
            if line.seq > audit.after {
                print(line, audit.json)?;
            }
        }
    }
}

fn print(line: &Line, json: bool) -> Result<(), Error> {
    if json {
        let entry = RawValue::from_string(line.entry.clone()).ok();
        return print_json(&json!({ "seq": line.seq, "entry": entry, "chain": line.chain }));
    }
    let Ok(entry) = serde_json::from_str::<Entry>(&line.entry) else {
        return say(format_args!("{}  {:?}", line.seq, line.entry));
    };
    let details: Vec<String> = entry
        .details
        .iter()
        .map(|(name, value)| format!("  {name}={value:?}"))
        .collect();
    // Escaped, because a terminal would interpret control characters, and names come from outside.
    say(format_args!(
        "{}  {}  {}  {}{}  by {:?}, {:?}",
        line.seq,
        entry.at,
        entry.change,
        entry.subject.escape_debug(),
        details.concat(),
        entry.actor,
        entry.origin,
    ))
}
