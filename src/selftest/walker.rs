//! Readers that page backwards with `downloadpartial` from the newest rows to the beginning, and that read a
//! conversation's `transcript`: what they are given has no gap.

mod transcript;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use self::transcript::check_transcript;
use super::{
    Test,
    findings::Kind,
    form::{Id, dashed, plain},
    history::{Held, Reader},
    keyring::{Followed, Keyring},
    ledger::View,
    people::{Conversation, Use},
    request::{Request, V4},
    rng::Rng,
    rows::{Page, Row},
    wire::Wire,
};

/// Maximum rows of a page.
const LONGEST_PAGE: usize = 500;

/// Walks through one conversation after the other.
pub(super) async fn walk(test: Arc<Test>, mut rng: Rng) {
    let mut keyrings = HashMap::<Id, Keyring>::new();
    while test.is_writing() {
        tokio::time::sleep(Duration::from_millis(test.plan.walk_millis)).await;
        let Some(conversation) = rng.pick(&test.people.conversations).cloned() else {
            return;
        };
        // The last member of a group may have been removed, and would rightly be refused.
        let members = conversation.members.len() - usize::from(conversation.r#use == Use::Group);
        let Some(who) = test.people.member(&conversation, rng.below(members)) else {
            return;
        };
        let mut wire = Wire::new(who, rng.below(2), rng.fork());
        if !test.has_ended() {
            let keyring = keyrings.entry(who.user).or_default();
            walk_back(&test, &conversation, &mut wire, keyring, &mut rng).await;
        }
    }
}

/// Walks to the beginning of a conversation. What was answered OK before has to be there, and the chain leads through
/// all of it.
async fn walk_back(
    test: &Test,
    conversation: &Conversation,
    wire: &mut Wire,
    keyring: &mut Keyring,
    rng: &mut Rng,
) {
    let view = View {
        reader: wire.who.user,
        asked: Some(Instant::now()),
    };
    // Before the first page: what is answered later may be on it or not.
    let (instance, due, due_reports) = {
        let ledger = test.ledger();
        let Some(instance) = ledger.instances.get(&conversation.id).cloned() else {
            return;
        };
        let due = ledger
            .answered
            .get(&conversation.id)
            .cloned()
            .unwrap_or_default();
        let due_reports = ledger.answered_reports(conversation.id, &instance);
        (instance, due, due_reports)
    };
    let (mut messages, mut reports) = (vec![], vec![]);
    loop {
        // Pages of all sizes, so that their boundaries fall between, before and after all kinds of rows.
        let longest = if rng.percent(50) { 20 } else { LONGEST_PAGE };
        let limit = 1 + rng.below(longest);
        let mut asked =
            Request::on("downloadpartial", conversation.id, &instance, V4).with("limit", limit);
        if let Some(oldest) = messages.last() {
            let oldest: &super::rows::Message = oldest;
            // The time as well, as clients do: it counts only where the row is gone.
            asked = asked
                .with("lastmessageid", dashed(oldest.id))
                .with("lastmessagedate", super::form::time(oldest.created));
        }
        if let Some(oldest) = reports.last() {
            let oldest: &super::rows::Report = oldest;
            asked = asked
                .with("lastreportid", dashed(oldest.id))
                .with("lastreportdate", super::form::time(oldest.created));
        }
        let page = match wire.insist(&test.cluster, &asked).await.result {
            Ok(page) => page,
            Err(refusal) if refusal.is("stale_instance") && conversation.r#use == Use::Cleared => {
                return;
            }
            Err(refusal) => {
                return test
                    .cluster
                    .findings
                    .add_refusal("downloadpartial", &refusal);
            }
        };
        let Some(page) = Page::read(&page) else {
            return test.cluster.findings.add(Kind::Altered, || {
                format!("a page is not of the documented form: {page}")
            });
        };
        // Without a cursor of a kind, its newest rows come again.
        let is_end = page.messages.is_empty()
            && (page.reports.is_empty() || reports.is_empty() && !messages.is_empty());
        let (no_reports_yet, is_first) = (reports.is_empty(), messages.is_empty());
        messages.extend(page.messages.into_iter().rev());
        if is_first || !no_reports_yet {
            reports.extend(page.reports.into_iter().rev());
        }
        if is_end {
            break;
        }
    }
    let mut held = Held::new(
        &format!("one who pages backwards, {}", plain(wire.who.user)),
        conversation.id,
        &instance,
    );
    let all = Page {
        messages: messages.into_iter().rev().collect(),
        reports: reports.into_iter().rev().collect(),
        has_more: false,
    };
    let new = held.take_page(all, &test.cluster.findings);
    open(test, conversation, &mut held, wire, keyring).await;
    let mut ledger = test.ledger();
    let mut reported = HashSet::new();
    for row in &new {
        match row {
            Row::Message(row) => {
                ledger.check_message(
                    conversation.id,
                    &instance,
                    row,
                    view,
                    &test.cluster.findings,
                );
                if let Some(v4) = &row.v4 {
                    ledger.saw(conversation.id, &instance, v4.seq, v4.chain);
                }
            }
            Row::Report(row) => {
                ledger.check_report(conversation.id, row, &test.cluster.findings);
                reported.insert((row.message, row.from.user, row.kind.clone()));
            }
        }
    }
    for (message, user, kind) in due_reports
        .iter()
        .filter(|report| !reported.contains(report))
    {
        let says = || {
            format!(
                "report {kind} on {} by {}, paging backwards",
                dashed(*message),
                plain(*user)
            )
        };
        test.cluster.findings.add(Kind::Lost, says);
    }
    let given: HashSet<Id> = held.messages.iter().copied().collect();
    for id in due.iter().filter(|id| !given.contains(id)) {
        test.cluster.findings.add(Kind::Lost, || {
            format!(
                "{} of {}, paging backwards",
                dashed(*id),
                plain(conversation.id)
            )
        });
    }
}

