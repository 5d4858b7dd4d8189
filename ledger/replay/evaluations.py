"""Decides again what evaluations recorded: the volume of an account, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ledger.domain.decide.daily_close import KnownClose
from ledger.domain.decide.evaluation import (
    Assessment,
    Case,
    EvaluationRun,
    assess,
    decide_evaluated,
    is_followed,
)
from ledger.domain.events import CellKey, CellVolume, Recorded, VolumeEvaluated
from ledger.domain.rules.end_day_close import Close
from ledger.domain.rules.monthly_trading_volume import tier_for_volume
from ledger.domain.state.account import AccountState
from ledger.domain.state.programme import Programme
from ledger.domain.state.volume_cells import NOTIONAL_SCALE, exact
from ledger.domain.streams import subject_of
from ledger.replay.compare import Deviation, compared, said
from ledger.replay.states import States

# The volume of an account in the window of an evaluation by UTC day and cell, and the closes, as known at its position.
Volume = tuple[Mapping[int, Mapping[CellKey, int]], Mapping[Close, KnownClose]]
VolumeOf = Callable[[AccountState, Programme, VolumeEvaluated], Volume]


class EvaluatedAgain:
    """Decides evaluated accounts again."""

    def __init__(self, states: States, volume_of: VolumeOf | None = None) -> None:
        """Without `volume_of` volume is taken as recorded where closes were needed to value it."""
        self._states = states
        self._volume_of = volume_of

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


def _cell(cell: CellVolume) -> CellKey:
    """Return the key of a cell without fees, which play no part in what counts."""
    traits = (cell.channel, cell.self_trade, cell.banned)
    return CellKey(cell.quote_currency, cell.product, *traits, zero_fee=False)
