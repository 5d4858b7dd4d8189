"""The connections to PostgreSQL that the service takes, from its knobs."""

from __future__ import annotations

from ledger.config import Config


def connections_needed(config: Config) -> int:
    """Return how many at most: of readers, the writer and the probe, and four where the service keeps the tables."""
    return config.read_connections + 2 + (4 if config.projections else 0)
