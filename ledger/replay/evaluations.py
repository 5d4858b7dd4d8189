"""Decides again what evaluations recorded: the volume of an account, what it gives, and the fees that it changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ledger.domain.decide.daily_close import KnownClose
from ledger.domain.decide.evaluation import (
    Assessment,
    Case,
    EvaluationRun,
    assess,
    changes_from_ns,
    decide_evaluated,
    is_followed,
    owed_after_flag,
)
from ledger.domain.events import CellKey, CellVolume, FeeAdjusted, Recorded, VolumeEvaluated
from ledger.domain.instants import NEVER_NS
from ledger.domain.rules.end_day_close import Close
from ledger.domain.rules.fake_accounts import flagged_at
from ledger.domain.rules.monthly_trading_volume import tier_for_volume
from ledger.domain.state.account import AccountState, evolve_account
from ledger.domain.state.programme import Programme
from ledger.domain.state.volume_cells import NOTIONAL_SCALE, exact
from ledger.domain.streams import day_key, subject_of
from ledger.fills.adjust import Restated, adjust, lines_before, lines_now, restated_by_grants
from ledger.replay.compare import UNDECIDABLE, Deviation, compared, differing_totals, said
from ledger.replay.states import States
from ledger.replay.totals import recounted

# The volume of an account in the window of an evaluation by UTC day and cell, and the closes, as known at its position.
Volume = tuple[Mapping[int, Mapping[CellKey, int]], Mapping[Close, KnownClose]]
VolumeOf = Callable[[AccountState, Programme, VolumeEvaluated], Volume]
# The fee streams of an account from a UTC day on that have an event before a position.
FeeStreams = Callable[[str, int, int], list[str]]


@dataclass(slots=True)
class _Late:
    """An account as it was before an evaluation said what it pays from an instant in the past on."""

    evaluated: Recorded
    before: AccountState
    from_ns: int
    until_ns: int = NEVER_NS
    adjusted: set[str] = field(default_factory=set)


class EvaluatedAgain:
    """Decides evaluated accounts and adjusted fees again, commit by commit."""

    def __init__(self, states: States, fee_streams: FeeStreams, volume_of: VolumeOf | None = None) -> None:
        """Without `volume_of` volume is taken as recorded where closes were needed to value it."""
        self._states = states
        self._fee_streams = fee_streams
        self._volume_of = volume_of
        self._late: dict[int, _Late] = {}  # by position, of the commit at hand

    def note(self, recorded: Recorded, event: VolumeEvaluated) -> None:
        """Note that an account was evaluated: fees of its commit may have to be other ones."""
        programme, from_ns = self._programme(event), changes_from_ns(event)
        account, now_ns = self._account(recorded), self._states.decided_ns(recorded.envelope)
        adjusts = programme is not None and programme.late_grant == "adjust" and from_ns <= now_ns
        if adjusts and flagged_at(account.flags, now_ns) is None:
            self._late[recorded.position] = _Late(recorded, account, from_ns)

    def unflagged(self, recorded: Recorded) -> None:
        """Note that a flag ended: the changes of evaluations while it ran are to be posted with it."""
        account = self._account(recorded)
        owed = owed_after_flag(account, evolve_account(account, recorded), self._states.book)
        if owed is not None:
            self._late[owed.cause_position] = _Late(recorded, owed.before, owed.from_ns, owed.until_ns)

    def evaluated(self, recorded: Recorded, event: VolumeEvaluated) -> list[Deviation]:
        """Return where a recorded evaluation is not what the volume of its account gives."""
        account, programme = self._account(recorded), self._programme(event)
        if programme is None:
            return [said(recorded, f"no programme {event.programme_id} was in force at its instant", ruled=True)]
        run = EvaluationRun(programme, event.kind, event.read_position)
        now_ns = self._states.decided_ns(recorded.envelope)
        case = Case(account.account_id, event.evaluated_time_ns, (event.window_from_ns, event.window_until_ns))
        if not is_followed(account, run, case):
            return [said(recorded, "no trial ran to its own end then", ruled=True)]
        found = self._assessed(account, programme, event)
        if found is None:
            return [said(recorded, "it lacks a close: there was nothing to evaluate", ruled=True)]
        return compared(recorded, decide_evaluated(account, run, found, now_ns), event.evaluated_time_ns)

    def cause(self, event: FeeAdjusted) -> Recorded | None:
        """Return the event of this commit that made fees other ones."""
        late = self._late.get(event.cause_position)
        return late.evaluated if late else None

    def adjusted(self, recorded: Recorded, event: FeeAdjusted) -> list[Deviation]:
        """Return where fees deviate that an evaluation of this commit changed; totals follow from recorded lines."""
        late = self._late.get(event.cause_position)
        key = day_key(recorded.stream)
        day = self._states.day(key)
        differs = tuple(differing_totals(event.totals, recounted(day.sums, event)))
        of_totals = [Deviation(recorded.position, recorded.stream, differs)] if differs else []
        if late is None or late.before.account_id != key[0]:
            what = f"position {event.cause_position} changes no fee of this account"
            return [said(recorded, what, ruled=True), *of_totals]
        late.adjusted.add(recorded.stream)
        restated = self._restated(late, recorded.stream)
        if not restated:
            return [said(recorded, "no line of the day costs anything else now", ruled=True), *of_totals]
        expected = replace(adjust(day, restated, event.cause_position), totals=event.totals)
        return compared(recorded, expected, event.time_min_ns) + of_totals

    @property
    def is_waiting(self) -> bool:
        """Return whether the commit at hand may have to adjust fees."""
        return bool(self._late)

    def end(self) -> list[Deviation]:
        """End a commit: return its days with lines that cost something else now, and that nobody adjusted."""
        found = [deviation for late in self._late.values() for deviation in self._not_adjusted(late)]
        self._late.clear()
        return found

    def _account(self, recorded: Recorded) -> AccountState:
        return self._states.account(subject_of(recorded.stream))

    def _programme(self, event: VolumeEvaluated) -> Programme | None:
        """Return the version in force at the instant, as known where the evaluation read."""
        found = self._states.book_at(event.read_position).programme(event.programme_id, event.evaluated_time_ns)
        return found if isinstance(found, Programme) else None

    def _assessed(self, account: AccountState, programme: Programme, event: VolumeEvaluated) -> Assessment | None:
        window = (event.window_from_ns, event.window_until_ns)
        case = Case(account.account_id, event.evaluated_time_ns, window)
        if self._volume_of is not None:
            found = assess(programme, case, *self._volume_of(account, programme, event))
            return found if isinstance(found, Assessment) else None
        cells = {_cell(cell): exact(cell.notional, NOTIONAL_SCALE) for cell in event.cells}
        found = assess(programme, case, {0: cells}, {})
        if isinstance(found, Assessment):
            return found
        volume = exact(event.volume, NOTIONAL_SCALE)
        return Assessment(case, event.cells, event.closes, volume, tier_for_volume(programme, volume))

    def _not_adjusted(self, late: _Late) -> Iterator[Deviation]:
        account_id, states = late.before.account_id, self._states
        for stream in self._fee_streams(account_id, late.from_ns, states.next):
            try:
                if stream not in late.adjusted and self._restated(late, stream):
                    yield said(late.evaluated, f"fees of {stream} should have been adjusted", ruled=True)
            except UNDECIDABLE as error:
                yield said(late.evaluated, f"fees of {stream} cannot be decided: {error!r}")

    def _restated(self, late: _Late, stream: str) -> list[Restated]:
        lines = lines_before(lines_now(self._states.before(stream)).values(), late.until_ns)
        after = self._states.account(late.before.account_id)
        return list(restated_by_grants(lines, late.before, after, self._states.book))


def _cell(cell: CellVolume) -> CellKey:
    """Return the key of a cell without fees, which play no part in what counts."""
    traits = (cell.channel, cell.self_trade, cell.banned)
    return CellKey(cell.quote_currency, cell.product, *traits, zero_fee=False)
