"""Facts of many accounts that come late: commits that come after the release bring them to the accounts, in order."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from ledger import programmes
from ledger.domain import commands as asked
from ledger.domain.events import (
    CommandRefused,
    FactDeclined,
    FactReleased,
    FactWithheld,
    FeeAdjusted,
    PairClassAssigned,
    ReleaseAdvanced,
    RepriceStarted,
)
from ledger.domain.instants import DAY_NS
from ledger.fills import mend
from ledger.fills.adjust import lines_now
from ledger.writing.messages import GoOnRepricing
from tests.domain.worked import fills
from tests.replaying import deviations
from tests.write_side import NOON_NS, Writing, ask, record

FROM_NS = NOON_NS - 10 * DAY_NS
MEMBERS = ("a", "a-b", "b", "c")  # in the order of their ids
BASE, CLASS_A, CLASS_C = "1.25", "0.125", "0.4"  # of 500 at 0.25 %, and at what VIP4 pays in these classes


def adjusting(writing: Writing, classes: str) -> None:
    content = programmes.packaged().replace('version = "3.0"', 'version = "3.1"')
    content = content.replace('classes = "propose"', f'classes = "{classes}"')
    published = asked.PublishProgramme(programmes.parse(content), content, sha256(content.encode()).digest(), NOON_NS)
    writing.step(ask(published))


def members(writing: Writing, *account_ids: str, count: int = 1) -> None:
    """Members, who traded in a pair T without a class two days ago, and in S too."""
    if not any(each.stream == "registers" and getattr(each.event, "symbol", "") == "T" for each in writing.events()):
        writing.step(ask(asked.RegisterSymbol("T", "XRP", "USDT", 1, 8, 8)))
    for account_id in account_ids:
        writing.step(ask(asked.ChangeTier(account_id, "VIP4", FROM_NS, None)))
        trade(writing, account_id, count=count)
        trade(writing, account_id, symbol="S")


def trade(writing: Writing, account_id: str, *, symbol: str = "T", days_ago: int = 2, count: int = 1) -> None:
    rows: list[dict[str, Any]] = [
        {
            "account_id": account_id,
            "symbol": symbol,
            "exec_id": f"{symbol}{days_ago}-{number}",
            "quantity": "1000",
            "transact_time_ns": NOON_NS - days_ago * DAY_NS,
        }
        for number in range(count)
    ]
    writing.step(record(fills(*rows)))


def classify(writing: Writing, pair_class: str = "A", from_ns: int = FROM_NS) -> int:
    """Give T a class from the past; return the position of that."""
    writing.step(ask(asked.AssignPairClass("T", pair_class, from_ns)))
    return int(next(each for each in reversed(writing.events()) if isinstance(each.event, PairClassAssigned)).position)


def go_on(writing: Writing, *account_ids: str) -> int:
    (answer,) = writing.step(GoOnRepricing(account_ids))
    return int(answer.accounts)


def finish(writing: Writing) -> list[int]:
    """How many accounts each commit brought it to."""
    found = []
    while count := go_on(writing):
        found.append(count)
    return found


def fee(writing: Writing, account_id: str, symbol: str = "T") -> set[str]:
    streams = sorted({each.stream for each in writing.events() if each.stream.startswith(f"fees/{account_id}/")})
    now = [placed.known for stream in streams for placed in lines_now(writing.log.streams([stream], 2**62)).values()]
    return {f"{known.line.fee / 10**8:.6g}" for known in now if known.terms.symbol == symbol}


def of_kind(writing: Writing, kind: type[Any]) -> list[tuple[str, Any]]:
    return [(each.stream, each.event) for each in writing.events() if isinstance(each.event, kind)]


def test_a_late_class_waits_for_two_persons_by_the_packaged_programme(writing: Writing) -> None:
    adjusting(writing, "propose")
    members(writing, "a")
    position = classify(writing)
    held = FactWithheld(position, "PAIR_CLASS", "propose", "SWITCH", ("bitmart-api-vip",))
    assert of_kind(writing, FactWithheld) == [("programme/bitmart-api-vip", held)]
    assert (finish(writing), fee(writing, "a")) == ([], {BASE})
    writing.step(ask(asked.ReleaseSharedFact(position)))
    assert finish(writing) == [1]
    assert (fee(writing, "a"), fee(writing, "a", "S")) == ({CLASS_A}, {CLASS_A})
    assert deviations(writing.events()) == []


def test_each_account_that_it_reaches_has_a_release_of_its_own(
    writing: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mend, "ACCOUNTS_AT_ONCE", 2)
    adjusting(writing, "adjust")
    members(writing, *MEMBERS)
    trade(writing, "other", symbol="S")
    trade(writing, "before", days_ago=11)
    position = classify(writing)
    trade(writing, "later")
    assert finish(writing) == [2, 2, 1]
    (of_all, _), *released = of_kind(writing, FactReleased)
    assert of_all == "programme/bitmart-api-vip"
    assert [stream for stream, _ in released] == ["account/a", "account/a-b", "account/b", "account/c"]
    own = FactReleased(position, "PAIR_CLASS", "adjust", ("bitmart-api-vip",), from_ns=FROM_NS)
    assert {event for _, event in released} == {own}
    assert [event.until_account_id for _, event in of_kind(writing, ReleaseAdvanced)] == ["a-b", "later", ""]
    assert {fee(writing, name) == {CLASS_A} for name in MEMBERS} == {True}
    assert fee(writing, "other", "S") == {BASE}
    assert deviations(writing.events()) == []


def test_many_lines_of_an_account_are_restated_part_by_part(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mend, "LINES_AT_ONCE", 3)
    adjusting(writing, "adjust")
    members(writing, "a", count=7)
    members(writing, "b")
    classify(writing)
    assert go_on(writing) == 1
    assert [stream for stream, _ in of_kind(writing, RepriceStarted)] == ["repricing/a"]
    assert (fee(writing, "a"), fee(writing, "b")) == ({BASE}, {BASE})
    for _ in range(6):
        go_on(writing, "a")
    assert (fee(writing, "a"), fee(writing, "b")) == ({CLASS_A}, {CLASS_A})
    assert deviations(writing.events()) == []


def test_after_a_new_term_it_goes_on_where_it_was(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mend, "ACCOUNTS_AT_ONCE", 1)
    adjusting(writing, "adjust")
    members(writing, *MEMBERS)
    classify(writing)
    for _ in MEMBERS:
        assert go_on(writing) == 1
        writing.new_term()
    finish(writing)
    assert {fee(writing, name) == {CLASS_A} for name in MEMBERS} == {True}
    assert sum(stream.startswith("account/") for stream, _ in of_kind(writing, FactReleased)) == len(MEMBERS)
    assert deviations(writing.events()) == []


def test_a_preview_of_a_release_leaves_nothing(writing: Writing) -> None:
    adjusting(writing, "propose")
    members(writing, "a")
    position = classify(writing)
    before = writing.log.head()
    (answer,) = writing.step(replace(ask(asked.ReleaseSharedFact(position)), validate_only=True))
    assert [row.topic for row in answer.preview.rows] == ["FactReleased"]
    assert (finish(writing), writing.log.head()) == ([], before)


def test_credit_only_is_decided_by_the_net_of_each_account(writing: Writing) -> None:
    adjusting(writing, "credit_only")
    members(writing, "a")
    trade(writing, "b")
    position = classify(writing)
    finish(writing)
    assert fee(writing, "a") == {CLASS_A}
    (held,) = of_kind(writing, FactWithheld)
    assert (held[0], held[1].reason, held[1].from_ns) == ("account/b", "DEBIT", FROM_NS)
    writing.step(ask(asked.ReleaseFact("b", position)))
    assert of_kind(writing, FactReleased)[-1][0] == "account/b"
    assert deviations(writing.events()) == []


def test_what_comes_late_afterwards_counts_with_it(writing: Writing) -> None:
    adjusting(writing, "adjust")
    members(writing, "a")
    trade(writing, "b")
    classify(writing, "C")
    finish(writing)
    assert (fee(writing, "a"), fee(writing, "b")) == ({CLASS_C}, {BASE})
    writing.step(ask(asked.ChangeTier("b", "VIP4", FROM_NS, None)))
    assert fee(writing, "b") == {CLASS_C}
    assert deviations(writing.events()) == []


def test_rates_of_a_pair_are_such_a_fact_too(writing: Writing) -> None:
    adjusting(writing, "adjust")
    members(writing, "a")
    rows = {"account_id": "a", "quantity": "1000", "exec_id": "now", "symbol": "T", "transact_time_ns": NOON_NS}
    writing.step(record(fills(rows)))
    writing.step(ask(asked.SetPairRates("T", 0, 700, NOON_NS - 10)))
    finish(writing)
    assert fee(writing, "a") == {BASE, "0.35"}
    assert {event.cause for _, event in of_kind(writing, FeeAdjusted)} == {"PAIR_RATES"}
    assert deviations(writing.events()) == []


def test_what_two_persons_declined_is_never_released(writing: Writing) -> None:
    adjusting(writing, "propose")
    members(writing, "a")
    position = classify(writing)
    writing.step(ask(asked.DeclineSharedFact(position)))
    writing.step(ask(asked.ReleaseSharedFact(position)))
    assert of_kind(writing, FactDeclined) == [("programme/bitmart-api-vip", FactDeclined(position))]
    (refused,) = of_kind(writing, CommandRefused)
    assert "declined" in refused[1].detail
    assert (finish(writing), fee(writing, "a")) == ([], {BASE})
    assert deviations(writing.events()) == []


def test_a_class_that_reaches_no_line_needs_no_release(writing: Writing) -> None:
    adjusting(writing, "adjust")
    writing.step(ask(asked.RegisterSymbol("T", "XRP", "USDT", 1, 8, 8)))
    trade(writing, "a", symbol="S", days_ago=11)
    classify(writing)
    assert of_kind(writing, FactReleased) == []
    assert deviations(writing.events()) == []


def test_the_audit_misses_an_account_that_it_was_not_brought_to(writing: Writing) -> None:
    adjusting(writing, "adjust")
    members(writing, *MEMBERS)
    classify(writing)
    finish(writing)
    events = writing.events()
    (gone,) = (each for each in events if each.stream == "account/b" and isinstance(each.event, FactReleased))
    left = [each for each in events if each.position != gone.position]
    told = [str(each) for each in deviations(left)]
    assert any("was expected before it, in account/b" in each for each in told), told
