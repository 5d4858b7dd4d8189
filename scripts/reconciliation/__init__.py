"""What scripts/reconcile.py is made of: two sides as tables of duckdb, what differs between them, and how that is told."""


class UnusableError(Exception):
    """One line: what is wrong with what was given, and the remedy."""
