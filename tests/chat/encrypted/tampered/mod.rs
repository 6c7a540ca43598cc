//! A real server whose database was changed by somebody who can write to it, alone or together
//! with a participant: `parlance-client` refuses each case, for the right reason, and so does a
//! client that was written from the documentation alone.

mod cards;
mod epochs;
mod log;
pub(super) mod messages;

use std::sync::{Arc, Mutex};

use parlance_client::{
    ConversationId, Error, NewMessage, Reader, Server, Session,
    answer::Conversation,
    e2ee::{Kind, State},
};

use super::{
    outside::Outside,
    person::{Channel, PASSWORD, Person},
};
use crate::world::World;

/// What the reader, Ben, knew before the database was changed.
#[derive(Debug, Clone, Copy)]
enum Knows {
    /// Everything up to the first message, in the first epoch.
    Early,
    /// Everything.
    All,
    /// Nothing: it is a new device.
    Nothing,
}

/// What he does.
#[derive(Debug, Clone, Copy)]
enum Does {
    Meet,
    Follow,
    Read,
    Say,
    FollowLog,
}

struct Case {
    name: &'static str,
    knows: Knows,
    does: Does,
    /// The beginning of the error.
    refused: &'static str,
    sql: String,
}

fn case(
    name: &'static str,
    knows: Knows,
    does: Does,
    refused: &'static str,
    sql: impl Into<String>,
) -> Case {
    Case {
        name,
        knows,
        does,
        refused,
        sql: sql.into(),
    }
}

/// The tables that are changed, and then put back.
const TABLES: [&str; 9] = [
    "server_identity",
    "key_log",
    "key_log_head",
    "cards",
    "conversations",
    "participants",
    "epochs",
    "epoch_secrets",
    "messages",
];

/// A group of Ann, its admin, Ben and Cleo, in its third epoch: Cleo has renewed her keys before
/// the second one. Eve is a friend of Ann's and Ben's. Messages, by number: Ann's 1 in the first epoch, Ann's
/// 2 and Cleo's 3 in the second, Ann's 4 and Ben's 5 in the third.
struct Story {
    world: Arc<World>,
    ann: Person,
    ben: Person,
    cleo: Person,
    eve: Person,
    channel: Channel,
    early: State,
    /// Another device of Ben's, by another author.
    outside: Mutex<Outside>,
}

