"""A small exchange that lives 90 days in seconds, on a throw-away ledger."""
