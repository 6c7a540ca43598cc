//! The transcript: every message's link in the hash chain, including those whose text has expired.

use super::{
    Db,
    error::{Result, impossible},
};
use parlance_wire::{
    chain::{Chain, DataHash},
    history::Link,
    id::{ConversationId, MessageId, UserId},
    text::Instance,
};

/// The first `limit` links after a number, and the conversation's current instance; no links, if
/// that is not the reader's. Returns `None` if there is no such conversation for this user.
pub(crate) async fn after(
    db: &Db,
    conversation: ConversationId,
    reader: UserId,
    instance: &Instance,
    seq: i64,
    limit: i64,
) -> Result<Option<(Instance, Vec<Link>)>> {
    let rows = db
        .run(async |c| {
            // A left join, so that one row still has the instance if there are no links.
            sqlx::query!(
                r#"
                select s.instance as "instance: Instance", t.seq as "seq?", t.message_id as "message_id?: MessageId",
                       t.data_hash as "data_hash?: DataHash", t.chain as "chain?: Chain"
                from (
                    select c.instance, c.cleared_seq
                    from participants p
                    join conversations c using (conversation_id)
                    where p.conversation_id = $1 and p.user_id = $2
                ) s
                left join lateral (
                    select t.seq, t.message_id, t.data_hash, t.chain
                    from transcript t
                    where t.conversation_id = $1 and t.seq > greatest($4, s.cleared_seq) and s.instance = $3
                    order by t.seq limit $5
                ) t on true
                order by t.seq
                "#,
                conversation as _,
                reader as _,
                instance.as_str(),
                seq,
                limit,
            )
            .fetch_all(c)
            .await
        })
        .await?;
    let mut current = None;
    let mut links = vec![];
    for row in rows {
        current = Some(row.instance);
        match (row.seq, row.message_id, row.data_hash, row.chain) {
            (Some(seq), Some(message_id), Some(data_hash), Some(chain)) => links.push(Link {
                seq,
                message_id,
                data_hash,
                chain,
            }),
            // The row that only has the instance, as there are no links.
            (None, None, None, None) => {}
            _ => return Err(impossible("half a link")),
        }
    }
    Ok(current.map(|current| (current, links)))
}
