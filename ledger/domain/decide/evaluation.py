"""The evaluation of one account: rules in their order, from volume to tier (R15, R17, R3) and to a grant (R5, R14)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from ledger.arrays.lazy_sequence import LazySequence
from ledger.domain.decide.daily_close import KnownClose
from ledger.domain.decide.standing import tier_at
from ledger.domain.events import PERIODIC, POST_TRIAL, CellKey, CellVolume, CloseUsed, VolumeEvaluated
from ledger.domain.grant_sources import TRIAL
from ledger.domain.instants import NEVER_NS
from ledger.domain.money import decimal_text
from ledger.domain.rules.cumulative_trading_volume import excluded_because
from ledger.domain.rules.deactivation import ended_by
from ledger.domain.rules.end_day_close import CLOSE_SCALE, Close, Missing, value_cells
from ledger.domain.rules.fake_accounts import flagged_at
from ledger.domain.rules.manual_review import is_decision, review_grant, reviews_until
from ledger.domain.rules.monthly_trading_volume import TierTable, tier_for_volume
from ledger.domain.rules.past_30_day_volume import evaluation_grant
from ledger.domain.rules.post_trial import post_trial_grant
from ledger.domain.state.account import AccountState, Grant
from ledger.domain.state.programme import MANUAL_REVIEW, NO_TIER, Programme
from ledger.domain.state.volume_cells import NOTIONAL_SCALE, exact

NO_TIME: Final = 0  # the UTC day of volume in the volume currency, which needs no close

Cells = Mapping[int, Mapping[CellKey, int]]  # notional with 36 decimals by UTC day and cell


@dataclass(frozen=True, slots=True)
class Case:
    """A case to be evaluated: an account's volume in a window [from, until), at an instant."""

    account_id: str
    evaluated_ns: int
    window: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Assessment:
    """The worth of a case's volume: `volume` has 36 decimals of the volume currency."""

    case: Case
    cells: tuple[CellVolume, ...]
    closes: tuple[CloseUsed, ...]
    volume: int
    tier: str


class AssessedAlike(LazySequence[Assessment]):
    """Assessments of one instant that are alike but for account and amounts, as columns. They rest on no close.

    `case` is that of nobody. `notionals` are of each account in each of `cells`, for example [("5", "0.1"), ("7", "2")]
    of two accounts in two cells, and `volumes` what counts of them.
    """

    def __init__(
        self,
        case: Case,
        cells: Sequence[CellKey],
        account_ids: Sequence[str],
        notionals: Sequence[tuple[str, ...]],
        volumes: Sequence[str],
        tiers: Sequence[str],
    ) -> None:
        self.case = case
        self.cells = cells
        self.account_ids = account_ids
        self.notionals = notionals
        self.volumes = volumes
        self.tiers = tiers

    def __len__(self) -> int:
        return len(self.account_ids)

    def make(self, place: int) -> Assessment:
        """Return one of the assessments."""
        cells = zip(self.cells, self.notionals[place], strict=True)
        return Assessment(
            replace(self.case, account_id=self.account_ids[place]),
            tuple(CellVolume(*key[:5], notional) for key, notional in cells),
            (),
            exact(self.volumes[place], NOTIONAL_SCALE),
            self.tiers[place],
        )

    def some(self, places: Sequence[int]) -> AssessedAlike:
        """Return those at some places."""
        return AssessedAlike(
            self.case,
            self.cells,
            [self.account_ids[place] for place in places],
            [self.notionals[place] for place in places],
            [self.volumes[place] for place in places],
            [self.tiers[place] for place in places],
        )

    def without_amounts(self, tier: str) -> Assessment:
        """Return what all that a tier is given to have in common; what `decide_evaluated` decides rests on no more."""
        return Assessment(self.case, (), (), 0, tier)


class EvaluationRun(NamedTuple):
    """A run of an evaluation: the version of a programme, the kind, and the position at which the log is read."""

    programme: Programme
    kind: str
    read_position: int


def assess(programme: Programme, case: Case, cells: Cells, closes: Mapping[Close, KnownClose]) -> Assessment | Missing:
    """Value the volume of a case and say the tier it gives, or which closes are missing (R17).

    A cell from which all lines have moved, for example to that of a ban, needs no close and says nothing.
    """
    cells = {day: {key: notional for key, notional in found.items() if notional} for day, found in cells.items()}
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


def assess_alike(
    programme: Programme,
    case: Case,
    cells: Sequence[CellKey],
    account_ids: Sequence[str],
    notionals: Sequence[tuple[str, ...]],
) -> AssessedAlike:
    """Value the volume that many accounts have in the same cells, all of the volume currency, and say their tiers.

    `cells` are in order, and no notional is 0.
    """
    counted = [place for place, key in enumerate(cells) if not excluded_because(key, programme)]
    if len(counted) == 1:
        (only,) = counted
        volumes = [amounts[only] for amounts in notionals]
    else:
        sums = (sum(exact(amounts[place], NOTIONAL_SCALE) for place in counted) for amounts in notionals)
        volumes = [decimal_text(volume, NOTIONAL_SCALE) for volume in sums]
    table = TierTable(programme)
    tiers = [table.tier(exact(volume, NOTIONAL_SCALE)) for volume in volumes]
    return AssessedAlike(case, cells, account_ids, notionals, volumes, tiers)


def trials_to_evaluate(account: AccountState, programme_id: str, by_ns: int) -> Iterator[Grant]:
    """Yield the trials of an account that ran to their own end and are over at an instant: R14 follows them.

    Nothing follows a trial that was revoked, or that a flag had ended by then.
    """
    for grant in account.grants:
        if grant.source == TRIAL and grant.programme_id == programme_id and grant.valid_until_ns <= by_ns:
            revoked = grant.revoked_time_ns < grant.valid_until_ns
            if not revoked and flagged_at(account.flags, grant.valid_until_ns - 1) is None:
                yield grant


