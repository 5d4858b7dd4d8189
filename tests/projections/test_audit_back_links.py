"""Each event of a fee stream names the one before it in its account-day: the audit follows that, from term to term."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple, get_args

import pytest

from ledger.domain import commands
from ledger.domain.events import FeeCredited, FeeEvent, Recorded, VolumeRecorded, WriterStarted
from ledger.domain.instants import DAY_NS
from ledger.domain.streams import day_key, is_fee_stream
from tests.projections.audited import Copy, rich_ledger
from tests.projections.rich import decide
from tests.write_side import NOON_NS, Writing


class Chain(NamedTuple):
    """An event of a fee stream, the one before it there, and the one after it in the log."""

    recorded: Recorded
    before: Recorded
    later: Recorded


@pytest.fixture(scope="module")
def rich(dsn: str) -> Iterator[Writing]:
    """A ledger with several terms, in the last of which an account is credited twice on a day."""
    with rich_ledger(dsn, "back_linked") as writing:
        for amount in ("12.5", "0.5"):
            decide(writing, commands.CreditFee("account1", NOON_NS // DAY_NS, amount, "USDT", "OUTAGE"))
        yield writing


@pytest.fixture(scope="module")
def chains(log: list[Recorded]) -> list[Chain]:
    """One event of each kind of fee event that has one before it."""
    found = {}
    for stream in sorted({each.stream for each in log if is_fee_stream(each.stream)}):
        of_day = [each for each in log if each.stream == stream]
        for before, recorded in pairwise(of_day):
            later = next((each for each in log if each.position > recorded.position), None)
            if later is not None:
                found[type(recorded.event)] = Chain(recorded, before, later)
    assert set(found) == set(get_args(FeeEvent))
    return list(found.values())


def linked(event: Any, position: int) -> Any:
    return replace(event, previous_position=position)


def term_says(copy: Copy, recorded: Recorded, *, links_fees: bool) -> None:
    copy.edit(recorded, lambda event: replace(event, links_fees=links_fees))


def linked_in(term: Recorded, log: list[Recorded]) -> list[Recorded]:
    """The events of a term that name the one before them."""
    number = term.envelope.writer_term
    of_term = [each for each in log if isinstance(each.event, FeeEvent) and each.envelope.writer_term == number]
    return [each for each in of_term if each.event.previous_position]  # type: ignore[union-attr]


def terms(log: list[Recorded]) -> list[Recorded]:
    found = [each for each in log if isinstance(each.event, WriterStarted)]
    assert len(found) > 1
    return found


def test_every_event_names_the_one_before_it_and_the_first_of_a_day_names_none(log: list[Recorded]) -> None:
    last: dict[str, int] = {}
    for each in log:
        if isinstance(each.event, FeeEvent):
            assert each.event.previous_position == last.get(each.stream, 0)
            last[each.stream] = each.position


FORGED: dict[str, Callable[[Chain], int]] = {
    "none": lambda _: 0,
    "one of another stream": lambda _: 1,
    "itself": lambda chain: chain.recorded.position,
    "a later one": lambda chain: chain.later.position,
    "one that the log does not have": lambda _: 2**62,
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_an_event_that_names_another_one_is_found_and_nothing_after_it(
    copy: Copy, chains: list[Chain], forged: Callable[[Chain], int]
) -> None:
    for chain in chains:
        event: Any = chain.recorded.event
        copy.put(replace(chain.recorded, event=linked(event, forged(chain))))
    assert sorted(map(str, copy.audit())) == sorted(
        f"position {chain.recorded.position}, {chain.recorded.stream}: "
        f"previous_position is {forged(chain) or 'nothing'}, expected {chain.before.position}"
        for chain in chains
    )


def test_after_an_event_that_cannot_be_decided_the_day_goes_on_from_what_it_says(
    copy: Copy, log: list[Recorded]
) -> None:
    given = [each for each in log if isinstance(each.event, FeeCredited)]
    first = next(one for one, other in pairwise(given) if one.stream == other.stream)
    copy.edit(first, lambda event: replace(event, amount="abc"))
    found = {each.position: str(each) for each in copy.audit()}
    assert "it cannot be decided" in found[first.position]
    assert not [line for line in found.values() if "previous_position" in line]


def test_the_first_event_of_a_day_that_names_one_is_found(copy: Copy, log: list[Recorded]) -> None:
    last: dict[str, Recorded] = {}
    firsts = [last.setdefault(each.stream, each) for each in log if is_fee_stream(each.stream)]
    first = firsts[-1]
    copy.edit(first, lambda event: linked(event, first.position - 1))
    (found,) = copy.audit()
    assert (found.position, "expected nothing" in str(found)) == (first.position, True)


def test_a_forged_name_is_found_by_who_audits_that_account_and_day_alone(copy: Copy, chains: list[Chain]) -> None:
    (chain,) = [each for each in chains if isinstance(each.recorded.event, VolumeRecorded)]
    copy.edit(chain.recorded, lambda event: linked(event, 0))
    account_id, day = day_key(chain.recorded.stream)
    found = copy.audit(accounts=frozenset({account_id}), from_ns=day * DAY_NS, until_ns=(day + 1) * DAY_NS)
    assert [each.position for each in found] == [chain.recorded.position]
    assert copy.audit(jobs=3) == found


def test_an_event_that_lies_under_another_day_is_missed_where_it_lay(copy: Copy, chains: list[Chain]) -> None:
    """With its times, totals and all else as they are: whoever follows the names comes to where it is not."""
    (chain,) = [each for each in chains if isinstance(each.recorded.event, VolumeRecorded)]
    copy.sql(
        "UPDATE LEDGER.events SET originator_id = 'fees/nobody/1999-01-01' WHERE notification_id = %(position)s",
        position=chain.before.position,
    )
    (found,) = [each for each in copy.audit() if each.position == chain.recorded.position]
    assert f"previous_position is {chain.before.position}, expected " in str(found)


def test_a_term_that_links_no_fees_after_one_that_did_is_found(copy: Copy, log: list[Recorded]) -> None:
    last = terms(log)[-1]
    term_says(copy, last, links_fees=False)
    (found,) = copy.audit()
    assert found.position == last.position
    assert "links_fees is False, and a term before it linked them" in str(found)


def test_names_in_a_term_that_does_not_say_so_are_found(copy: Copy, log: list[Recorded]) -> None:
    first, *_ = terms(log)
    term_says(copy, first, links_fees=False)
    found = {each.position: str(each) for each in copy.audit()}
    assert sorted(found) == [each.position for each in linked_in(first, log)]
    assert all(line.endswith("expected nothing") for line in found.values())


def test_a_log_of_which_the_first_terms_named_none_is_clean(copy: Copy, log: list[Recorded]) -> None:
    first, *_ = terms(log)
    term_says(copy, first, links_fees=False)
    for each in linked_in(first, log):
        copy.edit(each, lambda event: linked(event, 0))
    assert copy.audit() == []
