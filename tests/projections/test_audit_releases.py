"""What a release restates is decided again, release by release."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.domain.commands import ChangeTier, FlagAccount, UnflagAccount
from ledger.domain.events import FactReleased, FeeAdjusted
from ledger.domain.instants import SECOND_NS
from ledger.writing import mending
from tests.domain.worked import fills
from tests.projections.audited import audit
from tests.write_side import NOON_NS, Writing, ask, record

HOUR_NS = 3_600 * SECOND_NS


def unflag_after_two_late_grants(writing: Writing) -> None:
    """Release two grants that a flag held back: the first restates both fills, and then the second one of them."""
    first_ns, second_ns = NOON_NS - 2 * HOUR_NS, NOON_NS - HOUR_NS
    writing.step(record(fills({"transact_time_ns": first_ns}, {"transact_time_ns": second_ns})))
    writing.step(ask(FlagAccount("alice", "FAKE", NOON_NS - 1, bytes(32))))
    writing.step(ask(ChangeTier("alice", "VIP1", first_ns, None)), ask(ChangeTier("alice", "VIP4", second_ns, None)))
    writing.step(ask(UnflagAccount("alice", NOON_NS)))


def test_releases_of_one_account_day_in_one_commit_are_decided_again_one_after_the_other(
    writing: Writing, dsn: str, schema: str
) -> None:
    unflag_after_two_late_grants(writing)
    last = [each.event for each in writing.events()][-4:]
    assert [type(event) for event in last] == [FactReleased, FeeAdjusted] * 2
    assert [len(event.lines) for event in last if isinstance(event, FeeAdjusted)] == [2, 1]
    assert audit(dsn, schema)[0] == []


def test_fees_that_a_release_did_not_adjust_are_missed_though_another_release_follows(
    writing: Writing, dsn: str, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_out, restate = iter([True]), mending._restate

    def restate_but_once(*given: Any) -> int:
        return 0 if next(left_out, False) else restate(*given)

    monkeypatch.setattr(mending, "_restate", restate_but_once)
    unflag_after_two_late_grants(writing)
    releases = [each for each in writing.events() if isinstance(each.event, FactReleased)]
    (found,) = audit(dsn, schema)[0]
    assert len(releases) == 2
    assert found.position == releases[0].position
    assert "should have been adjusted" in str(found)
