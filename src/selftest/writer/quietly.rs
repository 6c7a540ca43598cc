//! Messages where little else happens: into quiet conversations, into the large one, and a node's last words.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::deliver;
use crate::selftest::{
    Test,
    form::plain,
    people::{Conversation, Use},
    rng::Rng,
    wire::{Answer, Wire},
};

/// Bytes of a message that fills pages, and their number: together more than a page's 4 MiB.
const LARGE: usize = 60_000;
const LARGE_MESSAGES: usize = 96;
/// The number of them that are sent concurrently.
const LARGE_AT_ONCE: usize = 4;

/// Writes one message now and then into each quiet conversation.
pub(in crate::selftest) async fn write_quietly(test: Arc<Test>, mut rng: Rng) {
    let conversations: Vec<Conversation> = test
        .people
        .used(Use::Quiet)
        .into_iter()
        .chain(test.people.used(Use::Large))
        .cloned()
        .collect();
    let pause = |rng: &mut Rng| {
        Duration::from_millis(u64::try_from(1500 + rng.below(test.plan.quiet_millis)).unwrap_or(0))
    };
    let mut due: Vec<Instant> = conversations
        .iter()
        .map(|_| Instant::now() + pause(&mut rng))
        .collect();
    let mut tasks = JoinSet::new();
    while test.is_writing() {
        for (conversation, due) in conversations.iter().zip(&mut due) {
            if *due > Instant::now() {
                continue;
            }
            *due = Instant::now() + pause(&mut rng);
            // Rarely, and far apart: in a busy conversation the next message would make up for a lost notification.
            let Some(who) = rng.pick(&conversation.members).copied() else {
                continue;
            };
            let (test, conversation) = (test.clone(), conversation.clone());
            tasks.spawn(async move {
                let Some(pen) = test.pens.get(who) else {
                    return;
                };
                let mut pen = pen.lock().await;
                if let Some(sent) = pen.write(&test, &conversation, Some(100)).await {
                    pen.deliver(&test, sent).await;
                }
            });
        }
        while tasks.try_join_next().is_some() {}
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A message that was begun has to be answered, or nobody knows whether readers have to be told.
    while tasks.join_next().await.is_some() {}
}

/// Fills the large conversation, a few messages at once.
pub(in crate::selftest) async fn fill(test: Arc<Test>, mut rng: Rng) {
    for conversation in test.people.used(Use::Large) {
        for who in &conversation.members {
            let Some(sender) = test.people.writers.get(*who).copied() else {
                continue;
            };
            for _ in 0..LARGE_MESSAGES / (2 * LARGE_AT_ONCE) {
                test.pace(LARGE_AT_ONCE).await;
                let mut tasks = JoinSet::new();
                for _ in 0..LARGE_AT_ONCE {
                    // Of the published form, because they are for the size of pages, and each
                    // reader reads all of them again.
                    let Some(sent) =
                        test.new_message(conversation, sender, None, Some(LARGE), &mut rng)
                    else {
                        continue;
                    };
                    let (test, mut wire) = (test.clone(), Wire::new(sender, *who, rng.fork()));
                    tasks.spawn(async move { deliver(&test, &mut wire, &sent).await });
                }
                while tasks.join_next().await.is_some() {}
            }
        }
    }
}

/// Has a node answer one message in each of some conversations where nothing else happens. Messages that it does not
/// answer are sent elsewhere.
pub(in crate::selftest) async fn last_words(test: &Test, node: usize, rng: &mut Rng) {
    let mut unanswered = vec![];
    for conversation in test.people.used(Use::LastWords) {
        let Some(who) = rng.pick(&conversation.members).copied() else {
            continue;
        };
        let Some(pen) = test.pens.get(who) else {
            continue;
        };
        let mut pen = pen.lock().await;
        let Some(sent) = pen.write(test, conversation, Some(100)).await else {
            continue;
        };
        // Once, and by this node alone: a retry at another one would have that announce the message.
        match pen.wire.ask(&test.cluster, node, &sent.add()).await {
            Answer::Done(answer) => pen.is_answered(test, &sent, &answer, Instant::now()),
            Answer::Refused(refusal) if !refusal.is_temporary() => {
                test.cluster.findings.add_refusal(
                    &format!("add of last words in {}", plain(sent.conversation)),
                    &refusal,
                );
            }
            _ => unanswered.push((who, sent)),
        }
    }
    for (who, sent) in unanswered {
        if let Some(pen) = test.pens.get(who) {
            pen.lock().await.deliver(test, sent).await;
        }
    }
}
