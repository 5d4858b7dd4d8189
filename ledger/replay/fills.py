"""Decides runs of fills again: many at once over their columns, and alone only a run in which something differs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ledger.arrays.columns import Ints, column, in_order, starts_of, sums
from ledger.domain.events import Recorded, VolumeRecorded
from ledger.domain.instants import DAY_NS
from ledger.domain.state.volume_cells import to_totals
from ledger.domain.streams import DayKey, day_key
from ledger.fills.account_day import AccountDay
from ledger.fills.batch import by_account_day
from ledger.fills.days import DayTable
from ledger.fills.decide import BatchOutcome, decide_fills, priceable_lines
from ledger.fills.known import known_by_name, places_by_day
from ledger.fills.prices import Priced, price_lines
from ledger.fills.running_totals import FeeCell
from ledger.replay.compare import UNDECIDABLE, Deviation, Difference, differing, differing_totals
from ledger.replay.joined_runs import Joined, join, joinable
from ledger.replay.recorded_commands import batch_of
from ledger.replay.sources import LinesBySource, SourceLines, add_lines, lines_by_source
from ledger.replay.states import States
from ledger.replay.totals import count_in, counted_sums, recounted

Move = tuple[FeeCell, int, int, int, int]  # where lines are counted: lines, notional, charges, rebates


@dataclass(slots=True)
class _Run:
    """A run, and the outcome of deciding it together with others: `other` if something of it comes out otherwise."""

    recorded: Recorded
    event: VolumeRecorded
    key: DayKey
    other: bool = True
    sums_by_cell: bool = False
    ids: set[int] = field(default_factory=set)
    moves: list[Move] = field(default_factory=list)


def decide_runs(recorded_runs: Sequence[Recorded], states: States, lines: LinesBySource) -> list[Deviation]:
    """Decide runs in order, between which no account of theirs and no register changed; move days on, count lines."""
    runs = []
    for recorded in recorded_runs:
        assert isinstance(recorded.event, VolumeRecorded), recorded
        runs.append(_Run(recorded, recorded.event, day_key(recorded.stream)))
    by_venue: dict[str, list[_Run]] = defaultdict(list)
    for run in runs:
        if joinable(run.event):
            by_venue[run.event.venue].append(run)
    for together in by_venue.values():
        try:
            joined = join([run.event for run in together], [run.key for run in together])
            _decide_together(joined, together, states)
            _count(joined, together, lines)
        except UNDECIDABLE:
            for run in together:  # one of them is not as the ledger writes them: each is looked at by itself
                run.other, run.sums_by_cell = True, False
    for run in runs:
        if not run.sums_by_cell:
            add_lines(lines, lines_by_source(run.recorded, run.event))
    days = states.days({run.key: None for run in runs})
    return [deviation for run in runs for deviation in _settle(run, days[run.key], states)]


def _decide_together(joined: Joined, runs: Sequence[_Run], states: States) -> None:
    """Price every line at once, then note which runs have another price."""
    accounts = states.accounts(joined.batch.accounts)
    outcome = BatchOutcome()
    lines = priceable_lines(joined.batch, joined.groups, states.book, [], outcome)
    if outcome.refused or not len(lines):
        return
    priced = price_lines(lines, joined.groups, accounts)
    other = _with_other_prices(joined, priced) | _with_other_headers(joined, runs)
    for number, *move in counted_sums(priced, lines.group):
        runs[number].moves.append((*move,))  # type: ignore[arg-type]
    ids, bounds = joined.batch.digests.tolist(), joined.groups.starts.tolist()
    for run, is_other, start, end in zip(runs, other.tolist(), bounds, bounds[1:], strict=False):
        run.other, run.ids = is_other, set(ids[start:end])


def _count(joined: Joined, runs: Sequence[_Run], lines: LinesBySource) -> None:
    """Count lines by commit and source."""
    codes: dict[tuple[int, str], int] = {}
    names = [
        codes.setdefault((at_ns, source[0]), len(codes))
        for at_ns, sources in [(run.recorded.envelope.recorded_time_ns, run.event.sources) for run in runs]
        for source in sources
    ]
    firsts = column([source[1] for run in runs for source in run.event.sources])
    name_of, size = np.array(names)[joined.source], len(codes)
    counts = np.bincount(name_of, minlength=size).tolist()
    numbers = _totals_of(name_of, firsts[joined.source] + joined.sequence_offset, size)
    earliest = np.full(size, np.iinfo(np.int64).max)
    np.minimum.at(earliest, name_of, joined.batch.transact_time_ns)
    for name, *taken in zip(codes, counts, numbers, earliest.tolist(), strict=True):
        if name[1]:
            add_lines(lines, {name: SourceLines(*taken)})
    for run in runs:
        run.sums_by_cell = True


def _totals_of(codes: Ints, values: Ints, size: int) -> list[int]:
    """Return the exact sum of the values of each code."""
    order, ordered = in_order(codes)
    found = dict(zip(ordered[starts_of(ordered)].tolist(), sums(values[order], starts_of(ordered)), strict=True))
    return [found.get(code, 0) for code in range(size)]


def _with_other_prices(joined: Joined, priced: Priced) -> Ints:
    """Return a boolean for each run: True where a line costs or rests on something else now, or is of another day."""
    terms = {each: code for code, each in enumerate(joined.all_terms)}
    bases = {each: code for code, each in enumerate(joined.all_bases)}
    market_terms = np.array([terms.get(market.terms, -1) for market in priced.lines.markets])
    price_bases = np.array([bases.get(price.posting.basis, -1) for price in priced.prices])
    days = np.array([day for _, day in joined.groups.keys])
    other = (
        (priced.fee != joined.fee)
        | (price_bases[priced.kind] != joined.bases)
        | (market_terms[priced.lines.market] != joined.terms)
        | (priced.traits != joined.traits)
        | (joined.batch.transact_time_ns // DAY_NS != days[priced.lines.group])
    )
    found: Ints = np.logical_or.reduceat(other, joined.starts)
    return found


def _with_other_headers(joined: Joined, runs: Sequence[_Run]) -> Ints:
    """Return a boolean for each run: True where its lines have other times or source numbers than it says."""
    first = np.minimum.reduceat(joined.time_offset_ns, joined.starts)
    last = np.maximum.reduceat(joined.time_offset_ns, joined.starts)
    spans = np.array([run.event.time_max_ns - run.event.time_min_ns for run in runs])
    other: Ints = (first != 0) | (last != spans)
    ranges = np.array([source[2] - source[1] for run in runs for source in run.event.sources])
    lowest, highest = np.full(len(ranges), np.iinfo(np.int64).max), np.full(len(ranges), -1)
    np.minimum.at(lowest, joined.source, joined.sequence_offset)
    np.maximum.at(highest, joined.source, joined.sequence_offset)
    of_run = np.repeat(np.arange(len(runs)), [len(run.event.sources) for run in runs])
    other[of_run[(lowest != 0) | (highest != ranges)]] = True
    return other


def _settle(run: _Run, day: AccountDay, states: States) -> list[Deviation]:
    """Compare ids and running totals with those of the day so far; runs come in the order of positions."""
    event = run.event
    latest_ns = max(day.time_max_so_far_ns, event.time_max_ns)
    if run.other or len(run.ids) < len(event) or not day.digests.isdisjoint(run.ids):
        return _decide_alone(run, states)
    for move in run.moves:
        count_in(day.sums, *move)
    day.digests |= run.ids
    states.count(len(run.ids))
    totals = to_totals(day.sums)
    differs = states.back_links.differing(run.recorded.envelope, event, day)
    day.append(run.recorded.position)
    differs += differing_totals(event.totals, totals)
    if event.time_max_so_far_ns != latest_ns:
        differs.append(Difference("time_max_so_far_ns", str(event.time_max_so_far_ns), str(latest_ns)))
    day.time_max_so_far_ns = latest_ns
    if not differs:
        return []
    states.restore(day, event)
    return [Deviation(run.recorded.position, run.recorded.stream, tuple(differs))]


def _decide_alone(run: _Run, states: States) -> list[Deviation]:
    """Decide the fills of a run again by themselves, to say what differs, line by line."""
    states.next = run.recorded.position
    found = states.back_links.differing(run.recorded.envelope, run.event, states.day(run.key))
    try:
        found += _differences(run, states)
        states.evolve(run.recorded)
    except UNDECIDABLE as error:
        found.append(Difference(f"it cannot be decided: {error!r}"))
        day = states.day(run.key)
        states.restore(day, run.event)
        day.append(run.recorded.position)
    return [Deviation(run.recorded.position, run.recorded.stream, tuple(found))] if found else []


def _differences(run: _Run, states: States) -> list[Difference]:
    """Return the differences of a run, each fill priced by what holds at its instant, as known at this position.

    Totals follow from the fills as they are recorded, so that a fee that was decided otherwise hides no wrong total.
    """
    recorded, event, key = run.recorded, run.event, run.key
    batch = batch_of(key[0], event)
    groups = by_account_day(batch)
    if groups.keys != [key]:
        return [Difference("lines of another day lie in this stream")]
    totals = recounted(states.day(key).sums, event)
    days = DayTable.holding({key: states.day(key)})
    places = days.places(groups.keys)
    suspects = days.suspects(batch, groups, places)
    wanted = places_by_day(suspects.key, suspects.place)
    known = known_by_name(batch, wanted, states.before(recorded.stream)) if wanted else None
    accounts = states.accounts([key[0]])
    outcome = decide_fills(batch, groups, accounts, places, days, states.book, with_fees=False, known=known)
    found = [Difference(f"line {place}: {batch.name(place)} was recorded before") for place in outcome.replayed]
    found += [Difference(f"line {place}: refused now, {why.reason.name}", ruled=True) for place, why in outcome.refused]
    if outcome.runs and not found:
        found = list(differing(event, outcome.runs[0][1]))
    return [*found, *differing_totals(event.totals, totals)]
