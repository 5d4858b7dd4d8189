"""Account-days of a UTC day on which nobody had traded are not looked for in the log; all others are."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from ledger.config import Config
from ledger.domain import commands
from ledger.domain.events import FeeCredited, VolumeRecorded
from ledger.domain.instants import DAY_NS
from ledger.domain.streams import fee_stream
from ledger.store.log import Log
from ledger.writing.messages import FillsTaken
from tests.domain.worked import fills
from tests.write_side import NOON_NS, Writing, ask, record

TODAY = NOON_NS // DAY_NS


@pytest.fixture
def looked_for(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The fee streams that are looked for in the log, in the order of the looks."""
    found: list[str] = []
    read = Log.accounts_and_days

    def noted(log: Log, accounts: Any, days: Collection[str], take: Any) -> Any:
        found.extend(days)
        return read(log, accounts, days, take)

    monkeypatch.setattr(Log, "accounts_and_days", noted)
    return found


def filled(writing: Writing, *names: str, exec_id: str = "A", day: int = TODAY) -> FillsTaken:
    """The answer to a fill of each of some accounts, at noon of a UTC day."""
    at_ns = day * DAY_NS + NOON_NS % DAY_NS
    rows = [{"exec_id": exec_id, "account_id": name, "transact_time_ns": at_ns} for name in names]
    (answer,) = writing.step(record(fills(*rows)))
    assert isinstance(answer, FillsTaken), answer
    return answer


def test_the_first_fills_of_a_day_are_not_looked_for(writing: Writing, looked_for: list[str]) -> None:
    assert filled(writing, "alice", "bob").recorded == 2
    assert filled(writing, "carol").recorded == 1
    assert filled(writing, "alice", day=TODAY - 1).recorded == 1
    assert looked_for == []
    assert filled(writing, "alice", "bob", "carol").replayed == 3


def test_after_a_restart_the_days_that_the_log_has_are_looked_for(writing: Writing, looked_for: list[str]) -> None:
    filled(writing, "alice")
    writing.writer.close()
    writing.new_term()
    assert filled(writing, "alice", "bob").replayed == 1
    assert filled(writing, "bob", day=TODAY - 1).recorded == 1
    assert sorted(looked_for) == [fee_stream("alice", TODAY), fee_stream("bob", TODAY)]


def test_what_was_dropped_from_memory_is_looked_for(writing: Writing, looked_for: list[str]) -> None:
    writing.config = Config(schema=writing.config.schema, account_day_bytes_max=1_000)
    writing.writer.close()
    writing.new_term()
    names = [f"account-{number}" for number in range(9)]
    for name in names:
        assert filled(writing, name).recorded == 1
    assert all(filled(writing, name).replayed == 1 for name in names)
    assert {fee_stream(name, TODAY) for name in names[:4]} <= set(looked_for)


def test_a_credit_begins_a_day(writing: Writing, looked_for: list[str]) -> None:
    filled(writing, "alice", day=TODAY - 1)
    writing.step(ask(commands.CreditFee("alice", TODAY, "12.5", "USDT", "OUTAGE")))
    assert filled(writing, "alice", "bob").recorded == 2
    assert looked_for == []
    of_today = [each for each in writing.events() if each.stream == fee_stream("alice", TODAY)]
    assert [type(each.event) for each in of_today] == [FeeCredited, VolumeRecorded]
    assert of_today[1].event.previous_position == of_today[0].position
