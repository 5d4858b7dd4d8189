"""The one writer of a ledger: its thread, what it decides for callers, and the states that it keeps for that."""
