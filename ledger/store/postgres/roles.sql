BEGIN;
SET LOCAL client_min_messages = warning;

-- 1. The roles. They have no password yet, and whoever has none cannot log in by it.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY[{role_texts}] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', wanted);
        END IF;
    END LOOP;
END
$$;

-- 2. Who is no superuser acts for them, and for the roles that own the ledger now, until the end of this transaction.
CREATE TEMPORARY TABLE acted_for ON COMMIT DROP AS
SELECT name FROM (
    SELECT unnest(ARRAY[{owner_text}, {service_text}]::name[])
    UNION SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname IN ({schema_text}, {read_texts})
    UNION SELECT pg_get_userbyid(relowner) FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace
        WHERE nspname IN ({schema_text}, {read_texts})
) AS named (name) WHERE NOT pg_has_role(name, 'USAGE');
DO $$
DECLARE
    role name;
BEGIN
    FOR role IN SELECT name FROM acted_for LOOP
        EXECUTE format('GRANT %I TO %I', role, current_user);
    END LOOP;
END
$$;

-- 3. The database: the service makes schemas for new tables of the read side, and temporary tables.
DO $$
BEGIN
    IF (SELECT datdba = {service_text}::regrole FROM pg_database WHERE datname = current_database()) THEN
        EXECUTE format('ALTER DATABASE %I OWNER TO {owner}', current_database());
    END IF;
    EXECUTE format('GRANT CREATE ON DATABASE %I TO {owner}', current_database());
    EXECUTE format('GRANT CREATE, TEMPORARY ON DATABASE %I TO {service}', current_database());
END
$$;

-- 4. What is there: the log belongs to the owner, the tables of the read side to the service.
CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {owner};
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT 'SCHEMA' AS kind, nspname::regnamespace::text AS name, nspname AS place, nspowner AS owner FROM pg_namespace
        UNION ALL
        SELECT CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, c.oid::regclass::text, nspname, relowner
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace WHERE relkind IN ('r', 'v')
        UNION ALL
        SELECT 'FUNCTION', p.oid::regprocedure::text, nspname, proowner
        FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
    LOOP
        IF found.place = {schema_text} AND found.owner <> {owner_text}::regrole THEN
            EXECUTE format('ALTER %s %s OWNER TO {owner}', found.kind, found.name);
        ELSIF found.place IN ({read_texts}) AND found.owner <> {service_text}::regrole THEN
            EXECUTE format('ALTER %s %s OWNER TO {service}', found.kind, found.name);
        END IF;
    END LOOP;
END
$$;

-- 5. The reader reads the tables of the read side, also those that the service makes later.
ALTER DEFAULT PRIVILEGES FOR ROLE {service} GRANT USAGE ON SCHEMAS TO {reader};
ALTER DEFAULT PRIVILEGES FOR ROLE {service} GRANT SELECT ON TABLES TO {reader};
DO $$
DECLARE
    place text;
BEGIN
    FOR place IN SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname IN ({read_texts}) LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA %s TO {reader}', place);
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %s TO {reader}', place);
    END LOOP;
END
$$;

-- 6. The log. `fee-ledger database migrate` reads these names, and gives the same for tables that it makes.
CREATE TABLE IF NOT EXISTS {schema}.roles (service name NOT NULL, reader name NOT NULL);
ALTER TABLE {schema}.roles OWNER TO {owner};
DELETE FROM {schema}.roles;
INSERT INTO {schema}.roles VALUES ({service_text}, {reader_text});
{grants}

-- 7. All of it is in vain for a role that may do more by other means.
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT rolname, rolsuper OR rolcreaterole AS is_too_strong, pg_has_role(rolname, {owner_text}, 'MEMBER') AS is_owner
        FROM pg_roles WHERE rolname IN ({service_text}, {reader_text})
    LOOP
        IF found.is_too_strong OR found.is_owner THEN
            RAISE insufficient_privilege USING
                MESSAGE = format('the role %I would be able to change the log: it is %s', found.rolname,
                    CASE WHEN found.is_too_strong THEN 'a superuser, or may create roles' ELSE 'a member of {owner}' END),
                HINT = 'Name another role, or take that from this one.';
        END IF;
    END LOOP;
    FOR found IN
        SELECT rolname, relname FROM pg_roles CROSS JOIN pg_class
        WHERE rolname IN ({service_text}, {reader_text}) AND relnamespace = {schema_text}::regnamespace
            AND relname IN ('events', 'commits', 'requests') AND has_table_privilege(rolname, pg_class.oid, 'UPDATE, DELETE, TRUNCATE')
    LOOP
        RAISE insufficient_privilege USING
            MESSAGE = format('the role %I would be able to change the table %I', found.rolname, found.relname),
            HINT = 'It is a member of a role that may: take that membership from it, or name another role.';
    END LOOP;
END
$$;

-- 8. Nobody acts for them any longer.
DO $$
DECLARE
    role name;
BEGIN
    FOR role IN SELECT name FROM acted_for LOOP
        EXECUTE format('REVOKE %I FROM %I', role, current_user);
    END LOOP;
END
$$;

COMMIT;
