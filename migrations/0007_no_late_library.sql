-- One link of the chain, in SQL: PL/pgSQL is a library that each connection loads when it first needs it, and after an
-- upgrade of PostgreSQL's package the server that still runs cannot load the new one: every message would be refused.
create or replace function chain_link(previous bytea, head bytea, seq bigint, message_id uuid, data_hash bytea) returns bytea
language sql immutable parallel safe
-- As text: a body that begins with `return` costs the aggregate a third more.
as $$ select sha256(coalesce(previous, head) || int8send(seq) || uuid_send(message_id) || data_hash) $$;
