-- The indexes of the log, laid out for years: the account-days that trade now lie together at the end of one index, however
-- old the log is and whatever its accounts are called. No event is written again. `ledger.store.reads` has the keys.

-- Fee streams, the UTC day first. In these the version is the position, which is unique.
CREATE INDEX {events_days} ON {schema}.{events}
    (((time_min_ns / 86400000000000)::int), split_part(originator_id, '/', 2), originator_version)
    WHERE time_min_ns IS NOT NULL;

-- All other streams: those have no times.
CREATE UNIQUE INDEX {events_streams} ON {schema}.{events} (originator_id, originator_version) WHERE time_min_ns IS NULL;

-- In place of one key of all streams, in which each row of a day had a neighbourhood of its own.
DO $do$
DECLARE
    events regclass := $name${schema}.{events}$name$;
    replaced name := (SELECT conname FROM pg_constraint WHERE conrelid = events AND contype = 'p');
BEGIN
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', events, replaced);
END
$do$;
ALTER TABLE {schema}.{events} ADD PRIMARY KEY USING INDEX {events_index};
