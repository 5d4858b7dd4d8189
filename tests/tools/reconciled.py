"""A ledger that several tests reconcile, and what a run over it told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from ledger.v1 import fill_pb2
from tests.conftest import serving
from tests.samples import batch, history, symbol
from tests.server.calls import send
from tests.tools import running
from tests.tools.engine_files import Row, row_of


class Told(NamedTuple):
    """The words of a run; JSON, if nothing else was asked for."""

    code: int
    out: str
    err: str

    @property
    def fault(self) -> str:
        """The one line of a file that cannot be used."""
        assert (self.code, self.out, self.err.count("\n")) == (2, "", 1), self
        return self.err.removeprefix("fee-ledger: ").rstrip("\n")

    @property
    def document(self) -> dict[str, Any]:
        """The whole of it."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def summary(self) -> dict[str, Any]:
        """The facts of the run."""
        found: dict[str, Any] = self.document["summary"]
        return found

    @property
    def verdict(self) -> str:
        """The verdict."""
        return str(self.summary["verdict"])

    @property
    def kinds(self) -> dict[str, int]:
        """How many breaks of each kind there are."""
        found: dict[str, int] = self.summary["by_kind"]
        return found

    @property
    def breaks(self) -> list[dict[str, Any]]:
        """The breaks."""
        found: list[dict[str, Any]] = self.document["breaks"]
        return found


@dataclass(frozen=True)
class Books:
    """A ledger, and the rows of an engine that agrees with it; none where a test has files of its own."""

    dsn: str
    schema: str
    rows: Sequence[Row] = ()

    def copy(self) -> list[Row]:
        """The rows, to be changed."""
        return [dict(row) for row in self.rows]

    def reconcile(self, *arguments: object) -> Told:
        """Run the tool in this process."""
        out = [] if "--out" in arguments else ["--out", "json"]
        return Told(*running.run("reconcile", *arguments, *out, "--dsn", self.dsn, "--schema", self.schema))


@contextmanager
def books(dsn: str, schema: str, fills: Sequence[fill_pb2.Fill]) -> Iterator[Books]:
    """Yield a ledger of XRP_USDT with some fills, which pays no attention to anything else."""
    with serving(dsn, schema) as ledger:
        send(ledger, symbol())
        assert not send(ledger, batch(*fills)).refusals
        accounts = sorted({fill.account_id for fill in fills})
        yield Books(dsn, schema, [row_of(line) for account in accounts for line in history(ledger, account)])
