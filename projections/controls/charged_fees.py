"""Finds what an engine said that it charged, where the ledger's fee is another one: by account and UTC day.

Totals of account-days hold no charged fees, so no table could tell of a day without reading its fills. Of the whole log
only the runs that say a charged fee are read, the oldest day first, and no more once enough days differ.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

import numpy as np

from ledger.domain.events import AdjustedLine, FeeAdjusted, KnownLine, Recorded, VolumeRecorded
from ledger.domain.instants import DAY_NS, day_number, day_text
from ledger.domain.money import decimal_text
from ledger.domain.state.volume_cells import FEE_SCALE, exact
from ledger.domain.streams import account_and_day
from ledger.fills.account_day import adjusted
from ledger.fills.lines import ints, lines_at, texts
from projections.controls.scope import Control, Finding, Scope

DAYS_MAX: Final = 10_000  # account-days that are told
_FILLS_TOLD: Final = 20  # of a day


class _Fee(NamedTuple):
    """An amount at FEE_SCALE, in a currency."""

    amount: int
    currency: str

    def __str__(self) -> str:
        return f"{decimal_text(self.amount, FEE_SCALE)} {self.currency}"


def _find(scope: Scope) -> Iterator[Finding]:
    told = 0
    events = scope.log.charged(as_of_ns=scope.as_of_ns, until=scope.log.head().position)
    for stream, of_day in groupby(events, key=lambda recorded: recorded.stream):
        account_id, day = account_and_day(stream)
        apart = _Sums()
        for known in _apart(of_day):
            of_programme = known.basis.programme_id == scope.programme.programme_id
            if of_programme and known.line.transact_time_ns <= scope.as_of_ns:
                apart.add(known)
        if apart.fills and told == DAYS_MAX:
            yield _more(day)
            return
        if apart.fills:
            told += 1
            yield _finding(account_id, day, apart)


def _apart(events: Iterable[Recorded]) -> Iterator[KnownLine]:
    """Yield the fills of a day whose fee, as it is after every adjustment, is not what the engine charged."""
    runs: dict[int, VolumeRecorded] = {}
    restated: dict[int, dict[int, tuple[FeeAdjusted, AdjustedLine]]] = {}  # by position and place, as last adjusted
    for recorded in events:
        event = recorded.event
        if isinstance(event, VolumeRecorded):
            runs[recorded.position] = event
            continue
        assert isinstance(event, FeeAdjusted), recorded
        for line in event.lines:
            if line.position in runs:
                restated.setdefault(line.position, {})[line.line] = (event, line)
    for position, run in runs.items():
        last = restated.get(position, {})
        yield from _lines(run, [place for place in _places_apart(run) if place not in last])
        for recorded_as, adjustment in zip(_lines(run, list(last)), last.values(), strict=True):
            known = adjusted(recorded_as, *adjustment)
            if known.line.charged_currency and _said(known) != _fee(known):
                yield known


def _places_apart(run: VolumeRecorded) -> Iterator[int]:
    """Yield the places of the fills of a run whose fee, as it was recorded, is not what the engine charged."""
    fees = map(int, texts(run, "fee")) if run.columns.wide else ints(run, "fee", signed=True).tolist()
    said = zip(texts(run, "charged_amount"), texts(run, "charged_currency"), strict=True)
    units = [10 ** (FEE_SCALE - basis.fee_decimals) for basis in run.bases]
    rows = enumerate(zip(said, fees, ints(run, "basis_index").tolist(), strict=True))
    for place, ((amount, currency), fee, basis) in rows:
        if currency and (currency != run.bases[basis].fee_currency or exact(amount, FEE_SCALE) != fee * units[basis]):
            yield place


def _lines(run: VolumeRecorded, places: Sequence[int]) -> Iterator[KnownLine]:
    """Yield the fills at some places of a run, unpacking its columns once."""
    for line in lines_at(run, np.array(places, dtype=np.int64)) if places else ():
        yield KnownLine(line, run.symbols[line.symbol_index], run.bases[line.basis_index])


def _said(known: KnownLine) -> _Fee:
    return _Fee(exact(known.line.charged_amount, FEE_SCALE), known.line.charged_currency)


def _fee(known: KnownLine) -> _Fee:
    return _Fee(known.line.fee * 10 ** (FEE_SCALE - known.basis.fee_decimals), known.basis.fee_currency)


class _Sums:
    """The sums that both say for the fills of a day, and the first of these: memory does not grow with the others."""

    def __init__(self) -> None:
        self.fills = 0
        self.first: list[tuple[int, str, _Fee, _Fee]] = []  # when, exec_id, the engine's fee, the ledger's
        self.engine: dict[str, int] = {}
        self.ledger: dict[str, int] = {}

    def add(self, known: KnownLine) -> None:
        """Add a fill."""
        said, fee = _said(known), _fee(known)
        self.fills += 1
        for sums, one in ((self.engine, said), (self.ledger, fee)):
            sums[one.currency] = sums.get(one.currency, 0) + one.amount
        insort(self.first, (known.line.transact_time_ns, known.line.exec_id, said, fee))
        del self.first[_FILLS_TOLD:]


def _finding(account_id: str, day: str, apart: _Sums) -> Finding:
    engine, ledger = _listed(apart.engine), _listed(apart.ledger)
    fills = "1 fill" if apart.fills == 1 else f"{apart.fills:,} fills"
    told = [f"{exec_id}: {said}, {fee}" for _, exec_id, said, fee in apart.first]
    until = day_text(day_number(day) + 1)
    return Finding(
        subject=f"{account_id}/{day}",
        message=f"the engine charged {account_id} {engine} for {fills} of {day} of which the ledger says {ledger};"
        f" the first is {apart.first[0][1]}",
        account_id=account_id,
        time_ns=apart.first[0][0],
        details={
            "day": day,
            "fills": str(apart.fills),
            "engine": engine,
            "ledger": ledger,
            "exec_id_engine_ledger": "; ".join([*told, *(["..."] if apart.fills > len(told) else [])]),
            "all": f"fee-ledger history {account_id} --from {day} --until {until} --csv FILE",
        },
    )


def _listed(sums: Mapping[str, int]) -> str:
    """Return sums by currency as a text, for example 0.1 BMX and 122.5 USDT."""
    return " and ".join(str(_Fee(amount, currency)) for currency, amount in sorted(sums.items()))


def _more(day: str) -> Finding:
    return Finding(
        subject=f"more/{day}",
        message=f"more account-days from {day} on have fees that differ: only the oldest {DAYS_MAX:,} are told",
        time_ns=(day_number(day) + 1) * DAY_NS - 1,
        details={"from_day": day},
    )


CONTROL: Final = Control(
    "charged-fees",
    "fills whose fee, adjusted or not, is not what the engine said it charged, by account and day; until it is",
    _find,
    oldest_first=True,
)
