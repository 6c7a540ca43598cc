//! A client that clears conversations.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use crate::selftest::{
    Test,
    findings::Kind,
    form::plain,
    people::{Conversation, Use},
    request::{Request, V4},
    rng::Rng,
    wire::{Answer, Wire},
};

/// Clears conversations, and checks that the old instance is refused from then on.
pub(in crate::selftest) async fn clear(test: Arc<Test>, mut rng: Rng) {
    let conversations: Vec<Conversation> = test
        .people
        .used(Use::Cleared)
        .into_iter()
        .cloned()
        .collect();
    while test.is_writing() {
        test.rest(test.plan.change_millis, &mut rng).await;
        let Some(conversation) = rng.pick(&conversations) else {
            return;
        };
        let place = rng.below(2);
        let (Some(who), Some(writer)) = (
            test.people.member(conversation, place),
            conversation.members.get(place),
        ) else {
            return;
        };
        let Some(old) = test.ledger().instances.get(&conversation.id).cloned() else {
            return;
        };
        test.ledger()
            .clearing
            .insert((conversation.id, old.clone()));
        let mut wire = Wire::new(who, rng.below(2), rng.fork());
        let insisted = wire
            .insist(
                &test.cluster,
                &Request::on("clear", conversation.id, &old, V4),
            )
            .await;
        let new = match &insisted.result {
            Ok(answer) => answer
                .get("conversation")
                .and_then(|conversation| conversation.get("instance")),
            // An earlier attempt was carried out, though its answer was lost.
            Err(refusal) if refusal.is("stale_instance") && insisted.is_uncertain => {
                refusal.body.get("instance")
            }
            Err(_) => None,
        };
        // An OK with the same instance means that nothing was cleared.
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
            // From its answer on: while it was on its way, either instance may have been served.
            let mut ledger = test.ledger();
            ledger
                .cleared
                .insert((conversation.id, old.clone()), insisted.answered);
            ledger.instances.insert(conversation.id, new.to_owned());
            ledger.answered.remove(&conversation.id);
        }
        // On every node: each has a page cache of its own, and may not have heard of the clear yet.
        for node in 0..test.cluster.size() {
            if let Answer::Done(_) = wire
                .ask(
                    &test.cluster,
                    node,
                    &Request::on("download", conversation.id, &old, V4),
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
            write_to_old(&test, &mut wire, node, (conversation, &old), &mut rng).await;
        }
        // Readers that were not told of the clear miss this message, and that shows at the end.
        if let Some(pen) = test.pens.get(*writer) {
            let mut pen = pen.lock().await;
            if let Some(sent) = pen.write(&test, conversation, None).await {
                pen.deliver(&test, sent).await;
            }
        }
    }
}

/// Writes to an instance that was cleared before. If that is answered OK, the ledger records a finding.
async fn write_to_old(
    test: &Test,
    wire: &mut Wire,
    node: usize,
    to: (&Conversation, &str),
    rng: &mut Rng,
) {
    let (conversation, old) = to;
    let Some(sent) = test.new_message(conversation, wire.who, Some(old), None, rng) else {
        return;
    };
    match wire.ask(&test.cluster, node, &sent.add()).await {
        Answer::Done(answer) => test.is_answered(&sent, &answer, Instant::now()),
        Answer::Refused(refusal) if refusal.is("stale_instance") => {}
        Answer::Refused(refusal) => test
            .cluster
            .findings
            .add_refusal("add to a cleared instance", &refusal),
        Answer::Unknown => {}
    }
}
