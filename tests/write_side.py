"""The write side as one object: steps in, answers and events out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from typing import Any

import psycopg

from ledger.config import Config
from ledger.domain import commands
from ledger.domain.commands import Command
from ledger.domain.instants import DAY_NS
from ledger.fills.batch import FillBatch, as_part
from ledger.server.command_rpc import request_of
from ledger.store.log import Log
from ledger.store.migration import migrate
from ledger.store.postgres.database import open_datastore
from ledger.store.recorder import LedgerRecorder
from ledger.store.writer import Writer
from ledger.wire.fields import Shape
from ledger.writing.messages import DecideCommand, RecordFills
from ledger.writing.service import Service
from ledger.writing.term import begin_term
from tests.asking import actor_of, message_of
from tests.waiting import wait_for

NOON_NS = 20_000 * DAY_NS + DAY_NS // 2  # 2024-10-04 12:00:00 UTC: where the tests' clock starts

_requests = count(1)


class Writing:
    """A service with the pen over a schema, without threads and wire. It knows the symbol `S`."""

    def __init__(self, dsn: str, schema: str, log: Log, recorder: LedgerRecorder) -> None:
        self.dsn = dsn
        self.config = Config(schema=schema)
        self.log = log
        self.writer = Writer(dsn, recorder)
        self.service = self.new_term()
        symbol = commands.RegisterSymbol("S", "XRP", "USDT", 1, 8, 8, pair_class="A")
        self.step(ask(symbol))

    def new_term(self) -> Service:
        wait_for(self.writer.take)  # the backend of the term before may still be about to end
        self.service = begin_term(self.config, self.log, self.writer, lambda: NOON_NS)
        return self.service

    def step(self, *inputs: Any) -> list[Any]:
        return self.service.step(inputs, NOON_NS)

    def events(self, after: int = 0) -> list[Any]:
        """Events after a position, in order."""
        return [self.log.at(position) for position in range(after + 1, self.log.head().position + 1)]


@contextmanager
def opened(dsn: str, schema: str) -> Iterator[Writing]:
    """Give the write side over a schema, which is made where it is missing, until the block ends."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        migrate(connection, schema)
    with closing(open_datastore(dsn, schema, connections=3)) as datastore:
        writing = Writing(dsn, schema, Log(datastore), LedgerRecorder(datastore))
        yield writing
        writing.writer.close()


def ask(command: Command, request_id: str = "", **by: str) -> DecideCommand:
    """A command as it comes out of a request; `by` are other fields of its authority than the usual ones."""
    name = request_id or f"r{next(_requests)}"
    by = {"actor": actor_of(command), "approver": "ops-2", "reason": "agreed", **by}
    return DecideCommand(request_of(Shape(), message_of(command, name, **by)), command)


def record(batch: FillBatch, *, size: int = 0, **changes: Any) -> RecordFills:
    return RecordFills(
        as_part(batch),
        batch.venue,
        batch.sources[0],
        int(batch.sequence[0]),
        size or len(batch),
        lambda index: bytes([index]),
        **changes,
    )
