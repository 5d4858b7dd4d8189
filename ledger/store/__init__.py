"""The log in PostgreSQL, on the seams of the eventsourcing library. One dialect, one code path, embedded or not."""
