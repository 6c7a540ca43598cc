-- A restored database knows the stores of the server that was backed up, which may go on using them. Nothing is deleted there until an
-- operator says that this server has taken its place (`parlance files adopt`).
alter table file_stores add column may_delete boolean not null default true;
