-- The dictionaries by which runs of fills are compressed: with the log itself, so that it can be read for ever, whatever
-- release reads it. `ledger.store.dictionaries` puts them here. A row is added, and stays as it is.
CREATE TABLE IF NOT EXISTS {schema}.dictionaries (
    version integer PRIMARY KEY,   -- the first byte of each run that is compressed with it
    sha256 bytea NOT NULL,         -- of the content
    content bytea NOT NULL
);

CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {schema}.dictionaries
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse_change();
ALTER TABLE {schema}.dictionaries ENABLE ALWAYS TRIGGER refuse_change;
