//! Retires messages: moves them, without their content, to `expired_messages`, and deletes their
//! reports and files. The chain and retries need what remains. Expired messages (`purge.rs`), messages of
//! deleted accounts (`erasure.rs`) and erased ones (`erase.rs`) end this way.

/// A statement that retires the messages with a `ctid` in `due`. `$due` is the beginning of a `with`
/// that defines it, `$after` is the rest of the statement, and may refer to `gone`.
// Not a file in `sql/`, although it is long: three statements share it, and `query_file!` can only read
// a whole one.
macro_rules! retire {
    ($query:ident, $due:literal, $after:literal, $($argument:expr),* $(,)?) => {
        sqlx::$query!(
            $due
                + r#"
), gone as (
    -- By their physical location, found just now: a join could be planned to read more. Messages
    -- that another transaction retired meanwhile are skipped.
    delete from messages where ctid = any(array(select ctid from due)) returning *
), about as materialized (
    -- Their reports, looked up one by one: the plan of a join would depend on the number of rows at
    -- the time of planning.
    select r.place, g.conversation_id, g.seq from gone g
    cross join lateral (
        select ctid as place from reports r
        where r.conversation_id = g.conversation_id and r.message_seq = g.seq
        -- In the order of the index that finds the reports of a single message. While the table is
        -- empty, an index that reads all reports of the conversation seems equally good.
        order by r.user_id, r.type offset 0
    ) r
), counted as materialized (
    -- Number of reports per message, from which the doctor knows that no number is missing.
    select conversation_id, seq, count(*) as reports from about group by conversation_id, seq
), unreported as (
    delete from reports where ctid = any(array(select place from about))
), listed as (
    -- Lists may have changed: what was unread may be gone.
    insert into list_changes (changed, conversation_id)
    select distinct pg_current_xact_id(), conversation_id from gone
), freed as (
    -- What their senders no longer store: their content. Their row goes on to count.
    insert into usage_changes (user_ids, bytes)
    select array_agg(user_id), array_agg(-octet_length(data)::bigint) from gone having count(*) > 0
), files_due as materialized (
    -- Their files, found in the same way, and locked in the order of their keys, as everywhere: two that lock several
    -- cannot deadlock.
    select file_key from files where file_key = any(array(
        select f.file_key from gone g
        cross join lateral (
            select f.file_key from files f
            where f.conversation_id = g.conversation_id and f.message_seq = g.seq
            order by f.message_seq offset 0
        ) f
    ))
    order by file_key for update
), files_gone as (
    delete from files where file_key = any(array(select file_key from files_due))
    returning file_key, user_id, size
), files_queued as (
    insert into gone_files (file_key, user_id, size) select file_key, user_id, size from files_gone
), kept as (
    -- Keeps what the chain and retries need of a message.
    insert into expired_messages (conversation_id, seq, message_id, instance, user_id, station_id, type,
                                  created_at, sent_at, valid_until, data_hash, chain, reports)
    select conversation_id, seq, message_id, instance, user_id, station_id, type,
           created_at, sent_at, valid_until, sha256(convert_to(data, 'UTF8')), chain, coalesce(n.reports, 0)
    from gone g
    left join counted n using (conversation_id, seq)
"# + $after,
            $($argument),*
        )
    };
}
pub(super) use retire;
