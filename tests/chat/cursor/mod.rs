//! The cursor: a client that pages from its newest row misses nothing, whatever the clocks.

mod gone;
mod isolation;
mod order;
mod page;

use serde_json::Value;

use crate::world::{Conversation, Person, World};

fn ids(history: &Value, kind: &str) -> Vec<String> {
    let field = if kind == "messages" {
        "ID"
    } else {
        "MessageID"
    };
    history[kind]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[field].as_str().unwrap().to_owned())
        .collect()
}

async fn download(person: &Person, conversation: &Conversation, cursor: Value) -> Value {
    person.does("download", conversation, cursor).await.ok()
}

async fn partial(person: &Person, conversation: &Conversation, cursor: Value) -> Value {
    person
        .does("downloadpartial", conversation, cursor)
        .await
        .ok()
}

/// Adds five messages with a report on each. Returns their ids, oldest first.
async fn five(ann: &Person, ben: &Person, conversation: &Conversation) -> Vec<String> {
    let mut written = vec![];
    for n in 0..5 {
        written.push(ann.adds(conversation, &n.to_string()).await);
    }
    ben.views(conversation, &written).await.ok();
    written
}

/// Fills a conversation behind the server's back.
pub(crate) async fn fill(
    world: &World,
    ann: &Person,
    conversation: &Conversation,
    rows: u32,
    bytes: u32,
) {
    world
        .sql(&format!(
            "with m as (select n, gen_random_uuid() as message_id, repeat('A', {bytes}) as data from generate_series(1, {rows}) n)
            insert into messages (conversation_id, seq, message_id, instance, user_id, station_id, type, created_at, valid_until, data, chain)
            select '{id}', n, message_id, '{instance}', '{user}', '{station}', 'Message', now(), now() + interval '7 days', data,
                   chain(chain_beginning('{id}', '{instance}'), n, message_id, sha256(data::bytea)) over (order by n)
            from m;
            update conversations c set last_seq = {rows}, last_message_id = m.message_id, last_message_seq = m.seq, chain = m.chain
            from messages m
            where c.conversation_id = '{id}' and m.conversation_id = '{id}' and m.seq = {rows}",
            id = conversation.id, instance = conversation.instance, user = ann.user, station = ann.station,
        ))
        .await;
}
