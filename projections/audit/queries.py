"""How an audit asks the tables: statements of its own, over the connections of the log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from psycopg.sql import SQL, Composable, Composed, Identifier

from ledger.store.log import Log
from ledger.store.postgres.migrate import EVENTS, TRACKING
from ledger.store.reads import KEYS, Row
from projections.tables.tables import read_schema


class Queries:
    """Runs SQL in which `{events}`, `{tracking}`, `{schema}` and `{read}`, the schema of the read side, are names.

    Those in KEYS are the keys of the log.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        schema = log.connections.schema
        self._read_schema = read_schema(schema)
        self._names: dict[str, Composable] = {
            **KEYS,
            "events": Identifier(schema, EVENTS),
            "tracking": Identifier(schema, TRACKING),
            "schema": Identifier(schema),
            "read": Identifier(self._read_schema),
            **KEYS,
        }

    def _sql(self, text: str) -> Composed:
        return SQL(text).format(**self._names)

    def _query(self, text: str, **parameters: Any) -> list[Row]:
        return self._log.query(self._sql(text), parameters)

    def _rows(self, text: str, **parameters: Any) -> Iterator[Row]:
        """Yield rows as they are taken: there may be any number."""
        return self._log.rows_of(self._sql(text), parameters)
