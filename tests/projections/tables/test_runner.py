"""When the runner rests: after every advance during which something was committed, and after no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from ledger.domain import commands
from ledger.store.postgres.database import connect
from projections.tables import runner
from projections.tables.runner import Runner
from projections.tables.tables import Tables
from projections.tables.upgrade import Upgrade
from tests.waiting import wait_for
from tests.write_side import Writing, ask


@dataclass
class Watch:
    """What a runner does: the ends of its advances, what each took that it rested after, how often it looked."""

    meanwhile: list[Callable[[], object]] = field(default_factory=list)  # called during an advance, one each
    reached: list[int] = field(default_factory=list)
    rested_after_s: list[float] = field(default_factory=list)
    looks: int = 0  # for something to take in
    looks_before: int = 0  # the end of its last advance

    def wait_until_idle(self) -> None:
        """Return once it has looked again, after its last advance and the look for what came meanwhile."""
        wait_for(lambda: self.looks > self.looks_before)


@pytest.fixture
def watch(writing: Writing, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """Of a runner that has the whole log in its tables."""
    watch, advance, look = Watch(), Tables.advance, Upgrade.position

    def watched(tables: Tables, connection: psycopg.Connection[Any], after: int, until: int) -> bool:
        if watch.meanwhile:
            watch.meanwhile.pop()()
        done = advance(tables, connection, after, until)
        watch.looks_before = watch.looks
        watch.reached.append(until)
        return done

    def no_rest(worked_s: float, *_: float) -> float:
        watch.rested_after_s.append(worked_s)
        return 0

    def looked(upgrade: Upgrade, connection: psycopg.Connection[Any]) -> int | None:
        watch.looks += 1
        return look(upgrade, connection)

    monkeypatch.setattr(Tables, "advance", watched)
    monkeypatch.setattr(Upgrade, "position", looked)
    monkeypatch.setattr(runner, "rest_s", no_rest)
    monkeypatch.setattr(runner, "_POLL_S", 60.0)
    follower = Runner(writing.log, writing.config.schema, lambda: connect(dsn, "projections"))
    follower.start()
    wait_for(lambda: writing.log.head().position in watch.reached)
    yield watch
    follower.stop()


def commit(writing: Writing) -> int:
    """One decision; returns its position."""
    writing.step(ask(commands.RegisterCurrency("C", 8)))
    return writing.log.head().position


def test_an_isolated_commit_is_taken_in_at_once(writing: Writing, watch: Watch) -> None:
    for _ in range(3):
        position = commit(writing)
        wait_for(lambda reached=position: watch.reached[-1] == reached)  # no poll comes so soon
        watch.wait_until_idle()  # or the next commit may come during its advance
    assert watch.rested_after_s == []


def test_while_commits_keep_coming_every_advance_is_followed_by_a_rest(writing: Writing, watch: Watch) -> None:
    watch.meanwhile = [lambda: commit(writing)] * 3
    head = commit(writing) + 3
    wait_for(lambda: watch.reached[-1] == head)
    assert len(watch.rested_after_s) == 3
    assert all(worked_s > 0 for worked_s in watch.rested_after_s)