def is_followed(account: AccountState, run: EvaluationRun, case: Case) -> bool:
    """Return True if an evaluation is still due to an account: a trial may have been revoked since it was planned."""
    if run.kind != POST_TRIAL:
        return True
    trials = trials_to_evaluate(account, run.programme.programme_id, case.evaluated_ns)
    return any(trial.valid_until_ns == case.evaluated_ns for trial in trials)


def decide_evaluated(account: AccountState, run: EvaluationRun, found: Assessment, recorded_ns: int) -> VolumeEvaluated:
    """Decide what an evaluation records of an account: its volume, the grant that it gives, those that end (R19, A4).

    Under late_grant = from_record nothing changes before it is recorded (A31).
    """
    programme, at_ns = run.programme, found.case.evaluated_ns
    not_before_ns = recorded_ns if programme.late_grant == "from_record" else 0
    given = _grant_interval(account, run, found, not_before_ns)
    ended_ns = given.valid_from_ns if given else max(at_ns, not_before_ns)
    ended = _ended_grant_ids(account, run, found, ended_ns, keeps=given is not None and given.kept_tier != "")
    valid_until_ns = given.valid_until_ns if given and given.valid_until_ns != NEVER_NS else 0
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
        grant_id=account.next_grant_id if given else "",
        valid_from_ns=given.valid_from_ns if given else 0,
        valid_until_ns=valid_until_ns,
        ended_grant_ids=ended,
        ended_time_ns=ended_ns if ended else 0,
        kept_tier=given.kept_tier if given else "",
    )


def changes_from_ns(event: VolumeEvaluated) -> int:
    """Return the first instant at which an account may pay otherwise because of an evaluation; NEVER_NS without one."""
    named = ((event.valid_from_ns, event.grant_id), (event.ended_time_ns, event.ended_grant_ids))
    instants = (at_ns for at_ns, names in named if names)
    return min(instants, default=NEVER_NS)


def movement(programme: Programme, before: str, after: str) -> str:
    """Name a tier's movement: GAINED, UP, STAYED, DOWN, LOST, NONE (no tier before and after), REVIEW by a person."""
    if not is_decision(after):
        return "REVIEW"
    was, becomes = programme.rank(before), programme.rank(after)
    if not was or not becomes:
        return {(True, False): "LOST", (False, True): "GAINED"}.get((was > 0, becomes > 0), "NONE")
    return "UP" if becomes > was else "DOWN" if becomes < was else "STAYED"


def tier_before(account: AccountState, programme: Programme, evaluated_ns: int) -> str:
    """Return the tier in effect until the evaluation: at the instant before it, where a grant may end just then."""
    before = tier_at(account, programme, evaluated_ns - 1)
    return before if before != NO_TIER else tier_at(account, programme, evaluated_ns)


class _Interval(NamedTuple):
    """The interval [valid_from, valid_until) of a grant; `kept_tier` is its tier where a person must look first."""

    valid_from_ns: int
    valid_until_ns: int
    kept_tier: str


def _grant_interval(
    account: AccountState, run: EvaluationRun, found: Assessment, not_before_ns: int
) -> _Interval | None:
    """Return the grant of the tier that the volume gives; above the table (A4) of that which the account had before."""
    at_ns, kept_tier = found.case.evaluated_ns, ""
    if run.programme.rank(found.tier):
        from_ns, until_ns = _interval(run, found)
    elif found.tier == MANUAL_REVIEW and (held := tier_before(account, run.programme, at_ns)) != NO_TIER:
        kept_tier = held
        from_ns, until_ns = review_grant(account, run.programme, evaluation_ns=at_ns)
    else:
        return None
    from_ns = max(from_ns, not_before_ns)
    return _Interval(from_ns, until_ns, kept_tier) if from_ns < until_ns else None


def _ended_grant_ids(
    account: AccountState, run: EvaluationRun, found: Assessment, ended_ns: int, *, keeps: bool
) -> tuple[str, ...]:
    """Return the grants that end (R19), and those under review that this evaluation decides or replaces."""
    grants, programme, at_ns = account.grants, run.programme, found.case.evaluated_ns
    ended: set[Grant] = set()
    if run.kind == PERIODIC:
        ended.update(ended_by(grants, programme, tier=found.tier, evaluation_ns=at_ns))
    if keeps or is_decision(found.tier):
        ended.update(reviews_until(grants, programme, evaluation_ns=at_ns, until_ns=ended_ns))
    return tuple(grant.grant_id for grant in grants if grant in ended)


def _interval(run: EvaluationRun, found: Assessment) -> tuple[int, int]:
    if run.kind == POST_TRIAL:
        return post_trial_grant(run.programme, tier=found.tier, trial_end_ns=found.case.evaluated_ns)
    return evaluation_grant(run.programme, tier=found.tier, evaluation_ns=found.case.evaluated_ns)


def _volumes(cells: Cells) -> tuple[CellVolume, ...]:
    """Sum all days of a window, whatever the fees were."""
    sums: dict[tuple[str, int, int, bool, bool], int] = {}
    for by_cell in cells.values():
        for key, notional in by_cell.items():
            cell = key[:5]
            sums[cell] = sums.get(cell, 0) + notional
    return tuple(CellVolume(*cell, decimal_text(sums[cell], NOTIONAL_SCALE)) for cell in sorted(sums))
