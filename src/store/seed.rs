//! Seed data for benchmarks: thousands of users, conversations and messages, as clients would have
//! created them, except that all users share one key. Here, because it is SQL.

use std::time::Duration;

use md5::{Digest, Md5};
use sqlx::{ConnectOptions, PgConnection};

use super::{Db, list};
use parlance_wire::{
    id::{ConversationId, MessageId, StationId, UserId},
    text::{Email, Instance},
};

/// Maximum rows that one statement inserts.
const MAX_ROWS: usize = 50_000;

/// pgbench scripts with the minimum that a database must do for a message: a number and a row, as a
/// transaction and as one statement. The server cannot be faster.
pub const BASELINES: [&str; 2] = [
    r"\set conversation random(1, :conversations)
begin;
update bench_floor.conversations set last_seq = last_seq + 1 where conversation_id = :conversation returning last_seq \gset
insert into bench_floor.messages values (:conversation, :last_seq, repeat('x', 512));
commit;
",
    r"\set conversation random(1, :conversations)
with numbered as (
    update bench_floor.conversations set last_seq = last_seq + 1 where conversation_id = :conversation returning conversation_id, last_seq
)
insert into bench_floor.messages select conversation_id, last_seq, repeat('x', 512) from numbered;
",
];

/// A direct conversation to be inserted.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    /// The conversation that was filled.
    pub conversation_id: ConversationId,
    /// Its two participants.
    pub users: [UserId; 2],
}

impl Pair {
    /// The conversation of these two users.
    #[must_use]
    pub fn of(one: UserId, other: UserId) -> Self {
        Self {
            conversation_id: ConversationId::between(one, other),
            users: [one, other],
        }
    }
}

/// The id of the message with this number, in a conversation that was inserted here.
#[must_use]
pub fn message_id(conversation: ConversationId, seq: usize) -> Option<MessageId> {
    MessageId::parse(&hex::encode(Md5::digest(format!("{conversation}{seq}"))))
}

/// Inserts seed data, on a connection without timeouts.
#[derive(Debug)]
pub struct Seeder(PgConnection);

impl Seeder {
    /// Connects to the database.
    pub async fn connect(db: &Db) -> sqlx::Result<Self> {
        Ok(Self(
            db.options()
                .clone()
                .options([("statement_timeout", "0"), ("lock_timeout", "0")])
                .log_slow_statements(log::LevelFilter::Off, Duration::MAX)
                .connect()
                .await?,
        ))
    }

