"""Adjustments: a fact that is recorded late restates lines of before, to the exact difference of their fees (A31).

An adjustment restates lines of one account-day. It takes effect where they do; the log says when it became known. What
a line is by the facts that it counts by is compared with what is posted of it, never one grant with another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from ledger.arrays.columns import Ints, Texts, is_wide
from ledger.domain.events import AdjustedLine, CreditEvent, FeeAdjusted, FeeEvent, KnownLine, LineValues, Recorded
from ledger.domain.state.volume_cells import FEE_SCALE, to_totals
from ledger.fills.account_day import AccountDay, adjusted
from ledger.fills.adjusted_lines import AdjustedLines, ValueColumns
from ledger.fills.lines import lines_at, places_having
from ledger.fills.partial_sums import count_lines
from ledger.fills.posted import Codes
from ledger.fills.targets import Targets

_LINES_OF_AN_EVENT: Final = 10_000
_BYTES_OF_LINES: Final = (1 << 20) - (1 << 16)  # in an event of 1 MiB: the rest is for what its lines refer to
_WORD: Final = 8


class LineRef(NamedTuple):
    """The place of a line: the position of the event that recorded it, and its number there."""

    position: int
    line: int


class PlacedLine(NamedTuple):
    """A line as it is now.

    It counts by the facts known at `known_at`: its own position, or that of its last adjustment by a release of the
    software that compared grants. `currency` is the one that it was charged in then.
    """

    ref: LineRef
    venue: str
    known: KnownLine
    known_at: int
    currency: str


class FeeDifference(NamedTuple):
    """The amount that an adjustment of a line comes to in one currency; it has FEE_SCALE decimals."""

    line: AdjustedLine
    amount: int
    currency: str


def lines_now(stream: Iterable[Recorded], traits: int = 0) -> dict[LineRef, PlacedLine]:
    """Return the lines of a fee stream that have some traits, as recorded in order, with their fees as they are now.

    Where the stream is cut, adjustments of lines that are not in it are left out.
    """
    found: dict[LineRef, PlacedLine] = {}
    events = list(stream) if traits else stream
    restated = _restated_places(events, traits) if traits else {}
    for recorded in events:
        event = recorded.event
        assert isinstance(event, FeeEvent), recorded
        if isinstance(event, FeeAdjusted):
            for line in _having(event, traits):
                ref = LineRef(line.position, line.line)
                if ref in found:
                    found[ref] = _restated(found[ref], recorded, event, line)
            continue
        if isinstance(event, CreditEvent):
            continue
        places = places_having(event, traits)
        if recorded.position in restated:
            places = np.union1d(places, np.array(restated[recorded.position]))
        for number, fill in zip(places.tolist(), lines_at(event, places), strict=True):
            ref = LineRef(recorded.position, number)
            known = KnownLine(fill, event.symbols[fill.symbol_index], event.bases[fill.basis_index])
            found[ref] = PlacedLine(ref, event.venue, known, recorded.position, known.basis.fee_currency)
    return {ref: placed for ref, placed in found.items() if placed.known.line.traits & traits == traits}


def _restated_places(stream: Iterable[Recorded], traits: int) -> dict[int, list[int]]:
    """Return the numbers of lines that were restated and have some traits before or after, by position."""
    found: dict[int, list[int]] = {}
    for recorded in stream:
        for line in _having(recorded.event, traits) if isinstance(recorded.event, FeeAdjusted) else ():
            found.setdefault(line.position, []).append(line.line)
    return found


def _having(event: FeeAdjusted, traits: int) -> Iterator[AdjustedLine]:
    """Return the lines of an adjustment that have some traits before it or after it."""
    lines = AdjustedLines.of(event.lines)
    before, after = (side.traits & traits == traits for side in (lines.before, lines.after))
    return lines.at(np.flatnonzero(before | after))


def _restated(placed: PlacedLine, recorded: Recorded, event: FeeAdjusted, line: AdjustedLine) -> PlacedLine:
    known = adjusted(placed.known, event, line)
    if event.release_position:
        return placed._replace(known=known)
    return placed._replace(known=known, known_at=recorded.position, currency=known.basis.fee_currency)


def adjustments(
    day: AccountDay, found: Targets, cause: tuple[str, int], release_position: int, next_position: int = 0
) -> Iterator[FeeAdjusted]:
    """Make the events of an account-day, a part of its lines in each, and update the totals of the day.

    `cause` is that of the fact, and its position. The events will lie in the log from `next_position` on.
    """
    size = max(min(_LINES_OF_AN_EVENT, _BYTES_OF_LINES // _bytes_of_a_line(found)), 1) if len(found) else 1
    for position, start in enumerate(range(0, len(found), size), next_position):
        part = found.between(start, start + size)
        times = part.lines.time_ns[part.place]
        _count_again(day, part)
        yield FeeAdjusted(
            *cause,
            time_min_ns=int(times.min()),
            time_max_ns=int(times.max()),
            time_max_so_far_ns=day.time_max_so_far_ns,
            **_columns(part),
            totals=to_totals(day.sums),
            release_position=release_position,
            previous_position=day.append(position),
        )


def _columns(part: Targets) -> dict[str, Any]:
    """Return the symbols, the bases and the lines of an event: what each refers to, in the order of its first line."""
    lines, place = part.lines, part.place
    symbols, symbol = _in_order_of_use(lines.symbol[place])
    bases, basis = _in_order_of_use(np.stack([lines.basis[place], part.basis], axis=1).ravel())
    venues, venue = _in_order_of_use(lines.venue[place])
    amounts = (lines.price[place], lines.quantity[place])
    return {
        "symbols": tuple(lines.symbols.values[code] for code in symbols),
        "bases": tuple(lines.bases.values[code] for code in bases),
        "lines": AdjustedLines(
            position=lines.position[place],
            line=lines.line[place],
            venues=[lines.venues.values[code] for code in venues],
            venue=venue,
            exec_id=_narrowed(lines.exec_id[place]),
            transact_time_ns=lines.time_ns[place],
            before=ValueColumns(symbol, lines.traits[place], *amounts, lines.fee[place], basis[::2]),
            after=ValueColumns(symbol, part.traits, *amounts, part.fee, basis[1::2]),
        ),
    }


def _in_order_of_use(codes: Ints) -> tuple[list[int], Ints]:
    """Return (the codes in the order of their first places, the place of each code among these).

    For example ([7, 5], [0, 1, 0]) of [7, 5, 7].
    """
    found, firsts, kinds = np.unique(codes, return_index=True, return_inverse=True)
    order = np.argsort(firsts)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return found[order].tolist(), rank[kinds]


def _narrowed(names: Texts) -> Texts:
    """Return names that are filled up with zeros to the longest of them, and no further."""
    width = int(np.strings.str_len(names).max())
    return names.astype(f"S{max(width, 1)}")


def _bytes_of_a_line(found: Targets) -> int:
    """Return about how many bytes a line takes in an event, at most."""
    lines, place = found.lines, found.place
    amounts = (lines.price[place], lines.quantity[place], lines.fee[place], found.fee)
    words = [max(len(str(each.max())), len(str(each.min()))) if is_wide(each) else _WORD for each in amounts]
    offsets = [int(each.max()) - int(each.min()) for each in (lines.position[place], lines.time_ns[place])]
    numbers = [*offsets, int(lines.line[place].max()), len(lines.symbols.values), *[len(lines.bases.values)] * 2]
    return lines.exec_id.dtype.itemsize + sum(words) + sum(-(-each.bit_length() // 8) for each in numbers) + 2


def _count_again(day: AccountDay, part: Targets) -> None:
    """Count lines as they are from now on, not as before. A cell stays, though it may be empty now."""
    lines, place = part.lines, part.place
    same, amounts = lines.symbol[place], (lines.price[place], lines.quantity[place])
    before = ValueColumns(same, lines.traits[place], *amounts, lines.fee[place], lines.basis[place])
    after = ValueColumns(same, part.traits, *amounts, part.fee, part.basis)
    for side, sign in ((before, -1), (after, 1)):
        count_lines(day.sums, lines.symbols.values, lines.bases.values, side, sign)


def lines_of_differences(event: FeeAdjusted) -> Ints:
    """Return the number of the line of each difference that an adjustment makes: one, or two in different currencies.

    For example [0, 1, 1, 2] where the currency of line 1 changed.
    """
    lines = AdjustedLines.of(event.lines)
    currencies = Codes[str]().of(basis.fee_currency for basis in event.bases)
    old, new = (currencies[side.basis_index] for side in (lines.before, lines.after))
    found: Ints = np.repeat(np.arange(len(lines)), np.where(old == new, 1, 2))
    return found


def differences(event: FeeAdjusted, numbers: Ints | None = None) -> list[FeeDifference]:
    """Return how much more or less each line costs; where the currency changed, there is an entry in each.

    With `numbers` only those of the differences.
    """
    of_line = lines_of_differences(event)
    numbers = np.arange(len(of_line)) if numbers is None else numbers
    is_second = (numbers > 0) & (of_line[numbers - 1] == of_line[numbers])
    lines = AdjustedLines.of(event.lines).at(of_line[numbers])
    return [_difference(event, line, of_new=of_new) for line, of_new in zip(lines, is_second.tolist(), strict=True)]


def _difference(event: FeeAdjusted, line: AdjustedLine, *, of_new: bool) -> FeeDifference:
    """Return what a line costs more or less; where the currency changed, in the new one or in the old one."""
    old, new = (event.bases[each.basis_index].fee_currency for each in (line.before, line.after))
    if old == new:
        return FeeDifference(line, _fee(event, line.after) - _fee(event, line.before), new)
    if of_new:
        return FeeDifference(line, _fee(event, line.after), new)
    return FeeDifference(line, -_fee(event, line.before), old)


def _fee(event: FeeAdjusted, values: LineValues) -> int:
    return values.fee * int(10 ** (FEE_SCALE - event.bases[values.basis_index].fee_decimals))
