-- Nodes end without the others missing what they announced last, and a wrong clock deletes nothing.

-- ended_at: it said so itself. seen_at: when it last looked which others live. All times of this table are the
-- database's: the clocks of nodes are never compared. What is left of a node stays until each of the others has
-- looked after its end.
alter table nodes add column ended_at timestamptz, add column seen_at timestamptz not null default now();

-- One row: a time in which a server was seen to run and the clock to go steadily, by the database's clock. When
-- nothing was seen for a while, or the clock was set, the next row begins. What expired is deleted only after servers
-- were seen to run for EXPIRY_GRACE since it was stored, whatever the clock said then.
create table clock_runs (
    run_id     bigint      generated always as identity constraint clock_runs_key primary key,
    started_at timestamptz not null,
    seen_at    timestamptz not null,
    constraint clock_runs_go_forward check (seen_at >= started_at)
);
