"""A temporary database of duckdb: exact amounts in it, quoted names, and no way out of it."""
