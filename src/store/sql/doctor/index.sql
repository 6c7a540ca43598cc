-- Indexes that PostgreSQL does not use.
select count(*) as "count!", min(indexrelid::regclass::text) as example
-- An index stays invalid after a failed `create index concurrently`, or an interrupted `reindex
-- concurrently`.
from pg_index where not indisvalid and indrelid in (select oid from pg_class where relnamespace = 'public'::regnamespace)
