//! Those who do other things than write: report, clear, remove and add members, set flags, and page backwards.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    Test,
    dice::Dice,
    findings::Kind,
    form::{dashed, plain},
    ledger::{Flags, Reported, Settled},
    people::{Conversation, Use, group_change},
    wire::{Answer, Asked, Insisted, Station, V3, V4, Wire},
    writer,
};

/// What was asked before it was calm for so long is carried out by then, or never.
const CALM: Duration = Duration::from_secs(2);

/// Changes of which a try was not answered: it may be carried out late. Repeated it changes nothing; but what would be changed
/// otherwise meanwhile, it would change back.
struct Unsure<Key>(HashMap<Key, Instant>);

impl<Key: Eq + Hash> Unsure<Key> {
    fn note(&mut self, key: Key, insisted: &Insisted) {
        if insisted.is_uncertain {
            self.0.insert(key, insisted.answered);
        }
    }

    /// Whether something that was asked of it may be on its way yet.
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

    async fn rest(&self, millis: usize, dice: &mut Dice) {
        let until = Instant::now()
            + Duration::from_millis(u64::try_from(millis / 2 + dice.below(millis)).unwrap_or(0));
        while self.is_writing() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Reports messages as viewed or delivered, some again.
pub(super) async fn report(test: Arc<Test>, mut dice: Dice) {
    let mut wires: Vec<Wire> = test
        .people
        .writers
        .iter()
        .enumerate()
        .map(|(number, who)| Wire::new(*who, number, dice.fork()))
        .collect();
    while test.is_writing() {
        test.rest(test.plan.report_millis, &mut dice).await;
        let Some(conversation) = dice.pick(&test.people.conversations).cloned() else {
            return;
        };
        let kind = dice
            .pick(&["viewed", "delivered"])
            .copied()
            .unwrap_or("viewed");
        // The last member of a group may have been removed.
        let members = conversation.members.len() - usize::from(conversation.r#use == Use::Group);
        let Some(who) = conversation.members.get(dice.below(members)).copied() else {
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
            let newest = answered
                .get(answered.len().saturating_sub(30)..)
                .unwrap_or_default();
            let ids: Vec<_> = (0..=dice.below(4))
                .filter_map(|_| dice.pick(newest).copied())
                .collect();
            for id in &ids {
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
        let asked = Asked {
            api: "chatreports",
            ..Asked::on(kind, conversation.id, &instance, V3).with("messageids", json!(texts))
        };
        let insisted = wire.insist(&test.cluster, &asked).await;
        let is_stale = insisted
            .result
            .as_ref()
            .is_err_and(|refusal| refusal.is("stale_instance"));
        let is_late = is_stale && conversation.r#use == Use::Cleared;
        if is_late || test.is_refused("a report", &insisted) {
            continue;
        }
        let mut ledger = test.ledger();
        for id in ids {
            if let Some(sent) = ledger.reported.get_mut(&(conversation.id, id, user, kind)) {
                sent.answered.get_or_insert(insisted.answered);
            }
        }
    }
}

/// Clears conversations, and sees that the old instance is refused from then on.
pub(super) async fn clear(test: Arc<Test>, mut dice: Dice) {
    let conversations: Vec<Conversation> = test
        .people
        .used(Use::Cleared)
        .into_iter()
        .cloned()
        .collect();
    while test.is_writing() {
        test.rest(test.plan.change_millis, &mut dice).await;
        let Some(conversation) = dice.pick(&conversations) else {
            return;
        };
        let place = dice.below(2);
        let (Some(who), Some(writer)) = (
            test.people.member(conversation, place),
            conversation.members.get(place),
        ) else {
            return;
        };
        let Some(old) = test.ledger().instances.get(&conversation.id).cloned() else {
            return;
        };
        let mut wire = Wire::new(who, dice.below(2), dice.fork());
        let insisted = wire
            .insist(
                &test.cluster,
                &Asked::on("clear", conversation.id, &old, V4),
            )
            .await;
        let new = match &insisted.result {
            Ok(answer) => answer
                .get("conversation")
                .and_then(|conversation| conversation.get("instance")),
            // An earlier try was carried out.
            Err(refusal) if refusal.is("stale_instance") && insisted.is_uncertain => {
                refusal.body.get("instance")
            }
            Err(_) => None,
        };
        let Some(new) = new.and_then(|new| new.as_str()).filter(|new| *new != old) else {
            match &insisted.result {
                Ok(answer) => test.cluster.findings.add(Kind::Altered, || {
                    format!("clear of {old} was answered {answer}")
                }),
                Err(refusal) => test.cluster.findings.add_refusal("a clear", refusal),
            }
            continue;
        };
        test.clears.fetch_add(1, Ordering::Relaxed);
        {
            let mut ledger = test.ledger();
            ledger
                .cleared
                .insert((conversation.id, old.clone()), insisted.answered);
            ledger.instances.insert(conversation.id, new.to_owned());
            ledger.answered.remove(&conversation.id);
        }
        for node in 0..test.cluster.size() {
            if let Answer::Done(_) = wire
                .ask(
                    &test.cluster,
                    node,
                    &Asked::on("download", conversation.id, &old, V4),
                )
                .await
            {
                let says = || {
                    format!(
                        "{old} of {} was served after its clear",
                        plain(conversation.id)
                    )
                };
                test.cluster.findings.add(Kind::OldInstance, says);
            }
            write_to_old(
                &test,
                &mut wire,
                node,
                (conversation, *writer, &old),
                &mut dice,
            )
            .await;
        }
        if let Some(sent) = test.new_message(conversation, *writer, None, &mut dice) {
            writer::deliver(&test, &mut wire, &sent).await;
        }
    }
}

/// Writes to an instance that was cleared before: an OK is found by the book.
async fn write_to_old(
    test: &Test,
    wire: &mut Wire,
    node: usize,
    to: (&Conversation, usize, &str),
    dice: &mut Dice,
) {
    let (conversation, who, old) = to;
    let Some(sent) = test.new_message_for(conversation, who, old, None, dice) else {
        return;
    };
    match wire.ask(&test.cluster, node, &writer::add(&sent)).await {
        Answer::Done(answer) => test.is_answered(&sent, &answer, Instant::now()),
        Answer::Refused(refusal) if refusal.is("stale_instance") => {}
        Answer::Refused(refusal) => test
            .cluster
            .findings
            .add_refusal("add to a cleared instance", &refusal),
        Answer::Unknown => {}
    }
}

/// Removes the last member of each group, sees that nothing is served to them, and adds them again.
pub(super) async fn remove(test: Arc<Test>, mut dice: Dice) {
    let groups: Vec<Conversation> = test.people.used(Use::Group).into_iter().cloned().collect();
    let mut unsure = Unsure(HashMap::new());
    while test.is_writing() {
        test.rest(test.plan.change_millis, &mut dice).await;
        let Some(group) = dice.pick(&groups) else {
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
        let mut wire = Wire::new(admin, dice.below(2), dice.fork());
        let is_in = {
            let mut ledger = test.ledger();
            let state = ledger
                .members
                .entry((group.id, member.user))
                .or_insert(Settled {
                    value: true,
                    since: None,
                });
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
                // Whoever comes back has the flags that were set, or the usual ones: that is not promised.
                ledger.flags.remove(&(group.id, member.user));
            }
            ledger.instances.get(&group.id).cloned().unwrap_or_default()
        };
        if is_in {
            let mut removed = Wire::new(member, 0, dice.fork());
            for node in 0..test.cluster.size() {
                for action in ["download", "downloadpartial"] {
                    let answer = removed
                        .ask(
                            &test.cluster,
                            node,
                            &Asked::on(action, group.id, &instance, V4),
                        )
                        .await;
                    if let Answer::Done(_) = answer {
                        test.cluster.findings.add(Kind::Leaked, || {
                            format!(
                                "{action} of {} was answered to who was removed",
                                plain(group.id)
                            )
                        });
                    }
                }
            }
        }
    }
}

/// Sets flags, each of one user: the other's are not touched.
pub(super) async fn flag(test: Arc<Test>, mut dice: Dice) {
    let two: Vec<Conversation> = test
        .people
        .conversations
        .iter()
        .filter(|one| one.r#use != Use::Group)
        .cloned()
        .collect();
    let mut unsure = Unsure(HashMap::new());
    while test.is_writing() {
        test.rest(test.plan.change_millis / 4, &mut dice).await;
        let Some(conversation) = dice.pick(&two) else {
            return;
        };
        let Some(who) = test.people.member(conversation, dice.below(2)) else {
            return;
        };
        let mut wire = Wire::new(who, dice.below(2), dice.fork());
        let (key, flag) = ((conversation.id, who.user), dice.below(4));
        if unsure.is_unsure(&test, &(key, flag)) {
            continue;
        }
        let Some(mut flags) = test.ledger().flags.get_mut(&key).map(|flags| {
            flags.since = None;
            flags.value.clone()
        }) else {
            continue;
        };
        let mut asked = Asked::on("", conversation.id, "", V4);
        let action = match flag {
            0 => {
                flags.is_muted = !flags.is_muted;
                if flags.is_muted { "mute" } else { "unmute" }
            }
            1 => {
                flags.is_favorite = !flags.is_favorite;
                if flags.is_favorite {
                    "favorite"
                } else {
                    "unfavorite"
                }
            }
            2 => {
                flags.is_hidden = !flags.is_hidden;
                if flags.is_hidden { "hide" } else { "unhide" }
            }
            _ => {
                flags.color = format!("#{:06x}", dice.below(1 << 24));
                asked = asked.with("color", flags.color.clone());
                "setlistitembackgroundcolor"
            }
        };
        let insisted = wire
            .insist(&test.cluster, &asked.with("action", action))
            .await;
        unsure.note((key, flag), &insisted);
        if !test.is_refused(action, &insisted) {
            test.ledger().flags.insert(
                key,
                Settled {
                    value: Flags { ..flags },
                    since: Some(Instant::now()),
                },
            );
        }
    }
}
