-- What the service and the reader may do with each table of the log that is there.
DO $$
DECLARE
    named record;
    found record;
BEGIN
    SELECT service, reader INTO STRICT named FROM {schema}.roles;
    EXECUTE format('REVOKE ALL ON SCHEMA {schema} FROM PUBLIC, %I, %I', named.service, named.reader);
    EXECUTE format('GRANT USAGE ON SCHEMA {schema} TO %I, %I', named.service, named.reader);
    FOR found IN
        SELECT format('{schema}.%I', relname) AS name,
            CASE relname
                WHEN 'events' THEN 'SELECT, INSERT'
                WHEN 'commits' THEN 'SELECT, INSERT'
                WHEN 'requests' THEN 'SELECT, INSERT'
                WHEN 'erasable_text' THEN 'SELECT, INSERT'
                WHEN 'erasable_parts' THEN 'SELECT, INSERT'
                WHEN 'tracking' THEN 'SELECT, INSERT, UPDATE'
                WHEN 'account_snapshots' THEN 'SELECT, INSERT, UPDATE'
                ELSE 'SELECT'
            END AS of_service,
            relname <> 'erasable_text' AS of_reader
        FROM pg_class WHERE relnamespace = {schema_text}::regnamespace AND relkind = 'r'
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, %I, %I', found.name, named.service, named.reader);
        EXECUTE format('GRANT %s ON %s TO %I', found.of_service, found.name, named.service);
        IF found.of_reader THEN
            EXECUTE format('GRANT SELECT ON %s TO %I', found.name, named.reader);
        END IF;
    END LOOP;
END
$$;
