//! `parlance doctor`: checks the invariants of the tables.

use clap::Args;
use serde_json::json;

use super::{Error, Purpose, actor::actor, print_json, say, with_database};
use crate::{
    settings::Settings,
    store::{
        self,
        doctor::{Finding, Rule},
    },
};
use parlance_wire::time::Timestamp;

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Repair what can be repaired without losing anything, then check again
    #[arg(long)]
    repair: bool,
    /// For scripts: one JSON object
    #[arg(long)]
    json: bool,
}

/// Examines the database and prints the findings. A finding is a problem: exit code 1.
pub(super) async fn run(settings: &Settings, doctor: &Doctor) -> Result<(), Error> {
    let purpose = if doctor.repair {
        Purpose::Change
    } else {
        Purpose::Look
    };
    let (repaired, findings) = with_database(settings, purpose, async |db| {
        // Repairs first and examines afterwards, so that the findings and the exit code are about
        // what is left.
        let repaired = if doctor.repair {
            store::doctor::repair(db, &actor(), Timestamp::now()).await?
        } else {
            0
        };
        Ok((repaired, store::doctor::examine(db).await?))
    })
    .await?;
    if doctor.json {
        let shown = |finding: &Finding| {
            json!({
                "rule": key(finding.rule), "count": finding.count,
                "example": finding.example, "meaning": finding.rule.meaning(),
            })
        };
        print_json(
            &json!({ "repaired": repaired, "findings": findings.iter().map(shown).collect::<Vec<_>>() }),
        )?;
    } else {
        if doctor.repair {
            say(format_args!("Repaired: {repaired} rows."))?;
        }
        for Finding {
            rule,
            count,
            example,
        } in &findings
        {
            say(format_args!(
                "{rule:?}: {count}, as {example}.\n  {}.",
                rule.meaning()
            ))?;
        }
    }
    if findings.is_empty() {
        return if doctor.json {
            Ok(())
        } else {
            say(format_args!("All {} rules hold.", Rule::ALL.len()))
        };
    }
    Err(Error::Unhealthy {
        broken: findings.len(),
        rules: Rule::ALL.len(),
    })
}

/// The name of a rule in JSON, for scripts. It must stay when the rule is renamed in the code.
fn key(rule: Rule) -> &'static str {
    match rule {
        Rule::Dense => "dense",
        Rule::HistoryHead => "newest",
        Rule::Instance => "instance",
        Rule::Orphan => "orphan",
        Rule::Report => "report",
        Rule::Direct => "two",
        Rule::Admin => "admin",
        Rule::Invitation => "invitation",
        Rule::Chain => "chain",
        Rule::Cards => "cards",
        Rule::KeyLog => "keylog",
        Rule::Epochs => "epochs",
        Rule::Station => "stations",
        Rule::Viewed => "viewed",
        Rule::Files => "files",
        Rule::Usage => "usage",
        Rule::Audit => "audit",
        Rule::Index => "index",
    }
}
