"""The evaluation of one account: rules in their order, from volume to tier (R15, R17, R3) and to a grant (R5, R14)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from ledger.domain.decide.daily_close import KnownClose
from ledger.domain.decide.standing import tier_at
from ledger.domain.events import CellKey, CellVolume, CloseUsed, VolumeEvaluated
from ledger.domain.money import decimal_text
from ledger.domain.rules.cumulative_trading_volume import excluded_because
from ledger.domain.rules.deactivation import ended_by
from ledger.domain.rules.end_day_close import CLOSE_SCALE, Close, Missing, value_cells
from ledger.domain.rules.monthly_trading_volume import tier_for_volume
from ledger.domain.rules.past_30_day_volume import evaluation_grant
from ledger.domain.rules.post_trial import post_trial_grant
from ledger.domain.state.account import FOREVER_NS, AccountState
from ledger.domain.state.programme import MANUAL_REVIEW, NEGATIVE_VOLUME, NO_TIER, Programme
from ledger.domain.state.volume_cells import NOTIONAL_SCALE

PERIODIC: Final = "PERIODIC"  # R18: of all accounts, at one instant
POST_TRIAL: Final = "POST_TRIAL"  # R14: of each account at the end of its trial

NO_TIME: Final = 0  # the UTC day of volume in the volume currency, which needs no close

Cells = Mapping[int, Mapping[CellKey, int]]  # notional with 36 decimals by UTC day and cell


@dataclass(frozen=True, slots=True)
class Case:
    """What is to be evaluated: an account's volume in a window [from, until), at an instant."""

    account_id: str
    evaluated_ns: int
    window: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the volume of a case is worth: `volume` has 36 decimals of the volume currency."""

    case: Case
    cells: tuple[CellVolume, ...]
    closes: tuple[CloseUsed, ...]
    volume: int
    tier: str


class Run(NamedTuple):
    """What an evaluation is, whoever runs it: a programme's version, and the position it reads at."""

    programme: Programme
    kind: str
    read_position: int


def assess(programme: Programme, case: Case, cells: Cells, closes: Mapping[Close, KnownClose]) -> Assessment | Missing:
    """Value the volume of a case and say the tier it gives, or which closes are missing (R17)."""
    prices = {key: close.price for key, close in closes.items()}
    found = value_cells(programme, cells, prices, case.evaluated_ns, excluded_because)
    if isinstance(found, Missing):
        return found
    used = (
        CloseUsed(asset, day, decimal_text(price, CLOSE_SCALE), closes[asset, day].position)
        for (asset, day), price in found.closes.items()
    )
    tier = tier_for_volume(programme, found.volume)
    return Assessment(case, _volumes(cells), tuple(used), found.volume, tier)


def decide_evaluated(account: AccountState, run: Run, found: Assessment, recorded_ns: int) -> VolumeEvaluated:
    """What is recorded of an account: its volume, the grant that it gives, and those that end (R19).

    Under late_grant = from_record nothing changes before it is recorded (A31).
    """
    programme, at_ns = run.programme, found.case.evaluated_ns
    valid_from_ns, valid_until_ns, grant_id = 0, 0, ""
    not_before_ns = recorded_ns if programme.late_grant == "from_record" else 0
    if programme.rank(found.tier):
        valid_from_ns, valid_until_ns = _interval(run, found)
        valid_from_ns = max(valid_from_ns, not_before_ns)
    if valid_from_ns < valid_until_ns:
        grant_id = f"g{len(account.grants) + 1}"
    else:
        valid_from_ns = valid_until_ns = 0
    ended = ended_by(account.grants, programme, tier=found.tier, evaluation_ns=at_ns) if run.kind == PERIODIC else ()
    return VolumeEvaluated(
        programme_id=programme.programme_id,
        programme_version=programme.version,
        kind=run.kind,
        evaluated_time_ns=at_ns,
        window_from_ns=found.case.window[0],
        window_until_ns=found.case.window[1],
        read_position=run.read_position,
        cells=found.cells,
        closes=found.closes,
        volume=decimal_text(found.volume, NOTIONAL_SCALE),
        volume_currency=programme.volume_currency,
        tier=found.tier,
        grant_id=grant_id,
        valid_from_ns=valid_from_ns,
        valid_until_ns=valid_until_ns,
        ended_grant_ids=tuple(grant.grant_id for grant in ended),
        ended_time_ns=max(at_ns, not_before_ns) if ended else 0,
    )


def changes_from_ns(event: VolumeEvaluated) -> int:
    """The first instant at which an account may pay otherwise because of an evaluation; without one: never."""
    named = ((event.valid_from_ns, event.grant_id), (event.ended_time_ns, event.ended_grant_ids))
    instants = (at_ns for at_ns, names in named if names)
    return min(instants, default=FOREVER_NS)


def movement(programme: Programme, before: str, after: str) -> str:
    """How a tier moves: GAINED, UP, STAYED, DOWN, LOST or NONE (no tier before and after); or REVIEW by a person."""
    if after in (MANUAL_REVIEW, NEGATIVE_VOLUME):
        return "REVIEW"
    was, becomes = programme.rank(before), programme.rank(after)
    if not was or not becomes:
        return {(True, False): "LOST", (False, True): "GAINED"}.get((was > 0, becomes > 0), "NONE")
    return "UP" if becomes > was else "DOWN" if becomes < was else "STAYED"


def tier_before(account: AccountState, programme: Programme, evaluated_ns: int) -> str:
    """The tier in effect until the evaluation: at the instant before it, where a grant may end just then."""
    before = tier_at(account, programme, evaluated_ns - 1)
    return before if before != NO_TIER else tier_at(account, programme, evaluated_ns)


def _interval(run: Run, found: Assessment) -> tuple[int, int]:
    if run.kind == POST_TRIAL:
        return post_trial_grant(run.programme, tier=found.tier, trial_end_ns=found.case.evaluated_ns)
    return evaluation_grant(run.programme, tier=found.tier, evaluation_ns=found.case.evaluated_ns)


def _volumes(cells: Cells) -> tuple[CellVolume, ...]:
    """All days of a window together, whatever the fees were."""
    sums: dict[tuple[str, int, int, bool, bool], int] = {}
    for by_cell in cells.values():
        for key, notional in by_cell.items():
            cell = key[:5]
            sums[cell] = sums.get(cell, 0) + notional
    return tuple(CellVolume(*cell, decimal_text(sums[cell], NOTIONAL_SCALE)) for cell in sorted(sums))
