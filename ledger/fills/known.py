"""Fills of a batch that the log knows already: each is found by its name, or by the number of its source."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from ledger.arrays.columns import Ints, digests, text_column
from ledger.domain.events import Basis, FeeAdjusted, Recorded, VolumeRecorded
from ledger.domain.streams import DayKey, day_key
from ledger.fills.adjusted_lines import AdjustedLines
from ledger.fills.batch import FillBatch
from ledger.fills.content import fees_at, same_content
from ledger.fills.lines import ints

Wanted: TypeAlias = Mapping[DayKey, Ints]  # places in a batch, by account-day


@dataclass(slots=True)
class KnownFills:
    """Fills of a batch that lie in the log, by place in the batch.

    `same` is True where the line has the content of the fill. `fees` are the fees, as they are now, of these fills if
    they were asked for; `refs` are the places of such fills by (position, line) in the log.
    """

    same: dict[int, bool] = field(default_factory=dict)
    fees: dict[int, tuple[int, Basis]] = field(default_factory=dict)
    refs: dict[tuple[int, int], list[int]] = field(default_factory=dict)

    def see(self, batch: FillBatch, pairs: tuple[Ints, Ints], recorded: Recorded, with_fees: Ints | None) -> None:
        """Take in (places, lines of a run). `with_fees` is True at the places whose fees are asked for."""
        places, lines = pairs
        run = recorded.event
        assert isinstance(run, VolumeRecorded), recorded
        if not len(places):
            return
        erased = bool(recorded.envelope.erasable_sha256) and not run.columns.cl_ord_id
        same = same_content(batch, places, run, lines, erased=erased)
        self.same.update(zip(places.tolist(), same.tolist(), strict=True))
        if with_fees is None or not (asked := same & with_fees[places]).any():
            return
        places, lines = places[asked], lines[asked]
        self.fees.update(zip(places.tolist(), fees_at(run, lines), strict=True))
        for place, line in zip(places.tolist(), lines.tolist(), strict=True):
            self.refs.setdefault((recorded.position, line), []).append(place)

    def update(self, other: KnownFills) -> None:
        """Take in fills that were found elsewhere."""
        self.same.update(other.same)
        self.fees.update(other.fees)
        for ref, places in other.refs.items():
            self.refs.setdefault(ref, []).extend(places)

    def adjust(self, events: Iterable[Recorded]) -> None:
        """Bring the fees up to date with adjustments, which come in the order of their positions.

        Only lines of the runs that the fills lie in are made: an adjustment may have very many others.
        """
        positions = sorted({position for position, _ in self.refs})
        for recorded in events:
            event = recorded.event
            assert isinstance(event, FeeAdjusted), recorded
            lines = AdjustedLines.of(event.lines)
            for line in lines.at(np.flatnonzero(np.isin(lines.position, positions))):
                for place in self.refs.get((line.position, line.line), ()):
                    self.fees[place] = (line.after.fee, event.bases[line.after.basis_index])


def places_by_day(keys: Iterable[DayKey], places: Ints) -> dict[DayKey, Ints]:
    """Group places by the account-day of each."""
    found = defaultdict[DayKey, list[int]](list)
    for key, place in zip(keys, places.tolist(), strict=True):
        found[key].append(place)
    return {key: np.array(of_key) for key, of_key in found.items()}


def known_by_name(
    batch: FillBatch, wanted: Wanted, runs: Iterable[Recorded], with_fees: Ints | None = None
) -> KnownFills:
    """Find the fills of a batch that are `wanted` by their exec_ids, in fill runs of their account-days."""
    found = KnownFills()
    for recorded in runs:
        if isinstance(recorded.event, VolumeRecorded) and (key := day_key(recorded.stream)) in wanted:
            found.see(batch, _lines_by_name(batch, wanted[key], recorded.event), recorded, with_fees)
    return found


def _lines_by_name(batch: FillBatch, places: Ints, run: VolumeRecorded) -> tuple[Ints, Ints]:
    """Return (places of fills that lie in a run, their lines); only lines with the digest of a fill are looked at."""
    if run.venue != batch.venue:
        return places[:0], places[:0]
    names = text_column(run.columns.exec_id, len(run))
    wanted = batch.digests[places]
    order = np.argsort(wanted)
    wanted, of_run = wanted[order], digests(names)
    lines = np.flatnonzero(wanted[np.minimum(np.searchsorted(wanted, of_run), len(wanted) - 1)] == of_run)
    line_of = dict(zip(names[lines].tolist(), lines.tolist(), strict=True))
    of_places = [line_of.get(name, -1) for name in batch.exec_id[places].tolist()]
    found = np.array(of_places, dtype=np.int64)
    return places[found >= 0], found[found >= 0]


def known_by_number(
    batch: FillBatch, wanted: Wanted, runs: Iterable[Recorded], with_fees: Ints | None = None
) -> KnownFills:
    """Find the fills of a batch that are `wanted` by source and number, in fill runs of their account-days.

    A line with another exec_id, or of another venue, is another fill.
    """
    found = KnownFills()
    for recorded in runs:
        run = recorded.event
        if not isinstance(run, VolumeRecorded) or (key := day_key(recorded.stream)) not in wanted:
            continue
        places, lines = _lines_by_number(batch, wanted[key], run)
        named = batch.exec_id[places] == text_column(run.columns.exec_id, len(run))[lines]
        named &= run.venue == batch.venue
        found.see(batch, (places[named], lines[named]), recorded, with_fees)
    return found


def _lines_by_number(batch: FillBatch, places: Ints, run: VolumeRecorded) -> tuple[Ints, Ints]:
    """Return (places of fills whose numbers lie in a run, their lines)."""
    nothing = np.zeros(0, dtype=np.int64)
    code_of = {name: code for code, name in enumerate(batch.sources)}
    offsets = ints(run, "sequence_offset") if run.columns.sequence_offset else np.zeros(len(run), dtype=np.int64)
    source = ints(run, "source_index") if run.columns.source_index else None
    pairs = [(nothing, nothing)]
    for place, span in enumerate(run.sources):
        if not span.source or span.source not in code_of:
            continue
        sent = places[batch.source[places] == code_of[span.source]]
        numbers = batch.sequence[sent]
        sent = sent[((numbers >= span.first_sequence) & (numbers <= span.last_sequence)).astype(bool)]
        if not len(sent):
            continue
        lines = np.arange(len(run)) if source is None else np.flatnonzero(source == place)
        of_lines = offsets[lines].astype(np.int64)
        order = np.argsort(of_lines)
        of_sent = (batch.sequence[sent] - span.first_sequence).astype(np.int64)
        at = np.minimum(np.searchsorted(of_lines[order], of_sent), len(lines) - 1)
        there = of_lines[order][at] == of_sent
        pairs.append((sent[there], lines[order][at[there]]))
    return np.concatenate([sent for sent, _ in pairs]), np.concatenate([lines for _, lines in pairs])
