"""What commits after a preview's own would post: just what they do, for as many accounts as were worked out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest

from ledger.domain import commands as asked
from ledger.domain.commands import Command
from ledger.domain.events import FactWithheld, FeeAdjusted, RepriceCompleted, RepriceStarted
from ledger.domain.instants import DAY_NS
from ledger.domain.money import decimal_text
from ledger.domain.state.volume_cells import FEE_SCALE
from ledger.fills import mend
from ledger.writing import foresee
from ledger.writing.foresee import Foreseen, Foresight
from ledger.writing.messages import GoOnRepricing, Repriced
from projections.repricings import open_repricings
from tests.replaying import deviations
from tests.write_side import Writing, ask
from tests.writing.test_repricing import FROM_NS, NOON_NS, ban, finish, go_on, of_kind, trade, vip4
from tests.writing.test_shared_facts import MEMBERS, adjusting, classify, members


@pytest.fixture(autouse=True)
def _few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mend, "LINES_AT_ONCE", 3)


def foresight(writing: Writing, command: Command) -> Foresight:
    """Of a preview of a command."""
    (answer,) = writing.step(replace(ask(command), validate_only=True))
    return Foresight(answer.preview)


def work_out(writing: Writing, foreseeing: Foresight, parts: int | None = None) -> Foreseen:
    """What is found in so many parts (default: all)."""
    for number, _ in enumerate(foreseeing.parts(writing.log), 1):
        if number == parts:
            break
    return foreseeing.found


def amounts(nets: Mapping[str, int]) -> dict[str, str]:
    return {currency: decimal_text(net, FEE_SCALE) for currency, net in nets.items()}


def posted(writing: Writing) -> tuple[int, Decimal]:
    """(lines, net) of all repricings, as their last events say it; there is one currency."""
    done = of_kind(writing, RepriceCompleted)
    return sum(each.lines for each in done), sum((Decimal(net.net) for each in done for net in each.nets), Decimal())


def open_now(writing: Writing) -> list[str]:
    """The accounts whose lines are being restated."""
    return [each.event.account_id for each in open_repricings(writing.log, writing.log.head().position)]


def finish_all(writing: Writing) -> None:
    while writing.step(GoOnRepricing(open_now(writing)))[0] != Repriced():
        pass


def test_a_repricing_is_worked_out_in_parts_as_the_writer_would(writing: Writing) -> None:
    trade(writing, 4, days_ago=2)
    trade(writing, 3)
    foreseeing = foresight(writing, asked.ChangeTier("alice", "VIP4", FROM_NS, None))
    assert (foreseeing.is_needed, foreseeing.found.lines_later) == (True, 7)
    assert sum(1 for _ in foreseeing.parts(writing.log)) == 3
    found = foreseeing.found
    assert (found.complete, found.lines, found.accounts, found.lines_later) == (True, 7, 1, 0)
    assert amounts(found.nets) == {"USDT": "-7.875"}
    assert found.by_account == {"alice": found.nets}
    vip4(writing)
    assert finish(writing) == [3, 3, 1]
    (done,) = of_kind(writing, RepriceCompleted)
    assert (done.lines, done.nets[0].net) == (7, "-7.875")


def test_what_is_cut_short_tells_nothing_of_an_account_that_is_worked_out_in_part(writing: Writing) -> None:
    trade(writing, 8)
    found = work_out(writing, foresight(writing, asked.ChangeTier("alice", "VIP4", FROM_NS, None)), parts=2)
    assert found == Foreseen(lines_later=8)


def test_all_that_the_end_of_a_flag_lets_out_is_worked_out_one_after_the_other(writing: Writing) -> None:
    """Two grants that come while a flag runs, each over more lines than a commit restates."""
    trade(writing, 5, days_ago=2)
    trade(writing, 4)
    writing.step(ask(asked.FlagAccount("alice", "ROBOT", NOON_NS - DAY_NS // 4, b"")))
    for tier in ("VIP1", "VIP4"):
        writing.step(ask(asked.ChangeTier("alice", tier, FROM_NS, None)))
    assert [event.reason for event in of_kind(writing, FactWithheld)] == ["FLAG", "FLAG"]
    end = asked.UnflagAccount("alice", NOON_NS)
    foreseeing = foresight(writing, end)
    assert foreseeing.found.lines_later == 18
    writing.step(ask(end))
    finish(writing)
    found = work_out(writing, foreseeing)
    assert len(of_kind(writing, RepriceCompleted)) == 2
    assert (found.complete, found.accounts, amounts(found.nets)) == (True, 1, {"USDT": "-10.125"})
    assert posted(writing) == (found.lines, Decimal("-10.125"))
    assert deviations(writing.events()) == []


def test_what_the_own_commit_restates_of_the_same_lines_counts_on_every_day(writing: Writing) -> None:
    """Of three grants that the end of a flag lets out, the first is restated at once, on two days."""
    for days_ago, count in ((3, 1), (2, 2), (1, 1)):
        trade(writing, count, days_ago=days_ago)
    writing.step(ask(asked.FlagAccount("alice", "ROBOT", NOON_NS - DAY_NS // 4, b"")))
    for tier, from_ns in (("VIP1", NOON_NS - 2 * DAY_NS), ("VIP2", FROM_NS), ("VIP4", FROM_NS)):
        writing.step(ask(asked.ChangeTier("alice", tier, from_ns, None)))
    end = asked.UnflagAccount("alice", NOON_NS)
    foreseeing = foresight(writing, end)
    writing.step(ask(end))
    at_once = of_kind(writing, FeeAdjusted)
    assert [len(event.lines) for event in at_once] == [2, 1]
    finish(writing)
    found = work_out(writing, foreseeing)
    assert (found.complete, found.lines) == (True, 8)
    assert posted(writing) == (8, Decimal(amounts(found.nets)["USDT"]))


@pytest.mark.parametrize("parts", [0, 2])
def test_what_is_being_restated_comes_first_and_is_not_counted(writing: Writing, parts: int) -> None:
    trade(writing, 8)
    ban(writing)
    for _ in range(parts):
        go_on(writing)
    foreseeing = foresight(writing, asked.ChangeTier("alice", "VIP4", FROM_NS, None))
    vip4(writing)
    finish(writing)
    found, (_, last) = work_out(writing, foreseeing), of_kind(writing, RepriceCompleted)
    assert (found.complete, found.lines, amounts(found.nets)) == (True, last.lines, {"USDT": last.nets[0].net})


def test_a_shared_fact_is_worked_out_account_by_account(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foresee, "ACCOUNTS_TOLD", 3)
    adjusting(writing, "propose")
    members(writing, *MEMBERS, count=5)
    trade(writing, 1, account_id="other")
    position = classify(writing)
    release = asked.ReleaseSharedFact(position)
    cut = work_out(writing, foresight(writing, release), parts=4)
    assert (cut.complete, cut.lines, list(cut.by_account)) == (False, 5, ["a"])
    foreseeing = foresight(writing, release)
    writing.step(ask(release))
    finish_all(writing)
    found = work_out(writing, foreseeing)
    assert (found.complete, found.lines, found.accounts, amounts(found.nets)) == (True, 20, 4, {"USDT": "-22.5"})
    assert posted(writing) == (20, Decimal("-22.5"))
    assert list(found.by_account) == ["a", "a-b", "b"], "in the order of their ids, as many as are told"
    assert {*map(str, map(amounts, found.by_account.values()))} == {"{'USDT': '-5.625'}"}


def test_credit_only_is_foreseen_as_each_account_decides_it(writing: Writing) -> None:
    adjusting(writing, "credit_only")
    members(writing, "a", count=5)
    trade(writing, 2, account_id="b", symbol="T")
    found = work_out(writing, foresight(writing, asked.AssignPairClass("T", "A", FROM_NS)))
    assert (found.complete, found.accounts, list(found.by_account)) == (True, 1, ["a"])
    classify(writing, from_ns=FROM_NS)
    finish_all(writing)
    assert [each.stream for each in writing.events() if isinstance(each.event, RepriceCompleted)] == ["repricing/a"]
    assert posted(writing) == (found.lines, Decimal(amounts(found.nets)["USDT"]))


def test_of_an_account_that_is_being_restated_a_shared_fact_tells_no_amount(writing: Writing) -> None:
    adjusting(writing, "propose")
    members(writing, "a", "b")
    trade(writing, 8, account_id="a")
    position = classify(writing)
    writing.step(ask(asked.BanAccount("a", 7, FROM_NS, "ORDER_SPAM")))
    assert open_now(writing) == ["a"]
    found = work_out(writing, foresight(writing, asked.ReleaseSharedFact(position)))
    assert (found.complete, found.lines_later, list(found.by_account)) == (False, 10, ["b"])


def test_a_shared_fact_that_comes_after_another_one_is_not_worked_out(writing: Writing) -> None:
    adjusting(writing, "adjust")
    members(writing, "a")
    trade(writing, 1, days_ago=0, account_id="a", symbol="T")
    classify(writing)
    found = work_out(writing, foresight(writing, asked.SetPairRates("T", 0, 700, NOON_NS - 10)))
    assert found == Foreseen()


def test_most_commands_need_no_commit_after_their_own(writing: Writing) -> None:
    trade(writing, 2)
    assert not foresight(writing, asked.ChangeTier("alice", "VIP4", FROM_NS, None)).is_needed
    assert of_kind(writing, RepriceStarted) == []
