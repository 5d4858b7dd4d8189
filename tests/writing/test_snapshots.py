"""Accounts are read from snapshots and the events after them: what they say decides nothing, only how much is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from ledger.domain import commands
from ledger.domain.state.account import AccountState, fold_account
from ledger.domain.streams import account_stream
from ledger.store.codec.account_snapshots import Snapshot, account_of, snapshot_of
from ledger.writing import snapshots
from ledger.writing.messages import FillsTaken
from ledger.writing.snapshots import EVERY
from tests.domain.worked import fills
from tests.write_side import NOON_NS, Writing, ask, record


class Stored:
    """The table of snapshots, as its owner changes it."""

    def __init__(self, dsn: str, writing: Writing) -> None:
        self._connection = psycopg.connect(dsn, autocommit=True)
        self._table = Identifier(writing.config.schema, "account_snapshots")

    def of(self, account_id: str) -> Snapshot | None:
        found = self.execute("SELECT * FROM {} WHERE account_id = %s", account_id).fetchone()
        return Snapshot._make(found) if found else None

    def execute(self, text: str, *parameters: Any) -> psycopg.Cursor[Any]:
        return self._connection.execute(SQL(text).format(self._table), parameters)  # type: ignore[arg-type]


@pytest.fixture
def stored(writing: Writing, dsn: str) -> Iterator[Stored]:
    found = Stored(dsn, writing)
    yield found
    found._connection.close()


def live(writing: Writing, changes: int, account_id: str = "alice") -> None:
    """Give an account as many tiers, one after the other; that of number n is VIP(n modulo 5) for the nth minute."""
    for number in range(changes):
        from_ns = NOON_NS + number * 60 * 10**9
        tier = f"VIP{1 + number % 5}"
        writing.step(ask(commands.ChangeTier(account_id, tier, from_ns, from_ns + 60 * 10**9)))


def restart(writing: Writing) -> None:
    writing.writer.close()
    writing.new_term()


def state(writing: Writing, account_id: str = "alice") -> AccountState:
    """The account as the writer has it, read anew."""
    restart(writing)
    return writing.service._states.account(account_id)


def folded(writing: Writing, account_id: str = "alice") -> AccountState:
    return fold_account(account_id, writing.log.streams([account_stream(account_id)], 2**62))


def tiers(writing: Writing, name: str, minutes: int) -> list[str]:
    """The tiers that fills in each minute are priced by."""
    rows = [{"exec_id": f"{name}{at}", "transact_time_ns": NOON_NS + at * 60 * 10**9} for at in range(minutes)]
    (answer,) = writing.step(record(fills(*rows), with_fees=True))
    assert isinstance(answer, FillsTaken)
    return [basis.tier for _, (_, basis) in sorted(answer.fees.items())]


def test_a_snapshot_is_written_every_so_often_with_the_event_that_it_ends_with(
    writing: Writing, stored: Stored
) -> None:
    versions = []
    for _ in range(3 * EVERY):
        live(writing, 1)
        if (found := stored.of("alice")) is not None:
            assert found == snapshot_of(fold_account("alice", _up_to(writing, found.version)))
            versions.append(found.version)
    different = list(dict.fromkeys(versions))
    assert {later - earlier for earlier, later in pairwise(different)} == {EVERY}
    assert len(different) >= 2


def _up_to(writing: Writing, version: int) -> list[Any]:
    return [each for each in writing.log.streams([account_stream("alice")], 2**62) if each.version <= version]


def test_not_all_accounts_are_due_at_the_same_event(writing: Writing, stored: Stored) -> None:
    for name in "abcdefgh":
        live(writing, EVERY, name)
    assert len({found.version for name in "abcdefgh" if (found := stored.of(name)) is not None}) > 2


def test_after_a_restart_only_the_events_after_the_snapshot_are_read(
    writing: Writing, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(writing, 2 * EVERY)
    found = stored.of("alice")
    assert found is not None
    read: list[dict[str, int]] = []
    original = type(writing.log).accounts_and_days

    def noted(log: Any, accounts: Any, *rest: Any) -> Any:
        read.append(dict(accounts))
        return original(log, accounts, *rest)

    monkeypatch.setattr(type(writing.log), "accounts_and_days", noted)
    assert state(writing) == folded(writing)
    assert read == [{"account/alice": found.version}]


def test_without_them_and_with_others_damaged_or_of_another_encoding_every_fill_costs_the_same(
    writing: Writing, stored: Stored
) -> None:
    live(writing, 2 * EVERY)
    expected = [f"VIP{1 + number % 5}" for number in range(2 * EVERY)]
    assert tiers(writing, "as it was", 2 * EVERY) == expected
    for place, harm in enumerate(
        (
            "DELETE FROM {}",
            "UPDATE {} SET state = set_byte(state, 40, get_byte(state, 40) # 1)",
            "UPDATE {} SET version = version - 1",
            "UPDATE {} SET sha256 = set_byte(sha256, 0, get_byte(sha256, 0) # 128)",
            "UPDATE {} SET encoding = 0",
        )
    ):
        restart(writing)
        stored.execute(harm)
        assert tiers(writing, f"harm {place}", 2 * EVERY) == expected, harm
        assert writing.service.snapshots_damaged == (1 if "encoding" not in harm and place else 0), harm
        found = stored.of("alice")
        assert found is not None, harm
        assert account_of(found) == folded(writing), "it is written anew with that commit"


@pytest.mark.parametrize("harm", ["UPDATE {} SET state = ''::bytea", "UPDATE {} SET encoding = 0"])
def test_one_that_is_passed_over_is_written_anew_also_of_an_account_with_few_events(
    writing: Writing, stored: Stored, harm: str
) -> None:
    live(writing, 2)
    assert stored.of("alice") is not None
    stored.execute(harm)
    restart(writing)
    tiers(writing, "after it", 1)
    found = stored.of("alice")
    assert found is not None
    assert account_of(found) == folded(writing)


def test_a_fact_that_is_withdrawn_after_the_snapshot_is_in_no_state(writing: Writing, stored: Stored) -> None:
    live(writing, 2 * EVERY)
    assert stored.of("alice") is not None
    first = next(each for each in writing.events() if each.stream == account_stream("alice"))
    writing.step(ask(commands.WithdrawFact("alice", first.position)))
    found = state(writing)
    assert found == folded(writing)
    assert found.withdrawn_ids == ("g1",)


def test_the_first_commits_over_an_old_log_write_some_of_them_each(
    writing: Writing, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "_WRITTEN_MAX", 2)
    names = ["a", "b", "c", "d", "e"]
    for name in names:
        live(writing, EVERY, name)
    stored.execute("DELETE FROM {}")
    for commit in (1, 2, 3):
        restart(writing)
        writing.step(record(fills(*({"account_id": name, "exec_id": f"{name}{commit}"} for name in names))))
        assert sum(stored.of(name) is not None for name in names) == min(2 * commit, 5)


def test_nothing_of_a_preview_is_in_a_snapshot(writing: Writing, stored: Stored) -> None:
    live(writing, EVERY)
    for number in range(EVERY):
        writing.step(replace(ask(commands.ChangeTier("alice", "VIP5", NOON_NS, None)), validate_only=True))
        restart(writing)
        writing.step(record(fills({"exec_id": f"E{number}"})))
        found = stored.of("alice")
        assert found is None or account_of(found) == fold_account("alice", _up_to(writing, found.version))