impl Story {
    async fn new() -> Self {
        let world = World::new().await;
        let mut people = vec![];
        for name in ["Ann", "Ben", "Cleo", "Eve"] {
            people.push(Person::new(&world, name).await);
        }
        let people: [Person; 4] = people.try_into().ok().unwrap();
        let [mut ann, mut ben, mut cleo, eve] = people;
        for friend in [&ben, &cleo, &eve] {
            ann.befriends(friend).await;
        }
        ben.befriends(&eve).await;
        let mut channel = ann.creates_group(&[ben.user(), cleo.user()]).await;
        let (mut bens, mut cleos) = (ben.follows().await.unwrap(), cleo.follows().await.unwrap());
        ann.says("One", &mut channel).await.unwrap();
        reads(&ben.session, &mut ben.state).await.unwrap();
        let early = ben.state.clone();
        let mut outside = Outside::device_of(&world, &ben);
        for (command, answer) in [
            ("group", "done"),
            ("read", r#"["One"]"#),
            ("keep early", "done"),
        ] {
            assert_eq!(outside.does(command), answer);
        }
        world
            .sql("create schema saved; create table saved.early_head as table key_log_head")
            .await;
        cleo.renews().await;
        ann.rekeys(&mut channel, &[], &[]).await.unwrap();
        ann.says("Two", &mut channel).await.unwrap();
        cleo.says("Three", &mut cleos).await.unwrap();
        ann.rekeys(&mut channel, &[], &[]).await.unwrap();
        ann.says("Four", &mut channel).await.unwrap();
        ben.says("Five", &mut bens).await.unwrap();
        reads(&ben.session, &mut ben.state).await.unwrap();
        let all = r#"["One", "Two", "Three", "Four", "Five"]"#;
        assert_eq!(outside.does("read"), all);
        assert_eq!(outside.does("keep all"), "done");
        for table in TABLES {
            let saved = format!("create table saved.{table} as table {table}");
            world.sql(&saved).await;
        }
        world
            .sql("create table saved.users as select user_id, public_key from users")
            .await;
        Self {
            world,
            ann,
            ben,
            cleo,
            eve,
            channel,
            early,
            outside: Mutex::new(outside),
        }
    }

    fn group(&self) -> ConversationId {
        self.channel.conversation.id
    }

    /// Checks that each case is refused, and that without a change nothing is.
    async fn refuses(&self, mut cases: Vec<Case>) {
        for knows in [Knows::Early, Knows::All, Knows::Nothing] {
            for does in [Does::Meet, Does::Read, Does::Say, Does::FollowLog] {
                cases.push(case("no change", knows, does, "nothing", "select"));
            }
        }
        let mut wrong = vec![];
        for case in cases {
            self.world.sql(&case.sql).await;
            let [found, outside] = self.found(case.knows, case.does).await;
            self.puts_back().await;
            if !found.starts_with(case.refused) {
                wrong.push(format!("{}: {found}, not {}", case.name, case.refused));
            }
            if outside != reason(case.refused) {
                wrong.push(format!("{}, outside: {outside}", case.name));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        self.world.end().await;
    }

    /// What Ben finds, with this client and with the other one, at a server that has read nothing
    /// before.
    async fn found(&self, knows: Knows, does: Does) -> [String; 2] {
        let node = self.world.another().await;
        let server = Server::new(&node.url).unwrap();
        let station = self.ben.session.identity().station;
        let session = server.login(&self.ben.email, PASSWORD, station).await;
        let session = session.unwrap();
        let found = match self.tries(&session, knows, does).await {
            Ok(()) => "nothing".to_owned(),
            Err(Error::Encryption(wrong)) => format!("{wrong:?}"),
            Err(other) => format!("{other:?}"),
        };
        let outside = self.found_outside(&node.url, knows, does);
        node.stop().await;
        [found, outside]
    }

    fn found_outside(&self, url: &str, knows: Knows, does: Does) -> String {
        let mut outside = self.outside.lock().unwrap();
        let knows = match knows {
            Knows::Early => "early",
            Knows::All => "all",
            Knows::Nothing => "nothing",
        };
        for command in [format!("at {url}"), format!("know {knows}")] {
            assert_eq!(outside.does(&command), "done");
        }
        let answer = match does {
            Does::Meet => outside.does(&format!("meet {} {}", self.ann.user(), self.cleo.user())),
            Does::FollowLog => outside.does(&format!("meet {}", self.ben.user())),
            Does::Follow | Does::Read | Does::Say => outside.does("read"),
        };
        answer.strip_prefix("refused ").unwrap_or("nothing").into()
    }

    async fn tries(&self, session: &Session, knows: Knows, does: Does) -> Result<(), Error> {
        let mut state = match knows {
            Knows::Early => self.early.clone(),
            Knows::All => self.ben.state.clone(),
            Knows::Nothing => session.begin_key_log().await?,
        };
        let state = &mut state;
        match does {
            Does::Meet => {
                let users = [self.ann.user(), self.cleo.user()].into();
                session.meet(state, &users).await.map(drop)
            }
            Does::Follow => {
                let mut group = group(session).await?;
                session.follow_epochs(state, &mut group).await.map(drop)
            }
            Does::Read => reads(session, state).await.map(drop),
            Does::Say => {
                let (mut group, reader) = reads(session, state).await?;
                let kind = Kind::Text {
                    text: "Hello".to_owned(),
                    reply: None,
                    mentions: vec![],
                };
                let (sign, message) = (&self.ben.sign, NewMessage::new(kind));
                let said = session.say(state, sign, &mut group, &reader, message);
                said.await.map(drop)
            }
            Does::FollowLog => {
                session
                    .follow_key_log(&mut state.log, &state.own_cards)
                    .await
            }
        }
    }

    async fn puts_back(&self) {
        let rows = TABLES.map(|table| {
            format!("delete from {table}; insert into {table} select * from saved.{table};")
        });
        // Without checks of foreign keys, as everything is put back.
        let sql = format!(
            "begin; set local session_replication_role = replica; {}
            update users u set public_key = s.public_key from saved.users s where s.user_id = u.user_id;
            commit",
            rows.concat()
        );
        self.world.sql(&sql).await;
    }
}

/// The name of an error, as vectors/ have it. What is not of the form of an answer is not canonical.
fn reason(refused: &str) -> &str {
    let refused = refused.strip_prefix("Invalid(").unwrap_or(refused);
    match refused.split(['(', ')']).next() {
        Some("Answer") => "NotCanonical",
        Some(name) => name,
        None => refused,
    }
}

async fn group(session: &Session) -> Result<Conversation, Error> {
    let listed = session.list().await?.into_iter().find(|one| one.isgroup);
    listed.ok_or(Error::NotAParticipant)
}

/// Reads the group. The first thing that is wrong is the error.
async fn reads(session: &Session, state: &mut State) -> Result<(Conversation, Reader), Error> {
    let (mut group, mut reader) = (group(session).await?, Reader::new());
    for received in session.read(state, &mut group, &mut reader).await? {
        received.content?;
        if let Some(problem) = received.problem {
            return Err(problem.into());
        }
    }
    Ok((group, reader))
}

fn bytes(bytes: &[u8]) -> String {
    format!("'\\x{}'", hex::encode(bytes))
}
