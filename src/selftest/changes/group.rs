//! A client that removes members of groups and adds them again.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use super::Unsure;
use crate::selftest::{
    Test,
    findings::Kind,
    form::plain,
    ledger::Settled,
    people::{Conversation, Use, group_change},
    request::{Request, V4},
    rng::Rng,
    wire::{Answer, Wire},
};

/// Removes the last member of each group, checks that nothing is served to them, and adds them again.
pub(in crate::selftest) async fn remove(test: Arc<Test>, mut rng: Rng) {
    let groups: Vec<Conversation> = test.people.used(Use::Group).into_iter().cloned().collect();
    let mut unsure = Unsure(HashMap::new());
    while test.is_writing() {
        test.rest(test.plan.change_millis, &mut rng).await;
        let Some(group) = rng.pick(&groups) else {
            return;
        };
        let (Some(admin), Some(member)) = (
            test.people.member(group, 0),
            test.people.member(group, group.members.len() - 1),
        ) else {
            return;
        };
        if unsure.is_unsure(&test, &group.id) {
            continue;
        }
        let mut wire = Wire::new(admin, rng.below(2), rng.fork());
        let is_in = {
            let mut ledger = test.ledger();
            let state = ledger
                .members
                .entry((group.id, member.user))
                .or_insert(Settled {
                    value: true,
                    since: None,
                });
            // Until the answer, nobody can say whether the member is in the group.
            state.since = None;
            state.value
        };
        let action = if is_in {
            "removeparticipants"
        } else {
            "addparticipants"
        };
        let insisted = wire
            .insist(&test.cluster, &group_change(action, group.id, member.user))
            .await;
        unsure.note(group.id, &insisted);
        if test.is_refused(action, &insisted) {
            continue;
        }
        test.removals
            .fetch_add(usize::from(is_in), Ordering::Relaxed);
        let instance = {
            let mut ledger = test.ledger();
            ledger.members.insert(
                (group.id, member.user),
                Settled {
                    value: !is_in,
                    since: Some(Instant::now()),
                },
            );
            if !is_in {
                // A member who comes back may have their old flags or the default ones: neither is promised.
                ledger.flags.remove(&(group.id, member.user));
            }
            ledger.instances.get(&group.id).cloned().unwrap_or_default()
        };
        if is_in {
            let mut removed = Wire::new(member, 0, rng.fork());
            for node in 0..test.cluster.size() {
                // Two statements, each of which has to check membership; and each node has its own page cache.
                for action in ["download", "downloadpartial"] {
                    let answer = removed
                        .ask(
                            &test.cluster,
                            node,
                            &Request::on(action, group.id, &instance, V4),
                        )
                        .await;
                    if let Answer::Done(_) = answer {
                        test.cluster.findings.add(Kind::Leaked, || {
                            format!(
                                "{action} of {} was answered to a removed member",
                                plain(group.id)
                            )
                        });
                    }
                }
            }
        }
    }
}
