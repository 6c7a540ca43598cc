//! Messages of the published form, as older clients write them: readable, and marked.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use parlance_client::{
    MessageId, Reader, Timestamp,
    answer::Conversation,
    e2ee::{
        Content, EpochSecret, Error as Wrong, Kind,
        timeline::{Timeline, Trouble},
    },
};
use parlance_wire::chain::Chain;

use super::{channel, person::Channel, tampered::messages::RECHAINED};
use crate::world::World;

/// A text as clients of the published form seal it (docs/api.md, End-to-end encryption).
pub(super) fn seals(
    conversation: &Conversation,
    id: MessageId,
    secret: &EpochSecret,
    text: &str,
) -> String {
    let aad = [
        conversation.id.as_bytes().as_slice(),
        conversation.instance.as_str().as_bytes(),
        id.as_bytes(),
    ]
    .concat();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, secret.as_bytes()).unwrap());
    let mut sealed = text.as_bytes().to_vec();
    let nonce = Nonce::assume_unique_for_key([7; 12]);
    key.seal_in_place_append_tag(nonce, Aad::from(aad), &mut sealed)
        .unwrap();
    STANDARD.encode([&[7; 12], &sealed[..]].concat())
}

/// Ann, as a client of the published form, adds a message.
async fn adds(world: &World, channel: &Channel, secret: &EpochSecret, text: &str) {
    let id = MessageId::random();
    let data = seals(&channel.conversation, id, secret, text);
    // A client of version 4 would have to name an epoch.
    world
        .sql(&format!(
            "update conversations set last_seq = last_seq + 1;
            insert into messages (conversation_id, seq, message_id, instance, user_id, station_id, type, created_at, valid_until, data, chain)
            select m.conversation_id, c.last_seq, '{id}', m.instance, user_id, station_id, type, m.created_at, valid_until, '{data}', m.chain
            from messages m join conversations c using (conversation_id) where seq = 1;
            {RECHAINED}"
        ))
        .await;
}

#[tokio::test]
async fn a_message_that_nobody_signed_is_read_with_a_mark_and_changes_nothing() {
    let (world, [mut ann, mut ben], [mut anns, mut bens]) = channel().await;
    let signed = ann.says("Signed", &mut anns).await.unwrap();
    let first = anns.secret.clone();
    adds(&world, &anns, &first, "Plain").await;
    let body = format!(
        r#"{{"at":"2026-11-24 12:00:00","head":[0,"{:?}"],"kind":"delete","n":1,"of":["{signed}"],"v":1}}"#,
        Chain::beginning(anns.conversation.id, &anns.conversation.instance),
    );
    adds(&world, &anns, &first, &body).await;
    ann.rekeys(&mut anns, &[], &[]).await.unwrap();
    let under = ["Under the second secret", "Under the first"];
    adds(&world, &anns, &anns.secret, under[0]).await;
    adds(&world, &anns, &first, under[1]).await;
    let other = EpochSecret::generate().unwrap();
    adds(&world, &anns, &other, "Under another").await;
    bens.conversation = ben.session.list().await.unwrap().remove(0);

    let mut reader = Reader::new();
    let read = ben
        .session
        .read(&mut ben.state, &mut bens.conversation, &mut reader)
        .await
        .unwrap();
    let said: Vec<_> = read.iter().map(|one| one.unsigned.as_deref()).collect();
    assert_eq!(
        said,
        [
            None,
            Some("Plain"),
            Some(&*body),
            Some(under[0]),
            Some(under[1]),
            None
        ]
    );
    for (place, received) in read.iter().enumerate() {
        let is_signed = place == 0;
        assert_eq!(received.content.is_ok(), is_signed);
        let is_marked = matches!(received.content, Err(Wrong::NotSigned));
        assert_eq!(is_marked, !is_signed);
    }
    let row = read[1].row();
    let Some(Content::Known(Kind::Text { text, .. })) = &row.content else {
        panic!("{row:?}")
    };
    assert_eq!((&**text, row.is_signed), ("Plain", false));
    let mut timeline = Timeline::new(ben.user());
    for received in &read {
        timeline.add(received.row());
    }
    let shown = timeline.entries(Timestamp::now());
    let shown: Vec<_> = shown.iter().map(|one| (&*one.text, one.trouble)).collect();
    assert_eq!(
        shown,
        [
            ("Signed", None),
            ("Plain", Some(Trouble::HasProblem)),
            (under[0], Some(Trouble::HasProblem)),
            (under[1], Some(Trouble::HasProblem)),
            ("", Some(Trouble::Unreadable)),
        ]
    );
    world.end().await;
}
