"""A ledger with a backup of three parts, what it answered, and its rows, to be compared with those of another one."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg
from google.protobuf.message import Message

from ledger.v1.command_pb2 import Authority
from ledger.v1.fill_service_pb2 import GetSourcePositionRequest
from tests.conftest import Ledger, serving
from tests.samples import batch, fill, symbol
from tests.server.calls import send
from tests.server.orders import ban, register, tier
from tests.tools import running
from tests.tools.running import Ran

SOURCE: Final = "engine-1"
LEASE_MS: Final = 30_000  # nobody takes over here, and the machine may be busy
# The rows of the log up to a position, by table; those of texts are not ordered by it.
ROWS: Final = {
    "events": "SELECT * FROM LEDGER.events WHERE notification_id <= %(until)s ORDER BY notification_id",
    "commits": "SELECT * FROM LEDGER.commits WHERE last_position <= %(until)s ORDER BY last_position",
    "requests": "SELECT * FROM LEDGER.requests WHERE position <= %(until)s ORDER BY request_id",
    "erasable_parts": "SELECT * FROM LEDGER.erasable_parts WHERE position <= %(until)s ORDER BY position",
    "dictionaries": "SELECT * FROM LEDGER.dictionaries WHERE %(until)s > 0 ORDER BY version",
    "migrations": "SELECT * FROM LEDGER.migrations WHERE %(until)s > 0 ORDER BY name",
}
TEXTS: Final = 'SELECT text FROM LEDGER.erasable_text ORDER BY text COLLATE "C"'
TRACKED: Final = "SELECT notification_id FROM LEDGER.tracking"
_schemas: Final = itertools.count(1)


def sql(dsn: str, schema: str, text: str, /, **values: Any) -> list[tuple[Any, ...]]:
    """Run a statement in which LEDGER stands for the schema; return its rows."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(text.replace("LEDGER", schema).encode(), values)
        return cursor.fetchall() if cursor.description else []


def rows_of(dsn: str, schema: str, until: int, tables: Iterable[str] = tuple(ROWS)) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of the log of a ledger up to a position, by table."""
    return {table: sql(dsn, schema, ROWS[table], until=until) for table in tables}


def texts_of(dsn: str, schema: str) -> list[str]:
    """The free texts of a ledger."""
    return [text for (text,) in sql(dsn, schema, TEXTS)]


@dataclass
class BackedUp:
    """A ledger in a schema, which is served no more, and its backup in a folder."""

    dsn: str
    schema: str
    folder: Path
    ends: list[int] = field(default_factory=list)  # the position of the log at each part
    asked: list[tuple[Message, Message]] = field(default_factory=list)  # commands of the first part, with their answers

    def run(self, *arguments: object, schema: str = "") -> Ran:
        """Run `fee-ledger` with the store of the ledger, or in another schema."""
        return running.run(*arguments, "--dsn", self.dsn, "--schema", schema or self.schema)

    def back_up(self, folder: Path | None = None) -> Ran:
        """Add a part."""
        return self.run("backup", "to", folder or self.folder)

    def restore(self, *more: object, folder: Path | None = None) -> tuple[str, Ran]:
        """Restore into a new schema; return its name, and how that ended."""
        schema = f"{self.schema}_again_{next(_schemas)}"
        return schema, self.run("restore", "from", folder or self.folder, *more, schema=schema)


def backed_up(dsn: str, schema: str, folder: Path) -> BackedUp:
    """Serve a new ledger, record accounts, texts and fills of a source in several commits, back it up in between."""
    made = BackedUp(dsn, schema, folder)
    with serving(dsn, schema, lease_ms=LEASE_MS) as ledger:
        send(ledger, symbol())
        for name in ("alice", "bob"):
            by = Authority(actor="ops-1", reason=f"{name} called", ticket=f"ticket of {name}")
            ask(made, ledger, register(name, authority=by))
        ask(made, ledger, tier("alice", "VIP2"))
        _trade(ledger, 1)
        _take(made, ledger)
        send(ledger, ban("bob", authority=Authority(actor="ops-1", reason="spam in part 2")))
        for first in range(4, 13, 3):
            _trade(ledger, first)
        send(ledger, register("carol", authority=Authority(actor="ops-1", reason="last of part 2")))
        _take(made, ledger)
        _trade(ledger, 13)
        _take(made, ledger)
    return made


def ask(made: BackedUp, ledger: Ledger, request: Message) -> None:
    """Send a command, and remember its answer."""
    made.asked.append((request, send(ledger, request)))


def source_position(ledger: Ledger) -> int:
    """The last number that the ledger has of the source."""
    return int(ledger.fills.GetSourcePosition(GetSourcePositionRequest(source=SOURCE)).last_sequence)


def _trade(ledger: Ledger, first: int) -> None:
    """Record fills of the source under three numbers from the first on."""
    numbers = range(first, first + 3)
    fills = [fill(account_id=f"a{number}", exec_id=f"E-{number}", cl_ord_id=f"C-{number}") for number in numbers]
    ledger.fills.RecordFills(batch(*fills, source=SOURCE, first_sequence=first))


def _take(made: BackedUp, ledger: Ledger) -> None:
    done = made.back_up()
    assert (done.code, done.err) == (0, "")
    made.ends.append(ledger.log.head().position)
