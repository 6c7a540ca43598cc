//! A client that removes members of groups and adds them again.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use super::rekey::{Roster, announce};
use crate::selftest::{
    Test,
    findings::Kind,
    form::plain,
    ledger::Settled,
    pen::Pen,
    people::{Conversation, Use},
    request::{Request, V4},
    rng::Rng,
    wire::{Answer, Wire},
};

/// Removes the last member of each group with a new epoch, checks that nothing is served to them,
/// and adds them again.
pub(in crate::selftest) async fn remove(test: Arc<Test>, mut rng: Rng) {
    let groups: Vec<Conversation> = test.people.used(Use::Group).into_iter().cloned().collect();
    let mut pens = HashMap::new();
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
        let Some(who) = group.members.first().copied() else {
            return;
        };
        let pen = pens
            .entry(who)
            .or_insert_with(|| Pen::new(who, admin, &mut rng));
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
            let is_in = state.value;
            if !is_in {
                ledger.comes_back(group.id, member.user, Instant::now());
            }
            is_in
        };
        let roster = if is_in {
            Roster::Without(member.user)
        } else {
            Roster::With(member.user)
        };
        let Some(done) = announce(&test, pen, group, roster).await else {
            continue;
        };
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
            if is_in {
                ledger.is_out(group.id, member.user, done);
            } else {
                // A member who comes back may have their old flags or the default ones: neither is promised.
                ledger.flags.remove(&(group.id, member.user));
            }
            ledger.instances.get(&group.id).cloned().unwrap_or_default()
        };
        if is_in {
            let mut removed = Wire::new(member, 0, rng.fork());
            for node in 0..test.cluster.size() {
                // Three statements, each of which has to check membership; and each node has its
                // own page cache.
                for action in ["download", "downloadpartial", "epochs"] {
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
