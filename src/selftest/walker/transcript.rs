//! A conversation's `transcript`, which has to match its history.

use serde_json::Value;

use super::LONGEST_PAGE;
use crate::selftest::{
    Test, chain,
    findings::Kind,
    form::{dashed, plain, read_dashed},
    history::Held,
    request::{Request, V4},
    wire::Wire,
};

/// Follows the chain through `transcript`, which must have the same messages and the same end.
pub(super) async fn check_transcript(
    test: &Test,
    history: &Held,
    wire: &mut Wire,
) -> Result<(), String> {
    let (mut chain, mut after, mut ids) = (
        chain::beginning(history.conversation, &history.instance),
        0,
        vec![],
    );
    loop {
        let asked = Request::on("transcript", history.conversation, &history.instance, V4)
            .with("afterseq", after)
            .with("limit", LONGEST_PAGE);
        let page = wire.insist(&test.cluster, &asked).await.result;
        let page = page.map_err(|refusal| format!("a transcript could not be read: {refusal}"))?;
        for row in page
            .get("transcript")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let field = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
            let read = (
                row.get("Seq").and_then(Value::as_i64),
                read_dashed(field("ID")),
                chain::read(field("DataHash")),
                chain::read(field("Chain")),
            );
            let (Some(seq), Some(id), Some(data), Some(named)) = read else {
                return Err(format!("a link is not of the documented form: {row}"));
            };
            // Only from the hashes: an expired message has no data, and its link must still hold.
            if chain::link(&chain, seq, id, &data) != named {
                test.cluster.findings.add(Kind::BrokenLinks, || {
                    format!(
                        "{} in the transcript of {}",
                        dashed(id),
                        plain(history.conversation)
                    )
                });
            }
            (chain, after) = (named, seq);
            ids.push(id);
        }
        if page.get("hasmore").and_then(Value::as_bool) != Some(true) {
            break;
        }
    }
    // A page and its proof must not disagree about the history.
    if ids != history.messages || (!ids.is_empty() && history.chain != Some(chain)) {
        test.cluster.findings.add(Kind::BrokenLinks, || {
            format!(
                "the transcript of {} is not its history's",
                plain(history.conversation)
            )
        });
    }
    Ok(())
}
