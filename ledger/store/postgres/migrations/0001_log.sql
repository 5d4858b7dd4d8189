-- The log and its indexes. {schema} is quoted by the runner; every statement may run again.

-- The log itself: the table of the eventsourcing library, in text with byte order, and three columns of ours. The writer
-- assigns notification_id (the position), contiguous from 1. In fee streams originator_version is the position too.
CREATE TABLE IF NOT EXISTS {schema}.{events} (
    originator_id text COLLATE "C" NOT NULL,
    originator_version bigint NOT NULL,
    topic text NOT NULL,
    state bytea NOT NULL,
    notification_id bigint NOT NULL,
    time_min_ns bigint,            -- of a VolumeRecorded: time of its earliest line
    time_max_ns bigint,            -- time of its latest line
    time_max_so_far_ns bigint,     -- latest line of the stream, this event included: rises with the version
    PRIMARY KEY (originator_id, originator_version)
);
CREATE UNIQUE INDEX IF NOT EXISTS {events_index} ON {schema}.{events} (notification_id);

-- How far each source has come; derived from SourceAdvanced.
CREATE TABLE IF NOT EXISTS {schema}.{tracking} (
    application_name text COLLATE "C" PRIMARY KEY,
    notification_id bigint
);

-- One row per commit: which positions it made, and when. Re-derivable from the log.
CREATE TABLE IF NOT EXISTS {schema}.commits (
    last_position bigint PRIMARY KEY,
    first_position bigint NOT NULL,
    recorded_time_ns bigint NOT NULL UNIQUE
);

-- One row per request: the position of its first event, from which the answer follows. Re-derivable from the log.
CREATE TABLE IF NOT EXISTS {schema}.requests (
    request_id text COLLATE "C" PRIMARY KEY,
    sha256 bytea NOT NULL,
    position bigint NOT NULL
);

-- Free text that may have to be erased; the log holds SHA-256(salt || text). The only rows that are ever deleted.
CREATE TABLE IF NOT EXISTS {schema}.erasable_text (
    sha256 bytea PRIMARY KEY,
    salt bytea NOT NULL,
    text text NOT NULL
);
