//! Messages where little else happens: into quiet conversations, into the large one, and a node's last words.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::{Writer, add, deliver};
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
            let Some(sent) = test.new_message(conversation, who, Some(100), &mut rng) else {
                continue;
            };
            let (test, mut wire) = (test.clone(), Wire::new(sent.sender, who, rng.fork()));
            tasks.spawn(async move { deliver(&test, &mut wire, &sent).await });
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
            let Some(mut writer) = Writer::new(test.clone(), *who, rng.fork()) else {
                continue;
            };
            for _ in 0..LARGE_MESSAGES / 8 {
                let messages = (0..4)
                    .filter_map(|_| test.new_message(conversation, *who, Some(LARGE), &mut rng));
                let messages: Vec<_> = messages.map(|sent| (sent, 0)).collect();
                test.pace(messages.len()).await;
                writer.send(messages).await;
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
        let Some(sent) = test.new_message(conversation, who, Some(100), rng) else {
            continue;
        };
        let mut wire = Wire::new(sent.sender, node, rng.fork());
        // Once, and by this node alone: a retry at another one would have that announce the message.
        match wire.ask(&test.cluster, node, &add(&sent)).await {
            Answer::Done(answer) => test.is_answered(&sent, &answer, Instant::now()),
            Answer::Refused(refusal) if !refusal.is_temporary() => {
                test.cluster.findings.add_refusal(
                    &format!("add of last words in {}", plain(sent.conversation)),
                    &refusal,
                );
            }
            _ => unanswered.push((wire, sent)),
        }
    }
    for (mut wire, sent) in unanswered {
        deliver(test, &mut wire, &sent).await;
    }
}
