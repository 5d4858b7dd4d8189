"""Decides runs of fills again: many at once, as ingest does, and alone only a run whose bytes come out otherwise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ledger.domain.events import Recorded, VolumeRecorded
from ledger.domain.streams import DayKey, day_key
from ledger.fills.batch import by_account_day
from ledger.fills.days import DayTable
from ledger.fills.decide import decide_fills
from ledger.fills.known import known_by_name, places_by_day
from ledger.replay.compare import UNDECIDABLE, Deviation, Difference, differing, differing_totals
from ledger.replay.fills_together import decide_together
from ledger.replay.recorded_commands import batch_of
from ledger.replay.sources import LinesBySource, add_lines, lines_by_source
from ledger.replay.states import States
from ledger.replay.stored_runs import StoredRun
from ledger.replay.totals import recounted


def decide_runs(
    runs: Sequence[Recorded | StoredRun], states: States, lines: LinesBySource
) -> tuple[list[Deviation], list[Recorded]]:
    """Decide runs in order, between which no account of theirs and no register changed; move days on, count lines.

    Returns what deviates, and the runs that may name an owner for the first time.
    """
    keys = [run.key if isinstance(run, StoredRun) else day_key(run.stream) for run in runs]
    together = decide_together(runs, states.day_places(keys), states, lines)
    found, naming = list[Deviation](), list[Recorded]()
    for number in np.flatnonzero(~together.settled | together.names_owner).tolist():
        run = runs[number]
        wrong, recorded = run.look() if isinstance(run, StoredRun) else ([], run)
        if recorded is not None:
            naming.append(recorded)
        if together.settled[number]:
            continue
        found += wrong
        if recorded is not None:
            assert isinstance(recorded.event, VolumeRecorded), recorded
            if not together.counted[number]:
                add_lines(lines, lines_by_source(recorded, recorded.event))
            found += _decide_alone(recorded, recorded.event, keys[number], states)
    return found, naming


def _decide_alone(recorded: Recorded, event: VolumeRecorded, key: DayKey, states: States) -> list[Deviation]:
    """Decide the fills of a run again by themselves, to say what differs, line by line."""
    states.next = recorded.position
    found = states.back_links.differing(recorded.envelope, event, states.day(key))
    try:
        found += _differences(recorded, event, key, states)
        states.evolve(recorded)
    except UNDECIDABLE as error:
        found.append(Difference(f"it cannot be decided: {error!r}"))
        states.go_on(key, recorded)
    return [Deviation(recorded.position, recorded.stream, tuple(found))] if found else []


def _differences(recorded: Recorded, event: VolumeRecorded, key: DayKey, states: States) -> list[Difference]:
    """Return the differences of a run, each fill priced by what holds at its instant, as known at this position.

    Totals follow from the fills as they are recorded, so that a fee that was decided otherwise hides no wrong total.
    """
    batch = batch_of(key[0], event)
    groups = by_account_day(batch)
    if groups.keys != [key]:
        return [Difference("lines of another day lie in this stream")]
    day, place = states.day(key), states.day_places([key])
    totals = recounted(day.sums, event)
    suspects = states.table.suspects(batch, groups, place)
    wanted = places_by_day(suspects.key, suspects.place)
    known = known_by_name(batch, wanted, states.before(recorded.stream)) if wanted else None
    aside = DayTable.holding({key: day})
    accounts, places = states.accounts([key[0]]), aside.places(groups.keys)
    outcome = decide_fills(batch, groups, accounts, places, aside, states.book, with_fees=False, known=known)
    found = [Difference(f"line {place}: {batch.name(place)} was recorded before") for place in outcome.replayed]
    found += [Difference(f"line {place}: refused now, {why.reason.name}", ruled=True) for place, why in outcome.refused]
    if outcome.runs and not found:
        found = list(differing(event, outcome.runs[0][1]))
    return [*found, *differing_totals(event.totals, totals)]
