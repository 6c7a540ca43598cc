//! A client that begins the next epoch of conversations, also to remove and add members.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use parlance_client::{
    UserId,
    e2ee::{Head, Members, NewEpoch},
};
use parlance_wire::chain::Chain;
use serde_json::json;

use crate::selftest::{
    Test,
    form::{Id, plain, read_plain, user},
    keyring::Followed,
    pen::Pen,
    people::{Conversation, Use},
    request::{Request, V4},
    rng::Rng,
};

/// Maximum attempts because another epoch got the number.
const MAX_TRIES: usize = 50;

/// The change of the participants with an epoch.
#[derive(Debug, Clone, Copy)]
pub(super) enum Roster {
    Same,
    With(Id),
    Without(Id),
}

/// Begins epochs in conversations that are being written to.
pub(in crate::selftest) async fn rekey(test: Arc<Test>, mut rng: Rng) {
    let conversations: Vec<Conversation> = test
        .people
        .conversations
        .iter()
        // A node's last words must not need a second request, and the large conversation stays
        // unchanged.
        .filter(|one| !matches!(one.r#use, Use::LastWords | Use::Large))
        .cloned()
        .collect();
    let mut pens = HashMap::new();
    while test.is_writing() {
        test.rest(test.plan.change_millis / 2, &mut rng).await;
        let Some(conversation) = rng.pick(&conversations) else {
            return;
        };
        // The last member of a group may have been removed, and would rightly be refused.
        let members = conversation.members.len() - usize::from(conversation.r#use == Use::Group);
        let Some(who) = conversation.members.get(rng.below(members)).copied() else {
            continue;
        };
        let Some(at) = test.people.writers.get(who).copied() else {
            continue;
        };
        let pen = pens
            .entry(who)
            .or_insert_with(|| Pen::new(who, at, &mut rng));
        announce(&test, pen, conversation, Roster::Same).await;
    }
}

/// Announces the next epoch of a conversation, or if its number is taken, the one after that.
/// Returns when it existed, or `None` if it was refused, which is recorded.
pub(super) async fn announce(
    test: &Test,
    pen: &mut Pen,
    conversation: &Conversation,
    roster: Roster,
) -> Option<Instant> {
    for _ in 0..MAX_TRIES {
        let followed = pen.keyring.follow(test, &mut pen.wire, conversation).await;
        if followed != Followed::Yes {
            return None;
        }
        let epochs = pen.keyring.epochs(conversation.id)?;
        let has = |id: Id| user(id).is_some_and(|user| epochs.members().contains_key(&user));
        let is_done = match roster {
            Roster::Same => false,
            Roster::With(member) => has(member),
            Roster::Without(member) => !has(member),
        };
        if is_done {
            // By a previous attempt whose answer was lost.
            return Some(Instant::now());
        }
        let instance = test.ledger().instances.get(&conversation.id)?.clone();
        let new = next(test, pen, conversation, &instance, roster)?;
        let asked = request(test, conversation, &instance, &new, roster)?;
        let number = new.announcement.announcement.epoch().get();
        let members = new.accepted().members().keys().filter_map(id_of).collect();
        // Before it is sent: others may seal messages in it before its maker gets the answer.
        test.ledger()
            .announces(conversation.id, new.secret.kid(), number, members);
        let insisted = pen.wire.insist(&test.cluster, &asked).await;
        match insisted.result {
            Ok(_) => {
                test.ledger()
                    .epoch_was_shown(conversation.id, number, insisted.answered);
                pen.keyring.announced(conversation.id, &new);
                test.rekeys.fetch_add(1, Ordering::Relaxed);
                return Some(insisted.answered);
            }
            Err(refusal) if refusal.is("stale_epoch") => {}
            Err(refusal)
                if refusal.is("stale_instance") && test.is_cleared_often(conversation.id) => {}
            Err(refusal) => {
                test.cluster.findings.add_refusal("rekey", &refusal);
                return None;
            }
        }
    }
    None
}

fn id_of(user: &UserId) -> Option<Id> {
    read_plain(&user.to_string())
}

/// The next epoch, according to its maker's knowledge of the conversation.
fn next(
    test: &Test,
    pen: &Pen,
    conversation: &Conversation,
    instance: &str,
    roster: Roster,
) -> Option<NewEpoch> {
    let epochs = pen.keyring.epochs(conversation.id)?;
    let mut members: Members = epochs.members().clone();
    match roster {
        Roster::Same => {}
        Roster::With(member) => {
            let member = user(member)?;
            members.insert(member, test.people.directory.member(member)?);
        }
        Roster::Without(member) => {
            members.remove(&user(member)?);
        }
    }
    let admins = epochs.newest().admins().clone();
    let (seq, chain) = test.ledger().head(conversation.id, instance);
    let head = Head {
        seq,
        chain: Chain::parse(&hex::encode(chain)),
    };
    let maker = test.people.maker(pen.who)?;
    epochs.rekey(maker, members, admins, head).ok()
}

fn request(
    test: &Test,
    conversation: &Conversation,
    instance: &str,
    new: &NewEpoch,
    roster: Roster,
) -> Option<Request> {
    let signed = &new.announcement;
    let [added, removed]: [Vec<String>; 2] = match roster {
        Roster::Same => [vec![], vec![]],
        Roster::With(member) => [vec![plain(member)], vec![]],
        Roster::Without(member) => [vec![], vec![plain(member)]],
    };
    let fields = json!({
        "action": "rekey", "conversationid": plain(conversation.id), "instance": instance,
        "epoch": signed.announcement.epoch(), "announcement": signed.announcement, "signature": signed.signature,
        "secrets": test.people.wrapped(new)?, "addparticipants": added, "removeparticipants": removed,
    });
    Some(Request {
        api: "chatconversation",
        version: V4,
        fields,
    })
}
