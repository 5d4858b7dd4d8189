"""One round of the bug bounty: the reports of a week, their awards, and whether it is closed (R9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from ledger.domain.commands import AwardBounty, BountyCommand, CloseBountyRound, ReportFeedback
from ledger.domain.decide.decided import Decided
from ledger.domain.decide.standing import tier_at
from ledger.domain.events import BountyAwarded, BountyRoundClosed, FeedbackReported, Recorded
from ledger.domain.instants import NEVER_NS, given_or
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.rules.bug_bounty import may_earn_bounty, round_ends_ns, round_of
from ledger.domain.rules.fake_accounts import flagged_at, refused_for_flag
from ledger.domain.state.account import AccountState
from ledger.domain.state.rulebook import Rulebook
from ledger.domain.streams import bounty_stream


@dataclass(frozen=True, slots=True)
class Round:
    """The fold of `bounty/<ISO week>`: reports by id, ids of those awarded, and when it was closed."""

    week: str
    version: int = 0
    reports: Mapping[str, FeedbackReported] = field(default_factory=dict)
    awarded: frozenset[str] = frozenset()
    closed_time_ns: int = NEVER_NS


def evolve_round(state: Round, recorded: Recorded) -> Round:
    """Return the round after one more event of its stream."""
    event = recorded.event
    changed = state
    if isinstance(event, FeedbackReported):
        changed = replace(state, reports={**state.reports, event.report_id: event})
    elif isinstance(event, BountyAwarded):
        changed = replace(state, awarded=state.awarded | {event.report_id})
    elif isinstance(event, BountyRoundClosed):
        changed = replace(state, closed_time_ns=event.closed_time_ns)
    return replace(changed, version=recorded.version)


def week_of(command: BountyCommand, now_ns: int) -> str:
    """Return the round that a command is for."""
    if isinstance(command, ReportFeedback):
        return round_of(given_or(command.report_time_ns, now_ns))
    return command.week


def decide_bounty(
    state: Round, command: BountyCommand, account: Callable[[str], AccountState], book: Rulebook, now_ns: int
) -> Decided | Refusal:
    """Decide a command on a round. After the close there is nothing more to do in a week."""
    if state.closed_time_ns != NEVER_NS:
        return Refusal(Reason.BOUNTY_ROUND_CLOSED, "week", f"the round of {state.week} is closed")
    stream = bounty_stream(state.week)
    match command:
        case ReportFeedback():
            at_ns = given_or(command.report_time_ns, now_ns)
            name = f"r{len(state.reports) + 1}"
            report = FeedbackReported(name, command.account_id, command.kind, command.channel, at_ns)
            return Decided(at_ns, ((stream, report),))
        case AwardBounty():
            awarded = _award(state, command, account, book, now_ns)
            return awarded if isinstance(awarded, Refusal) else Decided(now_ns, ((stream, awarded),))
        case CloseBountyRound():
            if now_ns < round_ends_ns(state.week):
                return Refusal(Reason.BOUNTY_ROUND_RUNNING, "week", f"{state.week} is not over")
            return Decided(now_ns, ((stream, BountyRoundClosed(state.week, now_ns)),))
        case _:
            assert_never(command)


def _award(
    state: Round, command: AwardBounty, account_of: Callable[[str], AccountState], book: Rulebook, now_ns: int
) -> BountyAwarded | Refusal:
    """Award members at the time of their report; neither who was flagged then, nor who is flagged now."""
    report = state.reports.get(command.report_id)
    if report is None:
        return Refusal(Reason.FEEDBACK_UNKNOWN, "report_id", f"{state.week} has no report {command.report_id}")
    if command.report_id in state.awarded:
        return Refusal(Reason.BOUNTY_ALREADY_AWARDED, "report_id", f"{command.report_id} has had its bounty")
    at_ns = report.reported_time_ns
    programme = book.programme(command.programme_id, at_ns)
    if isinstance(programme, Refusal):
        return programme
    account = account_of(report.account_id)
    flagged = refused_for_flag(account, at_ns) or refused_for_flag(account, now_ns)
    if flagged is not None:
        return flagged
    tier = tier_at(account, programme, at_ns)
    if not may_earn_bounty(tier, flagged_at(account.flags, at_ns) is not None):
        return Refusal(Reason.NOT_A_MEMBER, "report_id", f"{account.account_id} had no tier when it reported")
    return BountyAwarded(report.report_id, report.account_id, command.amount, command.currency, tier)
