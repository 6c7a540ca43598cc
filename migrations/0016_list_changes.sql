-- A batch of messages or reports records what it changes in one row: one for each conversation was part of what a message costs
-- the database.
alter table list_changes
    alter column conversation_id drop not null,
    add column conversation_ids uuid[],
    add constraint list_changes_one_form check ((conversation_id is null) <> (conversation_ids is null));

-- Under another name, as nodes of the release before see only rows with one conversation: to them there is no era any more. While
-- they try to begin one, marks that others made are of no use, and lists are told whole.
create view current_list_era as
select era_id, complete_from from list_era
where is_era and postmaster_started_at = pg_postmaster_start_time()
    and database = (select d.oid from pg_database d where d.datname = current_database());
create or replace view present_list_era as select era_id, complete_from from list_era where false;
