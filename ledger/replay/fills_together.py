"""Decides many runs of fills again by the functions of ingest, and compares the bytes that it would have written."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from ledger.arrays.columns import Ints, in_order, starts_of, sums
from ledger.domain.events import Basis, Envelope, Recorded, SymbolTerms
from ledger.domain.instants import DAY_NS
from ledger.fills.decide import BatchOutcome, priceable_lines
from ledger.fills.fill_runs import FillRuns, Referred
from ledger.fills.make_fill_runs import fee_cells, first_and_last_numbers, sums_by_cell
from ledger.fills.owners import unknown_owners
from ledger.fills.prices import Priced, price_lines
from ledger.fills.running_totals import RunTotals
from ledger.fills.standings import HeldStandings
from ledger.replay.compare import UNDECIDABLE
from ledger.replay.days_again import DaysAgain, RunSums
from ledger.replay.sources import LinesBySource, SourceLines, add_lines
from ledger.replay.states import States
from ledger.replay.stored_runs import RunBlock, StoredRun, blocks_of
from ledger.store.codec.events import envelope_message
from ledger.store.codec.fills_many import encode_runs_of_commits

_NO_RUN = -1


@dataclass(frozen=True, slots=True)
class Together:
    """The outcome for runs that were decided together: boolean arrays by their numbers.

    `settled`: a run comes out as it lies in the log, byte for byte, and its day has moved on by it. `counted`: its
    lines are counted by source. `names_owner`: it says an owner that its account does not have.
    """

    settled: Ints
    counted: Ints
    names_owner: Ints


@dataclass(frozen=True, slots=True)
class _Block:
    """A block whose lines are priced. `numbers` are those of each line at its source.

    `sums` are by the places of runs in the block. `other` is True for a run that rests on something else now.
    """

    block: RunBlock
    sums: RunSums
    times_ns: Ints
    digests: Ints
    symbols: Referred[SymbolTerms]
    bases: Referred[Basis]
    sources: Referred[str]
    numbers: Ints
    other: Ints
    names_owner: Ints


def decide_together(
    runs: Sequence[Recorded | StoredRun], places: Ints, states: States, lines: LinesBySource
) -> Together:
    """Decide runs in order, whose days lie at `places` in the table of days, and count their lines.

    Those that do not come out as they lie there are left to be decided alone, and so are those of their days after
    them, for what these follow from is what the log says.
    """
    found = Together(*(np.zeros(len(runs), dtype=bool) for _ in range(3)))
    blocks = _priced_blocks(runs, states, lines)
    for each in blocks:
        found.counted[each.block.numbers] = True
        found.names_owner[each.block.numbers] = each.names_owner
    if blocks:
        _settle(found.settled, runs, places, blocks, states)
    return found


def _priced_blocks(runs: Sequence[Recorded | StoredRun], states: States, lines: LinesBySource) -> list[_Block]:
    numbers = np.array([number for number, run in enumerate(runs) if isinstance(run, StoredRun)], dtype=np.int64)
    stored = [run for run in runs if isinstance(run, StoredRun)]
    found = []
    for block in blocks_of(stored, numbers) if stored else ():
        try:
            priced = _priced_block(block, states)
            if priced is not None:
                _count(priced, lines)
                found.append(priced)
        except UNDECIDABLE:
            continue  # one of them is not as the ledger writes them: each is looked at by itself
    return found


def _priced_block(block: RunBlock, states: States) -> _Block | None:
    """Price every line of a block, and compare what it rests on; None: a line is refused."""
    block.check_texts()
    symbols, bases, sources = block.symbols(), block.bases(), block.sources()
    batch, groups = block.batch(symbols)
    outcome = BatchOutcome()
    lines = priceable_lines(batch, groups, states.book, [], outcome)
    if outcome.refused:
        return None
    accounts = states.standings(batch.accounts)
    priced = price_lines(lines, groups, accounts)
    run, starts, times_ns = block.run_of_each(), block.starts[:-1], batch.transact_time_ns
    days = np.array([day for _, day in groups.keys])
    other = _with_other_prices(block, priced, symbols, bases) | (times_ns // DAY_NS != days[run])
    names_owner = np.zeros(len(block), dtype=bool)
    if "owner_id" in block.columns:
        names = [account_id for account_id, _ in groups.keys]
        owned = accounts.owned if isinstance(accounts, HeldStandings) else accounts
        names_owner = unknown_owners(batch.owner_id, run, names, owned)
    of_run, cells, sums_ = sums_by_cell(priced, run)
    codes = np.array([states.table.code(cell) for cell in fee_cells(priced)])
    return _Block(
        block,
        RunSums(of_run, codes[cells], sums_),
        times_ns,
        batch.digests,
        symbols,
        bases,
        sources,
        block.first_sequences()[sources.pair] + block.ints("sequence_offset"),
        np.logical_or.reduceat(other, starts),
        np.logical_or.reduceat(names_owner, starts),
    )


def _with_other_prices(block: RunBlock, priced: Priced, symbols: Referred[SymbolTerms], bases: Referred[Basis]) -> Ints:
    """Return a boolean array: True where a line costs, rests on or counts as something else than is recorded."""
    terms = {each: code for code, each in enumerate(symbols.values)}
    known = {each: code for code, each in enumerate(bases.values)}
    market_terms = np.array([terms.get(market.terms, -1) for market in priced.lines.markets])
    price_bases = np.array([known.get(price.posting.basis, -1) for price in priced.prices])
    other: Ints = (
        (priced.fee != block.ints("fee", signed=True))
        | (price_bases[priced.kind] != np.array(bases.codes)[bases.pair])
        | (market_terms[priced.lines.market] != np.array(symbols.codes)[symbols.pair])
        | (priced.traits != block.ints("traits"))
    )
    return other


def _count(each: _Block, lines: LinesBySource) -> None:
    """Count lines by commit and source."""
    codes: dict[tuple[int, str], int] = {}
    names = [
        codes.setdefault((run.recorded_time_ns, source), len(codes))
        for run, of_run in zip(each.block.runs, each.block.said.source, strict=True)
        for source in of_run
    ]
    name_of, size = np.array(names)[each.sources.pair], len(codes)
    counts = np.bincount(name_of, minlength=size).tolist()
    earliest = np.full(size, np.iinfo(np.int64).max)
    np.minimum.at(earliest, name_of, each.times_ns)
    for name, *taken in zip(codes, counts, _totals_of(name_of, each.numbers, size), earliest.tolist(), strict=True):
        if name[1]:
            add_lines(lines, {name: SourceLines(*taken)})


def _totals_of(codes: Ints, values: Ints, size: int) -> list[int]:
    """Return the exact sum of the values of each code."""
    order, ordered = in_order(codes)
    found = dict(zip(ordered[starts_of(ordered)].tolist(), sums(values[order], starts_of(ordered)), strict=True))
    return [found.get(code, 0) for code in range(size)]


def _settle(
    settled: Ints, runs: Sequence[Recorded | StoredRun], places: Ints, blocks: Sequence[_Block], states: States
) -> None:
    """Mark the runs that come out as they lie in the log, and move their days on by them."""
    numbers = np.sort(np.concatenate([each.block.numbers for each in blocks]))
    at = np.full(len(runs), _NO_RUN)
    at[numbers] = np.arange(len(numbers))
    latest_ns = np.zeros(len(numbers), dtype=np.int64)
    for each in blocks:
        latest_ns[at[each.block.numbers]] = np.maximum.reduceat(each.times_ns, each.block.starts[:-1])
    positions = np.array([runs[number].position for number in numbers.tolist()])
    sums_ = RunSums.joined([replace(each.sums, run=at[each.block.numbers[each.sums.run]]) for each in blocks])
    days = DaysAgain(states.table, places[numbers], latest_ns, positions, sums_)
    so_far_ns, previous, totals = days.latest_so_far_ns(), days.previous_positions(), days.totals()
    of_line = np.concatenate([each.block.numbers[each.block.run_of_each()] for each in blocks])
    digests = np.concatenate([each.digests for each in blocks])
    for each in blocks:
        mine = at[each.block.numbers]
        every = len(mine) == len(numbers)
        of_days = (so_far_ns[mine], totals if every else totals.of_runs(mine), previous[mine])
        with suppress(*UNDECIDABLE):
            settled[each.block.numbers] = _as_they_lie(each, states, *of_days)
    settled[of_line[states.table.has_or_twice(places[of_line], digests)]] = False
    settled &= ~states.beside(places)
    if not settled.all():
        others = np.flatnonzero(~settled)
        first = np.full(int(places.max()) + 1, len(runs))
        np.minimum.at(first, places[others], others)
        settled &= np.arange(len(runs)) < first[places]
    days.move_on(settled[numbers], so_far_ns)
    taken = settled[of_line]
    if taken.any():
        states.table.take_in(places[of_line[taken]], digests[taken], positions[at[of_line[taken]]])


def _as_they_lie(each: _Block, states: States, so_far_ns: Ints, totals: RunTotals, previous: Ints) -> Ints:
    """Return a boolean array: True for a run whose bytes are those that ingest would have written.

    How its values are packed and numbered says nothing, and is taken over from what is recorded.
    """
    block, run, starts = each.block, each.block.run_of_each(), each.block.starts[:-1]
    first, last = first_and_last_numbers(each.numbers, each.sources)
    earliest_ns, latest_ns = (function.reduceat(each.times_ns, starts) for function in (np.minimum, np.maximum))
    other = each.times_ns - earliest_ns[run] != block.ints("time_offset_ns")
    other |= each.numbers - first[each.sources.pair] != block.ints("sequence_offset")
    numbered = bool(last.any())
    made = FillRuns(
        venue=block.venue,
        keys=[run.key for run in block.runs],
        starts=block.starts.tolist(),
        time_min_ns=earliest_ns,
        time_max_ns=latest_ns,
        time_max_so_far_ns=so_far_ns,
        symbols=each.symbols,
        bases=each.bases,
        sources=each.sources,
        first_sequences=first if numbered else first[:0],
        last_sequences=last if numbered else last[:0],
        columns=block.columns,
        wide=False,
        totals=totals,
        previous_positions=_linked(block.runs, previous, states),
    )
    expected = zip(
        _encoded(made, block),
        zip(earliest_ns.tolist(), latest_ns.tolist(), so_far_ns.tolist(), strict=True),
        strict=True,
    )
    same = [
        run.state == state and run.times_ns == times for run, (state, times) in zip(block.runs, expected, strict=True)
    ]
    found: Ints = np.array(same) & ~each.other & ~np.logical_or.reduceat(other, starts)
    return found


def _linked(runs: Sequence[StoredRun], previous: Ints, states: States) -> Ints:
    """Return the positions that runs have to name: none in a term that does not say them."""
    terms = {run.term for run in runs}
    linked = {term: states.back_links.links(term) for term in terms}
    if all(linked.values()):
        return previous
    return np.where(np.array([linked[run.term] for run in runs]), previous, 0)


def _encoded(made: FillRuns, block: RunBlock) -> list[bytes]:
    """Return the bytes of runs; only who sent it, and the hash of what may be erased, is as each of them says."""
    said, rests = block.said, dict[tuple[int, int, str, bool], int]()
    commits = [(run.recorded_time_ns, run.term) for run in block.runs]
    commit = [
        rests.setdefault((*each, actor, verified), len(rests))
        for each, actor, verified in zip(commits, said.actor, said.actor_verified, strict=True)
    ]
    messages = [envelope_message(Envelope(0, *rest)) for rest in rests]
    sha256s = said.erasable_sha256 if any(said.erasable_sha256) else ()
    return encode_runs_of_commits(messages, np.array(commit), made, sha256s)