/// Reads a conversation's whole history, as a member of it.
pub(super) async fn read_all(
    test: &Test,
    conversation: &Conversation,
    wire: &mut Wire,
    keyring: &mut Keyring,
) -> Result<(Held, HashSet<(Id, Id, String)>), String> {
    let instance = test
        .ledger()
        .instances
        .get(&conversation.id)
        .cloned()
        .unwrap_or_default();
    let mut held = Held::new("the history", conversation.id, &instance);
    let mut reported = HashSet::new();
    loop {
        let mut asked = Request::on("download", conversation.id, &instance, V4);
        for (field, value) in held.cursor() {
            asked = asked.with(field, value);
        }
        let view = View {
            reader: wire.who.user,
            asked: Some(Instant::now()),
        };
        let page = wire.insist(&test.cluster, &asked).await.result;
        let page = page.map_err(|refusal| format!("a history could not be read: {refusal}"))?;
        let page = Page::read(&page).ok_or("a page is not of the documented form")?;
        let has_more = page.has_more;
        let new = held.take_page(page, &test.cluster.findings);
        let ledger = test.ledger();
        for row in &new {
            match row {
                Row::Message(row) => ledger.check_message(
                    conversation.id,
                    &instance,
                    row,
                    view,
                    &test.cluster.findings,
                ),
                Row::Report(row) => {
                    ledger.check_report(conversation.id, row, &test.cluster.findings);
                    reported.insert((row.message, row.from.user, row.kind.clone()));
                }
            }
        }
        // An empty page that promises more would be asked for for ever.
        if !has_more || new.is_empty() {
            break;
        }
    }
    open(test, conversation, &mut held, wire, keyring).await;
    check_transcript(test, &held, wire).await?;
    Ok((held, reported))
}

/// Opens the messages of a history that was read from its beginning, as a member who was never
/// removed.
async fn open(
    test: &Test,
    conversation: &Conversation,
    held: &mut Held,
    wire: &mut Wire,
    keyring: &mut Keyring,
) {
    for is_fresh in [false, true] {
        if is_fresh && keyring.follow(test, wire, conversation).await != Followed::Yes {
            return;
        }
        let reader = Reader {
            user: wire.who.user,
            keyring,
            directory: &test.people.directory,
            is_fresh,
        };
        if !held.open(&reader, &test.ledger(), &test.cluster.findings) {
            return;
        }
    }
}
