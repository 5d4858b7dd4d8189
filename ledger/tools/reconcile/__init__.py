"""An engine's files against the ledger: two sides as tables of duckdb, what differs, and how it is told."""
