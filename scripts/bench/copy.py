"""The limit that a ledger with a row per fill cannot pass: binary COPY into the library's table, and nothing else."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final

from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.domain.streams import fee_stream
from ledger.v1 import fill_pb2
from scripts.bench.fills import messages_of, reference_fills
from scripts.bench.load import ACCOUNTS
from scripts.bench.store import Store, check

ROWS_PER_COMMIT: Final = 5_000
STATE_BYTES: Final = 161
TOPIC: Final = b"FillRecorded"
_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
_TRAILER: Final = struct.pack("!h", -1)

# ledger/store/postgres/migrations/0001_log.sql without the three columns that the library's table does not have.
TABLE: Final = """
CREATE TABLE {schema}.events (
    originator_id text COLLATE "C" NOT NULL,
    originator_version bigint NOT NULL,
    topic text NOT NULL,
    state bytea NOT NULL,
    notification_id bigint NOT NULL,
    PRIMARY KEY (originator_id, originator_version)
);
CREATE UNIQUE INDEX events_notification_id_idx ON {schema}.events (notification_id);
"""


class CopyRowPerFill:
    """The same fills, a row each, the bytes made before the clock starts, one connection, a commit per COPY."""

    def __init__(self, fills: int) -> None:
        self._fills = fills
        messages = enumerate((fill for block in reference_fills(fills, ACCOUNTS) for fill in messages_of(block)), 1)
        self._blocks: list[bytes] = []
        while block := b"".join(_row(position, fill) for position, fill in islice(messages, ROWS_PER_COMMIT)):
            self._blocks.append(_HEADER + block + _TRAILER)
        self.settings: Mapping[str, object] = {
            "accounts": ACCOUNTS,
            "rows_per_commit": ROWS_PER_COMMIT,
            "state_bytes": STATE_BYTES,
            "connections": 1,
        }

    def run(self, store: Store, schema: str) -> dict[str, float]:
        """One round on a fresh schema."""
        statement = f"COPY {schema}.events FROM STDIN (FORMAT BINARY)".encode()
        with store.connect() as connection:
            connection.execute(TABLE.format(schema=schema).encode())
            store.checkpoint()
            began = time.perf_counter()
            for block in self._blocks:
                with connection.cursor().copy(statement) as copy:
                    copy.write(block)
            seconds = time.perf_counter() - began
        self.verify(store, schema)
        return {"limit.copy_row_per_fill_per_s": self._fills / seconds}

    def verify(self, store: Store, schema: str) -> None:
        """The rows are there, at contiguous positions, with their bytes."""
        columns = "count(*), min(notification_id), max(notification_id), sum(octet_length(state))"
        found = store.rows(f"SELECT {columns} FROM {schema}.events")
        meant = [(self._fills, 1, self._fills, self._fills * STATE_BYTES)]
        check(found == meant, f"COPY stored (rows, first, last, bytes of state) {found[0]}, sent was {meant[0]}")


def _row(position: int, fill: fill_pb2.Fill) -> bytes:
    """A row in PostgreSQL's binary format; as in our fee streams the version is the position."""
    number = struct.pack("!q", position)
    return struct.pack("!h", 5) + _fields((stream_of(fill), number, TOPIC, state_of(fill), number))


def stream_of(fill: fill_pb2.Fill) -> bytes:
    """The stream of a fill, as the ledger names it."""
    return fee_stream(fill.account_id, fill.transact_time.seconds * SECOND_NS // DAY_NS).encode()


def state_of(fill: fill_pb2.Fill) -> bytes:
    """STATE_BYTES of a fill."""
    content = [
        fill.exec_id,
        fill.symbol,
        fill.side,
        fill.liquidity,
        fill.last_px,
        fill.last_qty,
        fill.transact_time.nanos,
    ]
    content += [fill.trade_id, fill.order_id, fill.counterparty_owner_id, fill.channel]
    return json.dumps(content, separators=(",", ":")).encode().ljust(STATE_BYTES)[:STATE_BYTES]


def _fields(values: Iterable[bytes]) -> bytes:
    return b"".join(struct.pack("!i", len(value)) + value for value in values)
