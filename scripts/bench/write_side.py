"""The write side of a ledger in this process, without threads and wire."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from ledger.config import Config
from ledger.store.log import Log
from ledger.store.postgres.database import open_datastore
from ledger.store.recorder import LedgerRecorder
from ledger.store.writer import Writer
from ledger.writing.service import Service
from ledger.writing.term import begin_term
from scripts.bench.store import Store, check


@contextmanager
def writing(store: Store, schema: str) -> Iterator[Service]:
    """Hold the pen, and give what decides, until the block ends. The tables of the log exist."""
    with closing(open_datastore(store.dsn, schema, connections=3)) as datastore:
        writer = Writer(store.dsn, LedgerRecorder(datastore))
        check(writer.take(), "the service before still writes")
        try:
            term = begin_term(Config(schema=schema), Log(writer), writer, time.time_ns)
            with closing(term.pipeline):
                yield term
        finally:
            writer.close()
