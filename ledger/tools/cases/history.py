"""`given.events`: what happened to the account, folded by the functions the service folds its log with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ledger.domain.events import AccountBanned, AccountFlagged, Envelope, Event, Recorded, TierChanged, TrialStarted
from ledger.domain.grant_sources import EVALUATION
from ledger.domain.instants import DAY_NS
from ledger.domain.rules.deactivation import ended_by
from ledger.domain.rules.fake_accounts import KINDS
from ledger.domain.rules.monthly_trading_volume import tier_for_volume
from ledger.domain.rules.past_30_day_volume import evaluation_grant
from ledger.domain.state.account import AccountState, Grant, evolve_account
from ledger.domain.state.programme import Programme
from ledger.domain.state.volume_cells import NOTIONAL_SCALE
from ledger.tools.cases.fields import Fields
from ledger.tools.cases.words import SOURCES, TIERS


@dataclass(frozen=True)
class History:
    """The account after its events, and when it was evaluated."""

    account: AccountState
    evaluations_ns: tuple[int, ...]
    trials: int


@dataclass(frozen=True)
class _EvaluationRun:
    at_ns: int
    volume: int


def read_history(given: Fields, programme: Programme) -> History:
    """The events of a case, which come in any order: each takes effect at its own instant."""
    events = sorted((_event(row, programme) for row in given.rows("events", [])), key=_order)
    account = AccountState("main")
    for at_ns, event in events:
        if isinstance(event, _EvaluationRun):
            account = evaluated(account, programme, event.volume, at_ns)
        else:
            account = _after(account, event, at_ns)
    runs = tuple(at_ns for at_ns, event in events if isinstance(event, _EvaluationRun))
    return History(account, runs, sum(isinstance(event, TrialStarted) for _, event in events))


def evaluated(account: AccountState, programme: Programme, volume: int, at_ns: int) -> AccountState:
    """The account after an evaluation: a new grant if the volume gives a tier, and what such an evaluation ends."""
    tier = tier_for_volume(programme, volume)
    ended = ended_by(account.grants, programme, tier=tier, evaluation_ns=at_ns)
    grants = tuple(replace(grant, revoked_time_ns=at_ns) if grant in ended else grant for grant in account.grants)
    if programme.rank(tier):
        interval = evaluation_grant(programme, tier=tier, evaluation_ns=at_ns)
        grant_id = f"g{len(grants) + 1}"
        grants += (Grant(grant_id, programme.programme_id, tier, EVALUATION, *interval, evaluated_ns=at_ns),)
    return replace(account, grants=grants)


def _order(entry: tuple[int, Any]) -> tuple[int, bool]:
    at_ns, event = entry
    return at_ns, isinstance(event, _EvaluationRun)  # it looks at what was granted by then


def _after(account: AccountState, event: Event, at_ns: int) -> AccountState:
    recorded = Recorded(account.version + 1, "account/main", account.version + 1, Envelope(at_ns, at_ns, 1), event)
    evolved = evolve_account(account, recorded)
    assert evolved is not None, event
    return evolved


def _event(row: Fields, programme: Programme) -> tuple[int, Any]:
    """(instant, event) of one row."""
    take = _EVENTS[row.choice("type", tuple(_EVENTS))]
    found = take(row, programme)
    row.end()
    return found


def _trial_started(row: Fields, programme: Programme) -> tuple[int, Event]:
    at_ns = row.instant("at")
    assert programme.trial is not None
    until_ns = at_ns + programme.trial.days * DAY_NS
    grant_id = f"t{row.path}"
    return at_ns, TrialStarted(grant_id, programme.programme_id, programme.trial.tier, at_ns, until_ns)


def _tier_granted(row: Fields, programme: Programme) -> tuple[int, Event]:
    tier, source = row.choice("tier", TIERS), row.choice("source", SOURCES)
    from_ns, until_ns = row.instant("from"), row.instant("to")
    return from_ns, TierChanged(f"t{row.path}", programme.programme_id, tier, source, from_ns, until_ns)


def _evaluation_run(row: Fields, _: Programme) -> tuple[int, _EvaluationRun]:
    at_ns = row.instant("at")
    return at_ns, _EvaluationRun(at_ns, row.scaled("volume_usdt", NOTIONAL_SCALE))


def _ban_imposed(row: Fields, _: Programme) -> tuple[int, Event]:
    at_ns, days = row.instant("at"), row.whole("days")
    return at_ns, AccountBanned(f"b{row.path}", at_ns, at_ns + days * DAY_NS, "ORDER_SPAM")


def _account_flagged(row: Fields, _: Programme) -> tuple[int, Event]:
    at_ns = row.instant("at")
    return at_ns, AccountFlagged(f"f{row.path}", row.choice("kind", KINDS), at_ns)


_EVENTS: Final[Mapping[str, Callable[[Fields, Programme], tuple[int, Any]]]] = {
    "TrialStarted": _trial_started,
    "TierGranted": _tier_granted,
    "EvaluationRun": _evaluation_run,
    "BanImposed": _ban_imposed,
    "AccountFlagged": _account_flagged,
}
