"""How far the tables of the read side have come, and waiting until they have come far enough."""

from __future__ import annotations

import time
from typing import Final

from psycopg.sql import SQL, Identifier

from ledger.domain.refusal import Reason
from ledger.wire.status import refuse
from projections.as_of import Reader
from projections.tables.tables import read_schema

_POLL_S: Final = 0.01


def tables_position(reader: Reader, schema: str) -> int:
    """How far the materialised tables are; 0 where nobody has made them yet."""
    exists = reader.log.query(SQL("SELECT to_regclass(%(name)s)::text"), {"name": f"{read_schema(schema)}.position"})
    if exists[0][0] is None:
        return 0
    table = Identifier(read_schema(schema), "position")
    return int(reader.log.query(SQL("SELECT position FROM {}").format(table), {})[0][0])


def wait_for_tables(reader: Reader, schema: str, position: int) -> int:
    """How far the tables are, once they have reached a position. Refuses with POSITION_NOT_REACHED."""
    until_s = time.monotonic() + reader.config.read_wait_ms_max / 1000
    while (reached := tables_position(reader, schema)) < max(position, 1):
        if time.monotonic() >= until_s:
            detail = f"the tables are at position {reached}"
            refuse(Reason.POSITION_NOT_REACHED, "min_position", detail, position=str(reached))
        time.sleep(_POLL_S)
    return reached
