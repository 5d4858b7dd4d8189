"""Binary COPY of a row per fill, and nothing else: into the table of the library, and in its best form."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import islice
from typing import Any, Final, NamedTuple

import psycopg

from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.domain.streams import fee_stream
from ledger.v1 import fill_pb2
from scripts.bench.figures import COPY, COPY_BEST
from scripts.bench.fills import messages_of, reference_fills
from scripts.bench.load import ACCOUNTS
from scripts.bench.store import Store, check

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


class CopyForm(NamedTuple):
    """A way to copy: the figure it gives, the indexes of the table, rows of a commit, and connections at once."""

    figure: str
    indexes: str
    rows_per_commit: int
    connections: int


LIBRARY: Final = CopyForm(COPY, "(stream, version) and position, as in the library's table", 5_000, 1)
BEST: Final = CopyForm(COPY_BEST, "position alone", 50_000, 2)


class CopyRowPerFill:
    """The same fills, a row each, the bytes made before the clock starts, a commit per COPY."""

    def __init__(self, fills: int, form: CopyForm = LIBRARY) -> None:
        self._fills = fills
        self._form = form
        prefix = "" if form is LIBRARY else "best_"
        self.settings: Mapping[str, object] = {
            "accounts": ACCOUNTS,
            "state_bytes": STATE_BYTES,
            f"{prefix}copy_indexes": form.indexes,
            f"{prefix}rows_per_commit": form.rows_per_commit,
            f"{prefix}connections": form.connections,
        }

    def run(self, store: Store, schema: str) -> dict[str, float]:
        """One round on a fresh schema."""
        blocks = list(self._blocks())
        with ExitStack() as stack:
            connections = [stack.enter_context(store.connect()) for _ in range(self._form.connections)]
            connections[0].execute(TABLE.format(schema=schema).encode())
            if self._form is BEST:
                connections[0].execute(f"ALTER TABLE {schema}.events DROP CONSTRAINT events_pkey".encode())
            store.checkpoint()
            pool = stack.enter_context(ThreadPoolExecutor(len(connections)))
            began = time.perf_counter()
            parts = [blocks[first :: len(connections)] for first in range(len(connections))]
            list(pool.map(partial(_copy, schema), connections, parts))
            seconds = time.perf_counter() - began
        self.verify(store, schema)
        return {self._form.figure: self._fills / seconds}

    def _blocks(self) -> Iterator[bytes]:
        """Yield the input of each COPY."""
        messages = enumerate(
            (fill for block in reference_fills(self._fills, ACCOUNTS) for fill in messages_of(block)), 1
        )
        while block := b"".join(_row(at, fill) for at, fill in islice(messages, self._form.rows_per_commit)):
            yield _HEADER + block + _TRAILER

    def verify(self, store: Store, schema: str) -> None:
        """The rows are there, at contiguous positions, with their bytes."""
        columns = "count(*), min(notification_id), max(notification_id), sum(octet_length(state))"
        found = store.rows(f"SELECT {columns} FROM {schema}.events")
        meant = [(self._fills, 1, self._fills, self._fills * STATE_BYTES)]
        check(found == meant, f"COPY stored (rows, first, last, bytes of state) {found[0]}, sent was {meant[0]}")


def _copy(schema: str, connection: psycopg.Connection[Any], blocks: Sequence[bytes]) -> None:
    """Copy blocks, a commit each."""
    statement = f"COPY {schema}.events FROM STDIN (FORMAT BINARY)".encode()
    for block in blocks:
        with connection.cursor().copy(statement) as copy:
            copy.write(block)


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
