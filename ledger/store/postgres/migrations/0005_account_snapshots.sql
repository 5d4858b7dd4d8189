-- States of accounts after some event of theirs, so that a start does not fold years of them. They follow from the events,
-- and nothing rests on them: `fee-ledger check` derives each again, rows may be deleted, and a backup leaves them out.
CREATE TABLE IF NOT EXISTS {schema}.account_snapshots (
    account_id text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,       -- of the last event of account/<id> that it holds
    encoding bigint NOT NULL,      -- how `state` is to be read; an unknown one is passed over
    state bytea NOT NULL,
    sha256 bytea NOT NULL          -- of account, version, encoding and state
);
