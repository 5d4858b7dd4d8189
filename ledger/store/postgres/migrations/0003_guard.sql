-- What is recorded stays: events, commits and requests are only ever added to. The triggers hold for everybody, also for
-- a superuser and where session_replication_role is replica, until their owner disables them; `ledger.store.migration`,
-- which says in the log what it has done, sets fee_ledger.migration for its transaction. They cost an INSERT nothing.
CREATE OR REPLACE FUNCTION {schema}.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    owner name := (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = TG_RELID);
BEGIN
    IF current_user = owner AND current_setting('fee_ledger.migration', true) = TG_TABLE_SCHEMA THEN
        RETURN NULL;
    END IF;
    RAISE insufficient_privilege USING
        MESSAGE = format('%s of %I.%I is refused: what is recorded stays as it is', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME),
        HINT = format('Record what is right as new events. Only `fee-ledger database migrate`, as the role %I, changes '
            'these tables, and says so in the log.', owner);
END
$$;

CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {schema}.{events}
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse_change();
ALTER TABLE {schema}.{events} ENABLE ALWAYS TRIGGER refuse_change;

CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {schema}.commits
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse_change();
ALTER TABLE {schema}.commits ENABLE ALWAYS TRIGGER refuse_change;

CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {schema}.requests
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse_change();
ALTER TABLE {schema}.requests ENABLE ALWAYS TRIGGER refuse_change;
