"""The connections to PostgreSQL that the service takes, from its knobs."""

from __future__ import annotations

from ledger.config import Config


def connections_needed(config: Config) -> int:
    """Return how many at most: of readers, writer, probe, two of controls, and four where it keeps the tables."""
    return config.read_connections + 4 + (4 if config.projections else 0)
