//! Exports everything that the server has about a user as one JSON object, piece by piece, so that
//! no more than a page of it is in memory.

use tokio::sync::mpsc;

use super::{Db, error::Error};
use parlance_wire::{
    id::{ConversationId, UserId},
    time::Timestamp,
};

/// The receiver of the pieces. If it is gone, the export ends.
pub(crate) type Sink = mpsc::Sender<Result<Vec<u8>, Error>>;

/// The reason why an export ends early.
enum Stop {
    /// The receiver is gone.
    Gone,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Sends a user's data. The pieces, concatenated, are one JSON object, which begins with `status`
/// like every answer. On failure the last piece is the error, and the object is left unclosed.
pub(crate) async fn export(db: &Db, user: UserId, now: Timestamp, sink: &Sink) {
    if let Err(Stop::Failed(error)) = (Export { db, user, sink }).run(now).await {
        // A receiver that is gone needs no error either.
        let _ = sink.send(Err(error)).await;
    }
}

struct Export<'a> {
    db: &'a Db,
    user: UserId,
    sink: &'a Sink,
}

/// Rows of a statement in `sql/export`, each a JSON object as text.
macro_rules! rows {
    ($export:expr, $file:literal, $($argument:tt)+) => {
        $export
            .db
            .run(async |c| {
                sqlx::query_file_scalar!($file, $($argument)+)
                    .fetch_all(c)
                    .await
            })
            .await?
    };
}

impl Export<'_> {
    async fn run(&self, now: Timestamp) -> Result<(), Stop> {
        let user = self.user;
        let account = rows!(self, "src/store/sql/export/account.sql", user as _);
        self.send(format!(
            r#"{{"status":"OK","errormessage":"","format":"parlance export 1","exported":"{now}","account":{}"#,
            account.first().map_or("null", String::as_str),
        ))
        .await?;
        let keys = rows!(self, "src/store/sql/export/keys.sql", user as _);
        self.list("keys", &keys).await?;
        let cards = rows!(self, "src/store/sql/export/cards.sql", user as _);
        self.list("cards", &cards).await?;
        let stations = rows!(self, "src/store/sql/export/stations.sql", user as _);
        self.list("stations", &stations).await?;
        let pushes = rows!(self, "src/store/sql/export/pushes.sql", user as _);
        self.list("pushes", &pushes).await?;
        let people = rows!(self, "src/store/sql/export/people.sql", user as _);
        self.list("people", &people).await?;
        let workspaces = rows!(self, "src/store/sql/export/workspaces.sql", user as _);
        self.list("workspaces", &workspaces).await?;
        let invites = rows!(self, "src/store/sql/export/invites.sql", user as _);
        self.list("invites", &invites).await?;
        let invitations = rows!(self, "src/store/sql/export/invitations.sql", user as _);
        self.list("groupinvitations", &invitations).await?;
        let departures = rows!(self, "src/store/sql/export/departures.sql", user as _);
        self.list("departures", &departures).await?;
        self.files().await?;
        self.send(r#","conversations":["#.to_owned()).await?;
        let mut is_first = true;
        for id in self.conversations().await? {
            let is_there = self.conversation(id, is_first).await?;
            is_first &= !is_there;
        }
        self.send("]}".to_owned()).await
    }

    async fn files(&self) -> Result<(), Stop> {
        let user = self.user;
        self.send(r#","files":["#.to_owned()).await?;
        let mut after = 0;
        loop {
            let page = self
                .db
                .run(async |c| {
                    sqlx::query_file!("src/store/sql/export/files.sql", user as _, after)
                        .fetch_all(c)
                        .await
                })
                .await?;
            let Some(last) = page.last() else {
                return self.send("]".to_owned()).await;
            };
            let comma = if after == 0 { "" } else { "," };
            after = last.file_key;
            let rows: Vec<&str> = page.iter().map(|row| row.row.as_str()).collect();
            self.send(format!("{comma}{}", rows.join(","))).await?;
        }
    }

    /// The conversations that the user is or was in, by id.
    async fn conversations(&self) -> Result<Vec<ConversationId>, Error> {
        let user = self.user;
        self.db
            .run(async |c| {
                sqlx::query_scalar!(
                    r#"
                    select conversation_id as "id!: ConversationId" from participants where user_id = $1
                    union
                    select conversation_id from former_participants where user_id = $1
                    order by 1
                    "#,
                    user as _,
                )
                .fetch_all(c)
                .await
            })
            .await
    }

    /// Exports a conversation: as `download` shows it if the user takes part, otherwise only what
    /// they wrote and reported there. Returns `false` if it was deleted after its id was read.
    async fn conversation(&self, id: ConversationId, is_first: bool) -> Result<bool, Stop> {
        let user = self.user;
        let head = rows!(
            self,
            "src/store/sql/export/conversation.sql",
            user as _,
            id as _
        );
        let Some(head) = head.first() else {
            return Ok(false);
        };
        // The head is an object, into which its rows are inserted.
        let head = head.strip_suffix('}').unwrap_or(head);
        let comma = if is_first { "" } else { "," };
        self.send(format!(r#"{comma}{head},"rows":["#)).await?;
        let (mut after, mut is_first) = (0, true);
        loop {
            let page = self
                .db
                .run(async |c| {
                    sqlx::query_file!("src/store/sql/export/rows.sql", user as _, id as _, after)
                        .fetch_all(c)
                        .await
                })
                .await?;
            let Some(last) = page.last() else {
                self.send("]}".to_owned()).await?;
                return Ok(true);
            };
            after = last.seq;
            let rows: Vec<&str> = page.iter().map(|row| row.row.as_str()).collect();
            let comma = if is_first { "" } else { "," };
            is_first = false;
            self.send(format!("{comma}{}", rows.join(","))).await?;
        }
    }

    async fn list(&self, name: &str, rows: &[String]) -> Result<(), Stop> {
        self.send(format!(r#","{name}":[{}]"#, rows.join(",")))
            .await
    }

    async fn send(&self, piece: String) -> Result<(), Stop> {
        self.sink
            .send(Ok(piece.into_bytes()))
            .await
            .map_err(|_| Stop::Gone)
    }
}
