-- What customers chose and may have to be erased: tickets, and the ids that clients give their orders. An event holds the
-- hash of its part (erasable_sha256), so to erase is to delete a row here, and no event changes. A row is deleted or stays
-- as it is; the trigger holds for everybody, as those of 0003 do.
CREATE TABLE IF NOT EXISTS {schema}.erasable_parts (
    position bigint PRIMARY KEY,   -- of the event
    nonce bytea NOT NULL,          -- 16 random bytes, without which nobody can tell by the hash what was erased
    content bytea NOT NULL         -- the event's message with nothing but what may be erased
);
ALTER TABLE {schema}.erasable_parts ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR TRUNCATE ON {schema}.erasable_parts
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse_change();
ALTER TABLE {schema}.erasable_parts ENABLE ALWAYS TRIGGER refuse_change;
