//! `parlance doctor`: checks the invariants of the tables, and the files outside the database.

use clap::Args;
use serde_json::json;

use super::{Error, Purpose, actor::actor, print_json, say, with_database};
use crate::{
    settings::Settings,
    store::{
        self,
        doctor::Rule,
        file::{self, Fault, LeftOver, Stores},
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

/// A problem that was found.
struct Problem {
    name: &'static str,
    count: u64,
    example: String,
    meaning: &'static str,
}

/// Examines the database and prints the findings. A finding is a problem: exit code 1.
pub(super) async fn run(settings: &Settings, doctor: &Doctor) -> Result<(), Error> {
    let purpose = if doctor.repair {
        Purpose::Change
    } else {
        Purpose::Look
    };
    let stores = Stores::new(settings.stores.clone());
    let (repaired, problems) = with_database(settings, purpose, async |db| {
        // Repairs first and examines afterwards, so that the findings and the exit code are about
        // what is left.
        let (mut repaired, left_over) = if doctor.repair {
            let repaired = store::doctor::repair(db, &actor(), Timestamp::now()).await?;
            (repaired, LeftOver::Delete)
        } else {
            (0, LeftOver::Report)
        };
        let tables = store::doctor::examine(db).await?;
        let files = file::examine(db, &stores, left_over).await?;
        repaired += files.deleted;
        let tables = tables.into_iter().map(|finding| Problem {
            name: finding.rule.name(),
            count: finding.count.unsigned_abs(),
            example: finding.example,
            meaning: finding.rule.meaning(),
        });
        let files = files.findings().into_iter().map(|finding| Problem {
            name: finding.fault.name(),
            count: finding.count,
            example: finding.example,
            meaning: finding.fault.meaning(),
        });
        Ok((repaired, tables.chain(files).collect::<Vec<_>>()))
    })
    .await?;
    if doctor.json {
        let shown = |problem: &Problem| {
            json!({
                "rule": problem.name, "count": problem.count,
                "example": problem.example, "meaning": problem.meaning,
            })
        };
        print_json(
            &json!({ "repaired": repaired, "findings": problems.iter().map(shown).collect::<Vec<_>>() }),
        )?;
    } else {
        if doctor.repair {
            say(format_args!("Repaired: {repaired} rows and objects."))?;
        }
        for Problem {
            name,
            count,
            example,
            meaning,
            ..
        } in &problems
        {
            say(format_args!(
                "{name}: {count}, for example {example}.\n  {meaning}."
            ))?;
        }
    }
    let rules = Rule::ALL.len() + Fault::ALL.len();
    if problems.is_empty() {
        return if doctor.json {
            Ok(())
        } else {
            say(format_args!("All {rules} rules hold."))
        };
    }
    Err(Error::Unhealthy {
        broken: problems.len(),
        rules,
    })
}
