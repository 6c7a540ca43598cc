//! Messages, their senders, and their order.

use parlance_client::{
    MessageId, StationId, Timestamp,
    e2ee::{Body, Content, Envelope, Epoch, EpochSecret, Head, Kind, SigningKey, seal},
};
use parlance_wire::chain::Chain;

use super::{Case, Does, Knows, Story, case};
use crate::encrypted::person::Person;

/// Makes the transcript fit its rows again.
pub(in crate::encrypted) const RECHAINED: &str = "
    update messages m set chain = linked.chain
    from (
        select conversation_id, seq,
               chain(chain_beginning(conversation_id, instance), seq, message_id, sha256(convert_to(data, 'UTF8')))
                   over (partition by conversation_id, instance order by seq) as chain
        from messages
    ) linked
    where m.conversation_id = linked.conversation_id and m.seq = linked.seq;
    update conversations c
    set (chain, last_message_id, last_message_seq) = (
        select m.chain, m.message_id, m.seq from messages m
        where m.conversation_id = c.conversation_id order by m.seq desc limit 1
    )";

/// A message that somebody forges.
struct Forged<'a> {
    /// The user in whose name it is.
    of: &'a Person,
    by: &'a SigningKey,
    secret: EpochSecret,
    epoch: u32,
    n: u64,
    head: Head,
}

impl Story {
    /// A sixth message.
    fn adds(&self, forged: &Forged<'_>) -> String {
        let (id, instance) = (MessageId::random(), &self.channel.conversation.instance);
        let (user, station) = (forged.of.user(), forged.of.session.identity().station);
        let envelope = Envelope {
            conversation: self.group(),
            instance,
            id,
            user,
            station,
            r#type: "Message",
        };
        let body = Body {
            at: Timestamp::now().whole_seconds(),
            until: None,
            n: forged.n,
            head: forged.head,
            ep: None,
            log: None,
            content: Content::Known(Kind::Text {
                text: "Six".to_owned(),
                reply: None,
                mentions: vec![],
            }),
        };
        let epoch = Epoch::new(forged.epoch).unwrap();
        let data = seal(&envelope, epoch, &forged.secret, forged.by, &body).unwrap();
        format!(
            "{}; {RECHAINED}",
            self.copies(5, 6, &id, &user.to_string(), &station, data.as_str())
        )
    }

    /// A row like another one.
    fn copies(
        &self,
        seq: i64,
        to: i64,
        id: &MessageId,
        user: &str,
        station: &StationId,
        data: &str,
    ) -> String {
        format!(
            "insert into messages (conversation_id, seq, message_id, instance, user_id, station_id, type, created_at, valid_until, data, chain)
            select conversation_id, {to}, '{id}', instance, '{user}', '{station}', type, created_at, valid_until, '{data}', chain
            from messages where seq = {seq};
            update conversations set last_seq = {to} where conversation_id = '{}'",
            self.group()
        )
    }

    /// What an honest sixth message would have seen.
    fn head(&self) -> Head {
        self.ben.state.heads[&self.group()].1
    }

    fn beginning(&self) -> Head {
        let conversation = &self.channel.conversation;
        Head {
            seq: 0,
            chain: Some(Chain::beginning(conversation.id, &conversation.instance)),
        }
    }
}

