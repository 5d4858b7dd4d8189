"""Repricing: a release whose lines are too many for one commit is restated part by part, in the order of its lines.

The facts are those that were known and released as it began. Until it has ended nothing else restates lines of the
account, so that parts may come at any time after it began, and each finds what an only commit would have found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from ledger.domain.events import CurrencyNet, RepriceAdvanced, RepriceCompleted
from ledger.domain.money import decimal_text
from ledger.domain.state.repricings import BEGINNING, Cursor, Repricing
from ledger.domain.state.volume_cells import FEE_SCALE, exact
from ledger.domain.streams import day_key
from ledger.fills.mend import Mending, Release
from ledger.fills.posted import Stretch
from ledger.fills.targets import Targets, add_nets, nets


class Part(NamedTuple):
    """A part of a repricing: the fee streams with the lines that change, and the event that tells of it."""

    restated: Sequence[tuple[str, Targets]]
    advanced: RepriceAdvanced


def next_part(
    mending: Mending, repricing: Repricing, *, lines_max: int | None = None, until: Cursor | None = None
) -> Part:
    """Return the next part of a repricing: so many lines, or those before a place (None: all that are left)."""
    account_id, position = repricing.event.account_id, repricing.event.release_position
    assert repricing.next is not None, repricing
    release = mending.release(account_id, position)
    looked_at, restated, net = 0, list[tuple[str, Targets]](), dict[str, int]()
    following: Cursor | None = None
    for stream, stretches in _by_stream(mending, release, repricing.next):
        taken = []
        for each in stretches:
            here = _cut(each, Cursor(day_key(stream)[1], each.recorded.position, each.start), until)
            if lines_max is not None and looked_at + len(here) > lines_max:
                here = replace(each, end=each.start + lines_max - looked_at)
            if len(here):
                taken.append(here)
            looked_at += len(here)
            if here.end < each.end:
                following = Cursor(day_key(stream)[1], each.recorded.position, here.end)
                break
        if taken and len(found := mending.targets(release, stream, taken)):
            restated.append((stream, found))
            net = add_nets(net, nets(found))
        if following is not None:
            break
    lines = repricing.lines + sum(len(found) for _, found in restated)
    advanced = RepriceAdvanced(
        position, *(following or BEGINNING), repricing.looked_at + looked_at, lines, _summed(repricing.nets, net)
    )
    return Part(restated, advanced)


def completed(advanced: RepriceAdvanced) -> RepriceCompleted | None:
    """Return what ends a repricing after a part of it; None: it goes on."""
    if Cursor(advanced.next_day, advanced.next_position, advanced.next_line) != BEGINNING:
        return None
    return RepriceCompleted(advanced.release_position, advanced.lines, advanced.nets)


def _by_stream(mending: Mending, release: Release, start: Cursor) -> Iterator[tuple[str, Iterator[Stretch]]]:
    """Yield the fee streams of a release from a place on, each with its lines, which are read as they are taken."""
    for stream in sorted(release.lines):
        _, day = day_key(stream)
        if day >= start.day:
            first = start.position if day == start.day else 0
            line = start.line if day == start.day else 0
            yield stream, (_from(each, first, line) for each in mending.stretches(release, stream, first))


def _from(stretch: Stretch, position: int, line: int) -> Stretch:
    return replace(stretch, start=line) if stretch.recorded.position == position else stretch


def _cut(stretch: Stretch, at: Cursor, until: Cursor | None) -> Stretch:
    """Return the lines of a stretch, which begins at a place, that lie before another one."""
    if until is None or (until.day, until.position) > at[:2]:
        return stretch
    end = until.line if (until.day, until.position) == at[:2] else stretch.start
    return replace(stretch, end=max(min(end, stretch.end), stretch.start))


def _summed(before: Sequence[CurrencyNet], more: Mapping[str, int]) -> tuple[CurrencyNet, ...]:
    known = {each.currency: exact(each.net, FEE_SCALE) for each in before}
    return tuple(CurrencyNet(name, decimal_text(net, FEE_SCALE)) for name, net in add_nets(known, more).items())
