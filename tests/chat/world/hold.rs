//! Locks that a test holds, so that concurrent requests meet where they would by chance.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};

use super::{Conversation, World, eventually};

/// Holds a lock until it is released, and can tell how many statements wait.
pub(crate) struct Hold {
    world: Arc<World>,
    connection: PgConnection,
}

impl Hold {
    /// Locks a conversation.
    pub(crate) async fn of(world: &Arc<World>, conversation: &Conversation) -> Self {
        let lock = format!(
            "select from conversations where conversation_id = '{}' for update",
            conversation.id
        );
        Self::by(world, &lock).await
    }

    /// Takes the locks of a statement.
    pub(crate) async fn by(world: &Arc<World>, statement: &str) -> Self {
        let mut connection = world.db.connect_options().connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!("begin; {statement}")))
            .execute(&mut connection)
            .await
            .unwrap();
        Self {
            world: world.clone(),
            connection,
        }
    }

    /// Number of statements that wait for a lock.
    pub(crate) async fn waiting(&self) -> i64 {
        let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
        sqlx::query_scalar(waiting)
            .fetch_one(&self.world.db)
            .await
            .unwrap()
    }

    /// Waits until this many statements wait for a lock.
    pub(crate) async fn is_waited_for(&self, statements: i64) {
        eventually("a statement waits", async || {
            self.waiting().await == statements
        })
        .await;
    }

    /// Releases the lock.
    pub(crate) async fn ends(mut self) {
        sqlx::raw_sql("commit")
            .execute(&mut self.connection)
            .await
            .unwrap();
    }
}