fn rows(story: &Story) -> Vec<Case> {
    let (cleo, station) = (story.cleo.user(), StationId::random());
    let all = |name, refused, sql: &str| case(name, Knows::All, Does::Read, refused, sql);
    let new = |name, refused, sql: &str| case(name, Knows::Nothing, Does::Read, refused, sql);
    let copied = format!(
        "insert into messages select conversation_id, 6, '{}', instance, user_id, station_id, type, created_at, sent_at,
            valid_until, data, chain, stored_at from messages where seq = 4;
        update conversations set last_seq = 6; {RECHAINED}",
        MessageId::random()
    );
    vec![
        new(
            "a row in another name",
            "Relabelled",
            &format!("update messages set user_id = '{cleo}' where seq = 4"),
        ),
        new(
            "a row of another station",
            "Relabelled",
            &format!("update messages set station_id = '{station}' where seq = 4"),
        ),
        new(
            "a row of another type",
            "Relabelled",
            "update messages set type = 'Update' where seq = 4",
        ),
        new(
            "a row with another id",
            "Relabelled",
            &format!(
                "update messages set message_id = '{}' where seq = 4; {RECHAINED}",
                MessageId::random()
            ),
        ),
        new(
            "two rows that are exchanged",
            "BrokenTranscript",
            "update messages m set data = o.data from saved.messages o where m.seq + o.seq = 3 and m.seq <> o.seq",
        ),
        new("a row that is repeated", "Relabelled", &copied),
        all(
            "a row left out",
            "BrokenTranscript",
            "delete from messages where seq = 2",
        ),
        all(
            "a row left out, and the transcript changed",
            "DifferentTranscript",
            &format!("delete from messages where seq = 2; {RECHAINED}"),
        ),
        new(
            "a row left out, and the transcript changed, to a new device",
            "DifferentTranscript",
            &format!("delete from messages where seq = 2; {RECHAINED}"),
        ),
        all(
            "the newest row withheld",
            "DifferentTranscript",
            &format!("delete from messages where seq = 5; {RECHAINED}"),
        ),
        new(
            "the newest row withheld that the list names",
            "DifferentTranscript",
            "delete from messages where seq = 5",
        ),
        new(
            "content that is not signed",
            "NotSigned",
            &format!("update messages set data = 'UHVibGlzaGVk' where seq = 4; {RECHAINED}"),
        ),
        new(
            "content that is damaged",
            "Relabelled",
            &format!(
                "update messages set data = substr(data, 1, 100) || 'AAAA' || substr(data, 105) where seq = 4; {RECHAINED}"
            ),
        ),
        new(
            "content without its end",
            "Malformed",
            &format!("update messages set data = substr(data, 1, 200) where seq = 4; {RECHAINED}"),
        ),
        case(
            "the secret of what was said withheld",
            Knows::Nothing,
            Does::Read,
            "NoSecret",
            format!(
                "delete from epoch_secrets where epoch = 1 and user_id = '{}'",
                story.ben.user()
            ),
        ),
    ]
}

fn forgeries(story: &Story, first: &EpochSecret) -> Vec<Case> {
    let secret = || story.channel.secret.clone();
    let honest = || Forged {
        of: &story.ann,
        by: &story.ann.sign,
        secret: secret(),
        epoch: 3,
        n: 4,
        head: story.head(),
    };
    let all = |name, refused, forged: Forged<'_>| {
        case(name, Knows::All, Does::Read, refused, story.adds(&forged))
    };
    vec![
        all("an honest message", "nothing", honest()),
        all(
            "a participant writes in Ann's name",
            "WrongSigner",
            Forged {
                by: &story.cleo.sign,
                ..honest()
            },
        ),
        all(
            "the server writes in Ann's name, with a secret of its own",
            "OtherSecret",
            Forged {
                secret: EpochSecret::generate().unwrap(),
                by: &story.eve.sign,
                ..honest()
            },
        ),
        all(
            "somebody who does not take part, and was given the secret",
            "NotAMember",
            Forged {
                of: &story.eve,
                by: &story.eve.sign,
                n: 1,
                ..honest()
            },
        ),
        all(
            "an epoch that has ended",
            "OldEpoch",
            Forged {
                secret: first.clone(),
                epoch: 1,
                ..honest()
            },
        ),
        all(
            "an epoch that nobody has announced",
            "NoSecret",
            Forged {
                epoch: 9,
                ..honest()
            },
        ),
        all(
            "a message is missing",
            "MissingMessages",
            Forged { n: 5, ..honest() },
        ),
        all(
            "a number is used again",
            "RepeatedNumber(3)",
            Forged { n: 3, ..honest() },
        ),
        all(
            "its writer saw another transcript",
            "DifferentTranscript",
            Forged {
                head: Head {
                    seq: 4,
                    ..story.head()
                },
                ..honest()
            },
        ),
        all(
            "its writer saw what came later",
            "DifferentTranscript",
            Forged {
                head: Head {
                    seq: 7,
                    ..story.head()
                },
                ..honest()
            },
        ),
        all(
            "its writer had seen nothing",
            "nothing",
            Forged {
                head: story.beginning(),
                ..honest()
            },
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_not_what_was_written_are_refused() {
    let story = Story::new().await;
    let epochs = story.ben.epochs(story.group()).await.unwrap();
    let first = epochs.last().and_then(|(_, secret)| secret.clone());
    let cases = [rows(&story), forgeries(&story, &first.unwrap())];
    story.refuses(cases.into_iter().flatten().collect()).await;
}
