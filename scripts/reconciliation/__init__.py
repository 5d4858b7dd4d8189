"""What scripts/reconcile.py is made of: two sides as tables of duckdb, what differs, and how it is told."""


class UnusableError(Exception):
    """One line: what is wrong with what was given, and the remedy."""
