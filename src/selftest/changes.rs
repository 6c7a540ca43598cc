//! Clients that make changes other than writing: reports, clearing, epochs, removing and adding
//! members, and flags.

mod clear;
mod flags;
mod group;
mod rekey;

use std::{
    collections::HashMap,
    hash::Hash,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;

pub(super) use self::{clear::clear, flags::flag, group::remove, rekey::rekey};
use super::{
    Test,
    form::dashed,
    ledger::Reported,
    people::Use,
    request::{Request, Station, V3},
    rng::Rng,
    wire::{Insisted, Wire},
};

/// After this much calm, a request that was not answered has been carried out, or never will be.
const CALM: Duration = Duration::from_secs(2);

/// Changes of which an attempt was not answered. It may be carried out late: repeated, it changes nothing, but it
/// would undo another change made meanwhile.
struct Unsure<Key>(HashMap<Key, Instant>);

impl<Key: Eq + Hash> Unsure<Key> {
    fn note(&mut self, key: Key, insisted: &Insisted) {
        if insisted.is_uncertain {
            self.0.insert(key, insisted.answered);
        }
    }

    /// Returns `true` while an unanswered attempt may still be carried out.
    fn is_unsure(&mut self, test: &Test, key: &Key) -> bool {
        let is_unsure = self
            .0
            .get(key)
            .is_some_and(|since| test.cluster.calm_since(*since) < CALM);
        if !is_unsure {
            self.0.remove(key);
        }
        is_unsure
    }
}

impl Test {
    fn is_refused(&self, what: &str, insisted: &Insisted) -> bool {
        if let Err(refusal) = &insisted.result {
            self.cluster.findings.add_refusal(what, refusal);
        }
        insisted.result.is_err()
    }

    async fn rest(&self, millis: usize, rng: &mut Rng) {
        let until = Instant::now()
            + Duration::from_millis(u64::try_from(millis / 2 + rng.below(millis)).unwrap_or(0));
        // In short pieces, so that the end of the run does not wait for it.
        while self.is_writing() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Reports messages as viewed or delivered, some again.
pub(super) async fn report(test: Arc<Test>, mut rng: Rng) {
    let mut wires: Vec<Wire> = test
        .people
        .writers
        .iter()
        .enumerate()
        .map(|(number, who)| Wire::new(*who, number, rng.fork()))
        .collect();
    while test.is_writing() {
        test.rest(test.plan.report_millis, &mut rng).await;
        let Some(conversation) = rng.pick(&test.people.conversations).cloned() else {
            return;
        };
        let kind = rng
            .pick(&["viewed", "delivered"])
            .copied()
            .unwrap_or("viewed");
        // The last member of a group may have been removed, and would rightly be refused.
        let members = conversation.members.len() - usize::from(conversation.r#use == Use::Group);
        let Some(who) = conversation.members.get(rng.below(members)).copied() else {
            continue;
        };
        let Some(wire) = wires.get_mut(who) else {
            continue;
        };
        let Station { user, station } = wire.who;
        let (ids, instance) = {
            let mut ledger = test.ledger();
            let Some(instance) = ledger.instances.get(&conversation.id).cloned() else {
                continue;
            };
            let answered = ledger
                .answered
                .get(&conversation.id)
                .map_or(&[][..], Vec::as_slice);
            // Of the newest only, as people report; so several users report the same message at once.
            let newest = answered
                .get(answered.len().saturating_sub(30)..)
                .unwrap_or_default();
            let ids: Vec<_> = (0..=rng.below(4))
                .filter_map(|_| rng.pick(newest).copied())
                .collect();
            for id in &ids {
                // Recorded before it is sent: a reader may be shown it before its answer arrives here.
                let sent = Reported {
                    station,
                    instance: instance.clone(),
                    begun_at: super::form::now(),
                    answered: None,
                };
                ledger
                    .reported
                    .entry((conversation.id, *id, user, kind))
                    .or_insert(sent);
            }
            (ids, instance)
        };
        if ids.is_empty() {
            continue;
        }
        let texts: Vec<_> = ids.iter().map(|id| dashed(*id)).collect();
        let asked = Request {
            api: "chatreports",
            ..Request::on(kind, conversation.id, &instance, V3).with("messageids", json!(texts))
        };
        let insisted = wire.insist(&test.cluster, &asked).await;
        let is_stale = insisted
            .result
            .as_ref()
            .is_err_and(|refusal| refusal.is("stale_instance"));
        // Another task may have cleared it since its instance was read.
        let is_late = is_stale && conversation.r#use == Use::Cleared;
        if is_late || test.is_refused("a report", &insisted) {
            continue;
        }
        let mut ledger = test.ledger();
        for id in ids {
            if let Some(sent) = ledger.reported.get_mut(&(conversation.id, id, user, kind)) {
                // The first OK counts: from then on readers have to be told, and a repetition stores nothing.
                sent.answered.get_or_insert(insisted.answered);
            }
        }
    }
}
