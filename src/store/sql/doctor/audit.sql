-- Lines of the audit log that do not follow from their predecessor, and a head that is not the
-- newest line.
with beginning as (
    select sha256(convert_to('parlance audit 1', 'UTF8')) as chain
), links as (
    -- The chain that each line must have.
    select l.seq, l.chain, row_number() over same as number,
           lag(l.chain, 1, b.chain) over same || int8send(l.seq) || sha256(convert_to(l.entry, 'UTF8')) as linked
    from audit_log l, beginning b
    window same as (order by l.seq)
), newest as (
    select seq, chain from audit_log order by seq desc limit 1
), wrong as (
    -- Changed or missing lines, and lines cut off at the end.
    select seq, format('line %s', seq) as what from links where seq <> number or chain <> sha256(linked)
    union all
    select 9223372036854775807, 'the newest line'
    from beginning b
    left join newest n on true
    left join audit_head h on true
    where (h.seq, h.chain) is distinct from (coalesce(n.seq, 0), coalesce(n.chain, b.chain))
)
select count(*) as "count!", (array_agg(what order by seq))[1] as example from wrong
