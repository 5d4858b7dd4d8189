"""Each event of a fee stream names the one before it in its account-day, whatever recorded either of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from ledger.domain import commands
from ledger.domain.events import CreditWithdrawn, FeeAdjusted, FeeCredited, FeeEvent, Recorded, VolumeRecorded
from ledger.domain.instants import DAY_NS
from ledger.fills import adjust, mend
from ledger.store.codec.events import decode_row
from ledger.store.writer import WriterLost
from ledger.writing.messages import DecideCommand, RecordFills
from tests.domain.worked import fills
from tests.replaying import deviations
from tests.write_side import NOON_NS, Writing, ask, record
from tests.writing.test_repricing import finish, trade, vip4

TODAY = NOON_NS // DAY_NS


def filled(exec_id: str, *account_ids: str, actor: str = "") -> RecordFills:
    """A fill of each of some accounts (default: of alice), of today."""
    rows = [{"exec_id": exec_id, "account_id": name} for name in account_ids or ("alice",)]
    return record(replace(fills(*rows), actor=actor))


def late_tier(tier: str) -> DecideCommand:
    """A tier of alice that began before all fills, which restates them at once."""
    return ask(commands.ChangeTier("alice", tier, NOON_NS - 1, None))


def credit() -> DecideCommand:
    return ask(commands.CreditFee("alice", TODAY, "12.5", "USDT", "OUTAGE"))


def linked(writing: Writing) -> Counter[type[Any]]:
    """Check that each event of a fee stream names the one before it; return how many of each kind name one."""
    events, found, last = writing.events(), Counter[type[Any]](), dict[str, int]()
    for recorded in events:
        if isinstance(recorded.event, FeeEvent):
            assert recorded.event.previous_position == last.get(recorded.stream, 0), recorded
            found[type(recorded.event)] += recorded.stream in last
            last[recorded.stream] = recorded.position
    assert deviations(events) == []
    return found


def test_runs_of_one_commit_that_two_actors_recorded_and_a_decision_cut_are_linked(writing: Writing) -> None:
    register = ask(commands.RegisterSymbol("T", "DOGE", "BTC", 1, 12, 6, pair_class="B"))
    writing.step(filled("A"), filled("B", actor="desk"), register, filled("C"), filled("D", "bob"))
    writing.step(filled("E", "alice", "bob"))
    assert linked(writing) == {VolumeRecorded: 4}


def test_what_restates_and_credits_a_day_is_linked_with_the_fills_around_it_in_its_commit(writing: Writing) -> None:
    writing.step(filled("0"))
    given, *_ = writing.step(credit(), filled("A"), late_tier("VIP1"), filled("B"), credit(), late_tier("VIP2"))
    withdrawal = commands.WithdrawCredit("alice", given.recorded.position, "MISTAKE")
    writing.step(filled("C"), ask(withdrawal), filled("D"))
    assert linked(writing) == {VolumeRecorded: 4, FeeAdjusted: 2, FeeCredited: 2, CreditWithdrawn: 1}


def test_a_day_that_is_not_in_memory_is_linked_too(writing: Writing) -> None:
    writing.step(filled("A"))
    writing.new_term()
    writing.step(late_tier("VIP1"), late_tier("VIP2"), filled("B"))
    writing.new_term()
    writing.step(filled("C"))
    writing.new_term()
    writing.step(credit())
    assert linked(writing) == {FeeAdjusted: 2, VolumeRecorded: 2, FeeCredited: 1}


@pytest.mark.parametrize("is_held", [True, False])
def test_the_parts_of_a_repricing_are_linked_also_where_one_day_takes_several_events(
    writing: Writing, monkeypatch: pytest.MonkeyPatch, is_held: bool
) -> None:
    monkeypatch.setattr(mend, "LINES_AT_ONCE", 3)
    monkeypatch.setattr(adjust, "_LINES_OF_AN_EVENT", 2)
    trade(writing, 4, days_ago=2)
    trade(writing, 5)
    if not is_held:
        writing.new_term()
    vip4(writing)
    trade(writing, 1, name="F")
    assert finish(writing) == [3, 3, 3]
    trade(writing, 1, name="G")
    assert linked(writing) == {FeeAdjusted: 6, VolumeRecorded: 2}


def test_days_by_the_hundred_are_linked_and_those_that_were_forgotten(writing: Writing) -> None:
    names = [f"account{number}" for number in range(300)]
    writing.step(filled("A", *names))
    writing.step(filled("B", *names[::2]), filled("C", *names, actor="desk"))
    writing.service._states.days.shrink(50_000)
    assert 0 < len(writing.service._states.days) < 300
    writing.step(filled("D", *names))
    assert linked(writing) == {VolumeRecorded: 750}


def test_a_commit_that_was_lost_is_no_event_of_its_days(writing: Writing, dsn: str) -> None:
    writing.step(filled("A", "alice", "bob"))
    with psycopg.connect(dsn, autocommit=True) as other:
        name = "fee-ledger writer"
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [name])
    with pytest.raises(WriterLost):
        writing.step(filled("B"), credit(), filled("C", "bob"))
    writing.new_term()
    writing.step(filled("B", "bob"), credit(), filled("B"))
    assert linked(writing) == {VolumeRecorded: 2, FeeCredited: 1}


def test_a_preview_names_what_the_commit_names_and_leaves_no_trace(writing: Writing) -> None:
    writing.step(filled("A"))
    tier = late_tier("VIP1")
    (foreseen,) = writing.step(replace(tier, validate_only=True))
    before = writing.log.head().position
    writing.step(tier)
    assert [each.event for each in map(decode_row, foreseen.preview.rows)] == [
        each.event for each in writing.events(before)
    ]
    writing.step(filled("B"))
    assert linked(writing) == {FeeAdjusted: 1, VolumeRecorded: 1}


def test_no_event_is_read_to_link_the_fills_of_a_day_in_memory(
    writing: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing.step(filled("A"))
    log, read = type(writing.log), list[str]()
    original = log._rows

    def noted(self: Any, *asked: Any, **more: Any) -> Any:
        read.append(f"{asked}")
        return original(self, *asked, **more)

    monkeypatch.setattr(log, "_rows", noted)
    writing.step(filled("B"))
    assert [each for each in read if writing.config.schema in each] == [], "services of other tests may read on"
    monkeypatch.undo()
    assert linked(writing) == {VolumeRecorded: 1}


def test_the_term_says_that_it_links(writing: Writing) -> None:
    started: list[Recorded] = [each for each in writing.events() if type(each.event).__name__ == "WriterStarted"]
    assert [each.event.links_fees for each in started] == [True]  # type: ignore[union-attr]