    /// Inserts users, each of whom has logged in from a station.
    pub async fn users(
        &mut self,
        users: &[(Email, StationId)],
        public_key: &str,
    ) -> sqlx::Result<()> {
        for users in users.chunks(MAX_ROWS) {
            sqlx::query!(
                "with u as (
                    select * from unnest($1::uuid[], $2::text[], $3::uuid[]) as u (user_id, email, station_id)
                ), inserted as (
                    insert into users (user_id, email, full_name, nick, public_key, encrypted_private_key, created_at)
                    select user_id, email, 'Somebody Else', 'Somebody', $4, '', now() from u
                )
                insert into stations (user_id, station_id, last_seen_at)
                select user_id, station_id, now() from u",
                &users.iter().map(|(email, _)| UserId::of(email)).collect::<Vec<_>>() as _,
                &users.iter().map(|(email, _)| email.as_str()).collect::<Vec<_>>() as _,
                &users.iter().map(|(_, station)| *station).collect::<Vec<_>>() as _,
                public_key,
            )
            .execute(&mut self.0)
            .await?;
        }
        Ok(())
    }

    /// Inserts more stations from which users have logged in.
    pub async fn stations(&mut self, stations: &[(UserId, StationId)]) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into stations (user_id, station_id, last_seen_at)
            select user_id, station_id, now() from unnest($1::uuid[], $2::uuid[]) as s (user_id, station_id)",
            &stations.iter().map(|(user, _)| *user).collect::<Vec<_>>() as _,
            &stations.iter().map(|(_, station)| *station).collect::<Vec<_>>() as _,
        )
        .execute(&mut self.0)
        .await?;
        Ok(())
    }

    /// Inserts conversations, each with this many messages of this size. Secrets and names are as
    /// long as those of a client with an RSA-2048 key.
    pub async fn conversations(
        &mut self,
        pairs: &[Pair],
        instance: &Instance,
        messages: usize,
        bytes: usize,
    ) -> sqlx::Result<()> {
        for pairs in pairs.chunks(MAX_ROWS) {
            sqlx::query!(
                "with c as (
                    select * from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as c (conversation_id, one, other)
                ), inserted as (
                    insert into conversations (conversation_id, is_group, instance, last_access_at, created_at)
                    select conversation_id, false, $4, now(), now() from c
                )
                insert into participants (conversation_id, user_id, peer_id, secret, display_name, role, joined_at)
                select conversation_id, user_id, peer_id, repeat('s', 344), repeat('n', 64), 'member', now()
                from c, unnest(array[one, other], array[other, one]) as p (user_id, peer_id)",
                &pairs.iter().map(|pair| pair.conversation_id).collect::<Vec<_>>() as _,
                &pairs.iter().map(|pair| pair.users[0]).collect::<Vec<_>>() as _,
                &pairs.iter().map(|pair| pair.users[1]).collect::<Vec<_>>() as _,
                instance.as_str(),
            )
            .execute(&mut self.0)
            .await?;
        }
        // The chain runs over a conversation's messages, so a statement has either whole
        // conversations or a part of one.
        for pairs in pairs.chunks((MAX_ROWS / messages.max(1)).max(1)) {
            for from in (1..=messages).step_by(MAX_ROWS) {
                self.messages(pairs, from, messages.min(from + MAX_ROWS - 1), bytes)
                    .await?;
            }
        }
        list::end_era(&mut self.0).await
    }

    /// Inserts a group without an epoch, whose first user is its admin.
    pub async fn group(
        &mut self,
        id: ConversationId,
        users: &[UserId],
        instance: &Instance,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "with inserted as (
                insert into conversations (conversation_id, is_group, instance, last_access_at, created_at)
                values ($1, true, $2, now(), now())
            )
            insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
            select $1, user_id, repeat('s', 344), repeat('n', 64), case when place = 1 then 'admin' else 'member' end, now()
            from unnest($3::uuid[]) with ordinality as u (user_id, place)",
            id as _,
            instance.as_str(),
            users as _,
        )
        .execute(&mut self.0)
        .await?;
        Ok(())
    }

    async fn messages(
        &mut self,
        pairs: &[Pair],
        from: usize,
        to: usize,
        bytes: usize,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "with rows as materialized (
                select conversation_id, instance, head, writer, seq, md5(replace(conversation_id::text, '-', '') || seq)::uuid as message_id,
                       chain(coalesce(head, chain_beginning(conversation_id, instance)), seq,
                             md5(replace(conversation_id::text, '-', '') || seq)::uuid, hash)
                           over (partition by conversation_id order by seq) as chain
                from unnest($1::uuid[], $2::uuid[]) as i (id, writer)
                cross join lateral (select conversation_id, instance, chain as head from conversations where conversation_id = id) c
                cross join (select sha256(convert_to(repeat('x', $5), 'UTF8')) as hash) h
                cross join generate_series($3::bigint, $4::bigint) seq
            ), conversation_updated as (
                update conversations c
                set last_seq = seq, last_message_id = message_id, last_message_seq = seq, chain = rows.chain
                from rows
                where c.conversation_id = rows.conversation_id and seq = $4
            )
            insert into messages (conversation_id, seq, message_id, instance, user_id, station_id, type, created_at, valid_until, data, chain)
            select conversation_id, seq, message_id, instance, writer, writer, 'Message',
                   date_trunc('second', now()), date_trunc('second', now()) + interval '7 days', repeat('x', $5), chain
            from rows",
            &pairs.iter().map(|pair| pair.conversation_id).collect::<Vec<_>>() as _,
            &pairs.iter().map(|pair| pair.users[0]).collect::<Vec<_>>() as _,
            number(from),
            number(to),
            i32::try_from(bytes).unwrap_or(i32::MAX),
        )
        .execute(&mut self.0)
        .await?;
        Ok(())
    }

    /// Creates the tables of [`BASELINES`].
    pub async fn create_baseline(&mut self, conversations: usize) -> sqlx::Result<()> {
        sqlx::raw_sql(
            "drop schema if exists bench_floor cascade;
            create schema bench_floor;
            create table bench_floor.conversations (conversation_id int primary key, last_seq bigint not null) with (fillfactor = 60);
            create table bench_floor.messages (conversation_id int, seq bigint, data text, primary key (conversation_id, seq));
            alter table bench_floor.messages alter column data set storage external",
        )
        .execute(&mut self.0)
        .await?;
        // Not `query!`, as this schema does not exist where statements are checked.
        sqlx::query(
            "insert into bench_floor.conversations select n, 0 from generate_series(1, $1) n",
        )
        .bind(number(conversations))
        .execute(&mut self.0)
        .await?;
        self.vacuum_and_checkpoint().await
    }

    /// Drops the tables of [`BASELINES`].
    pub async fn drop_baseline(&mut self) -> sqlx::Result<()> {
        sqlx::raw_sql("drop schema bench_floor cascade")
            .execute(&mut self.0)
            .await?;
        Ok(())
    }

    /// Vacuums and makes a checkpoint, as the database would do by itself in the hours that a real
    /// history takes.
    pub async fn vacuum_and_checkpoint(&mut self) -> sqlx::Result<()> {
        sqlx::raw_sql("vacuum analyze users, stations, conversations, participants, messages")
            .execute(&mut self.0)
            .await?;
        sqlx::raw_sql("checkpoint").execute(&mut self.0).await?;
        Ok(())
    }

    /// Bytes of PostgreSQL's log of changes, since its beginning.
    pub async fn wal(&mut self) -> sqlx::Result<i64> {
        sqlx::query_scalar("select (pg_current_wal_insert_lsn() - '0/0')::bigint")
            .fetch_one(&mut self.0)
            .await
    }

    /// The processes of all other connections to the database.
    pub async fn other_backends(&mut self) -> sqlx::Result<Vec<i32>> {
        sqlx::query_scalar(
            "select pid from pg_stat_activity
            where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid() order by pid",
        )
        .fetch_all(&mut self.0)
        .await
    }

    /// The process of this connection, on the database's machine.
    pub async fn backend(&mut self) -> sqlx::Result<i32> {
        sqlx::query_scalar!(r#"select pg_backend_pid() as "pid!""#)
            .fetch_one(&mut self.0)
            .await
    }
}

fn number(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
