"""Few fills are decided line by line, many over columns: with the same events, byte for byte, and the same answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from ledger.domain.instants import DAY_NS
from ledger.fills.decide_few import FEW, FewDecided, decide_few
from ledger.store import writer
from ledger.writing import fills as writing_fills
from tests.properties.test_replay import History
from tests.write_side import NOON_NS, Writing, opened


class Twins:
    """Two ledgers that are told the same. One decides few fills line by line, the other decides all over columns."""

    def __init__(self, lines: Writing, columns: Writing, patch: pytest.MonkeyPatch) -> None:
        self.lines, self.columns, self.patch = lines, columns, patch
        self.log, self.begins = lines.log, lines.log.head().position
        self.line_by_line = 0  # fills decided so

        def counted(*arguments: Any) -> FewDecided | None:
            decided = decide_few(*arguments)
            self.line_by_line += len(decided.fees) if decided is not None else 0
            return decided

        patch.setattr(writing_fills, "decide_few", counted)

    def step(self, *inputs: Any) -> list[Any]:
        self.patch.setattr(writing_fills, "FEW", FEW)
        answers = self.lines.step(*inputs)
        self.patch.setattr(writing_fills, "FEW", 0)
        assert self.columns.step(*inputs) == answers
        return answers

    def new_term(self) -> None:
        self.lines.new_term()
        self.columns.new_term()

    def assert_alike(self) -> None:
        """All that was recorded since the beginning is the same, and what may be erased of it."""
        for table in (f"events WHERE notification_id > {self.begins}", "erasable_parts", "commits", "tracking"):
            rows, others = (rows_of(each, table) for each in (self.lines, self.columns))
            assert rows == others, table


def rows_of(writing: Writing, table: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(writing.dsn) as connection:
        return connection.execute(f"SELECT * FROM {writing.config.schema}.{table} ORDER BY 1, 2".encode()).fetchall()


@pytest.fixture
def twins(dsn: str, schema: str, writing: Writing, monkeypatch: pytest.MonkeyPatch) -> Iterator[Twins]:
    with opened(dsn, f"{schema}_columns") as columns:
        monkeypatch.setattr(writer, "os", SimpleNamespace(urandom=bytes))  # nonces are random, and would differ
        yield Twins(writing, columns, monkeypatch)


class FewFills(History):
    """A random history of grants, bans, flags, owners, resends, conflicts and self-trades.

    Most requests have ordinary fills alone, on few days; many ask for their fees.
    """

    def fills(self) -> Any:
        self.ordinary = self.random.random() < 0.9
        sent, self.sent = self.sent, [] if self.ordinary else self.sent
        job = super().fills()
        self.sent = [*sent, *self.sent] if self.ordinary else self.sent
        return replace(job, with_fees=self.random.random() < 0.5)

    def fill(self) -> dict[str, Any]:
        row = super().fill()
        if self.ordinary:
            row |= {"token": "", "symbol": self.random.choice(("S", "T", "NEW")), "product": self.random.randint(0, 1)}
            row["transact_time_ns"] = NOON_NS - self.random.randrange(2) * DAY_NS - self.random.randrange(10**9)
        return row


@pytest.mark.parametrize("seed", [1, 2])
def test_a_random_history_has_the_same_events_and_answers_line_by_line_as_over_columns(twins: Twins, seed: int) -> None:
    history: Any = FewFills(twins, seed)  # type: ignore[arg-type]
    history.run(60)
    twins.assert_alike()
    assert twins.line_by_line > 100
