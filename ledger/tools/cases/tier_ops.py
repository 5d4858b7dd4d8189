"""Ops about tiers: what a volume gives, and when; trials, evaluations, what is in effect at an instant."""

from __future__ import annotations

from typing import Any, Final

from ledger.domain.commands import StartTrial
from ledger.domain.decide.account import decide_account
from ledger.domain.decide.decided import Decided
from ledger.domain.decide.standing import grant_in_effect
from ledger.domain.events import TrialStarted
from ledger.domain.grant_sources import TRIAL
from ledger.domain.refusal import Refusal
from ledger.domain.rules.ban import running_ban
from ledger.domain.rules.evaluation_days import evaluation_window, next_evaluation_ns
from ledger.domain.rules.monthly_trading_volume import tier_for_volume
from ledger.domain.rules.past_30_day_volume import evaluated_without, evaluation_grant
from ledger.domain.rules.post_trial import post_trial_grant, post_trial_window
from ledger.domain.state.programme import NEGATIVE_VOLUME, NO_TIER, Programme
from ledger.domain.state.rulebook import Rulebook
from ledger.domain.state.volume_cells import NOTIONAL_SCALE
from ledger.tools.cases.fields import Fields, UnreadableError, instant_text
from ledger.tools.cases.history import read_history

BASE: Final = "BASE"  # the source of no grant


def tier_of_volume(given: Fields, _: Fields, programme: Programme) -> dict[str, Any]:
    """R3: the band a volume lies in."""
    tier = tier_for_volume(programme, given.scaled("volume_usdt", NOTIONAL_SCALE))
    return {"error": tier} if tier == NEGATIVE_VOLUME else {"tier": tier}


def start_trial(given: Fields, when: Fields, programme: Programme) -> dict[str, Any]:
    """R4: decided as the command is."""
    account, at_ns = read_history(given, programme).account, when.instant("at")
    book = Rulebook(lambda _: programme, programmes={programme.programme_id: ((0, programme),)})
    command = StartTrial(account.account_id, at_ns)
    decided = decide_account(account, command, family=(), book=book, now_ns=at_ns)
    if isinstance(decided, Refusal):
        return {"error": decided.reason.name}
    assert isinstance(decided, Decided), decided
    ((_, event),) = decided.events
    assert isinstance(event, TrialStarted), event
    return _interval((event.valid_from_ns, event.valid_until_ns))


def post_trial_evaluate(given: Fields, when: Fields, programme: Programme) -> dict[str, Any]:
    """R14: what the trial's own volume gives afterwards."""
    history, _ = read_history(given, programme), when.instant("at")
    if history.trials != 1:
        raise UnreadableError(f"{given.path}.events has {history.trials} TrialStarted, not one")
    trial = next(grant for grant in history.account.grants if grant.source == TRIAL)
    tier = tier_for_volume(programme, given.scaled("api_spot_volume_in_window", NOTIONAL_SCALE))
    _, trial_end_ns = post_trial_window(trial)
    if tier in {NO_TIER, NEGATIVE_VOLUME}:
        return _nothing(tier)
    return {"tier": tier, **_interval(post_trial_grant(programme, tier=tier, trial_end_ns=trial_end_ns))}


def next_evaluation(_: Fields, when: Fields, programme: Programme) -> dict[str, Any]:
    """R18: the days of the programme."""
    return {"at": instant_text(next_evaluation_ns(programme, when.instant("after")))}


def window_of_evaluation(_: Fields, when: Fields, programme: Programme) -> dict[str, Any]:
    """R18: what an evaluation looks at."""
    from_ns, until_ns = evaluation_window(programme, when.instant("at"))
    return {"from": instant_text(from_ns), "to": instant_text(until_ns)}


def evaluate(given: Fields, when: Fields, programme: Programme) -> dict[str, Any]:
    """R5: the tier of a volume, and how long it holds."""
    tier = tier_for_volume(programme, given.scaled("volume_usdt", NOTIONAL_SCALE))
    at_ns = when.instant("at")
    if tier in {NO_TIER, NEGATIVE_VOLUME}:
        return _nothing(tier)
    return {"tier": tier, **_interval(evaluation_grant(programme, tier=tier, evaluation_ns=at_ns))}


def effective_tier_at(given: Fields, when: Fields, programme: Programme) -> dict[str, Any]:
    """R19, R21, R22, A7, A10, A28: what is in effect, and whether a late fill changed what an evaluation rests on."""
    history, at_ns = read_history(given, programme), when.instant("at")
    changed = False
    if given.has("late_fill"):
        fill = given.fields("late_fill")
        exec_ns, recorded_ns = fill.instant("exec_time"), fill.instant("recorded_at")
        fill.amount("notional_usdt")
        fill.end()
        changed = recorded_ns <= at_ns and any(
            evaluated_without(
                evaluation_window(programme, run_ns), evaluation_ns=run_ns, exec_ns=exec_ns, recorded_ns=recorded_ns
            )
            for run_ns in history.evaluations_ns
        )
    grant = grant_in_effect(history.account, programme, at_ns)
    return {
        "tier": grant.tier if grant else NO_TIER,
        "source": grant.source if grant else BASE,
        "banned": running_ban(history.account.bans, at_ns) is not None,
        "evaluation_inputs_changed": changed,
    }


def _nothing(tier: str) -> dict[str, Any]:
    return {"error": tier} if tier == NEGATIVE_VOLUME else {"tier": tier}


def _interval(interval: tuple[int, int]) -> dict[str, Any]:
    from_ns, until_ns = interval
    return {"valid_from": instant_text(from_ns), "valid_to": instant_text(until_ns)}
