"""Commands in the commit in the making: each is looked up, decided, and recorded."""

from __future__ import annotations

from typing import Final

from ledger.domain.commands import (
    AccountCommand,
    AssignPairClass,
    BountyCommand,
    Command,
    FactCommand,
    PromotionCommand,
    RecordDailyClose,
    Request,
    SetPairRates,
    StandingCommand,
)
from ledger.domain.decide.account import asks_family
from ledger.domain.decide.approval import check_approval, if_approved
from ledger.domain.decide.decided import Decided, as_recorded
from ledger.domain.decide.dispatch import decide
from ledger.domain.events import CommandRefused
from ledger.domain.refusal import Reason, Refusal
from ledger.writing.draft import Draft
from ledger.writing.fills import decide_pending
from ledger.writing.mending import mend, mend_shared
from ledger.writing.messages import Accepted, DecideCommand, Refused

_STATE_REFUSALS_START: Final = 100  # reasons below are about shape: such a command leaves no trace


def answer_command(draft: Draft, job: DecideCommand) -> Accepted | Refused:
    """Decide a command and record its events, or that it was refused; one that came before is answered as then."""
    known = _earlier_answer(draft, job.request)
    if isinstance(known, Accepted) or (known is not None and known.replayed):
        return known
    stream, decided = _decide(draft, job.command)
    decided = if_approved(decided, check_approval(draft.states.book, job.command, job.request, draft.now_ns))
    if isinstance(decided, Refusal) and decided.reason < _STATE_REFUSALS_START:
        return Refused(decided)
    return known if known is not None else _record_decision(draft, job, stream, decided)


def _earlier_answer(draft: Draft, request: Request) -> Accepted | Refused | None:
    """Return the first answer to a request that came before, or a refusal if its request_id was another one's.

    None: no command was recorded under this request_id.
    """
    if request.request_id in draft.requests:
        sha256, first = draft.requests[request.request_id]
    elif request.request_id in draft.states.requests:
        sha256, position = draft.states.requests[request.request_id]
        first = draft.states.log.at(position)
    else:
        return None
    if sha256 not in (request.sha256, request.sha256_of_all):
        detail = f"{request.request_id} was used for another request at position {first.position}"
        return Refused(Refusal(Reason.REQUEST_ID_REUSED, "request_id", detail), first.position)
    if isinstance(first.event, CommandRefused):
        refusal = Refusal(Reason(first.event.reason), first.event.field, first.event.detail)
        return Refused(refusal, first.position, replayed=True)
    return Accepted(first, replayed=True)


def _decide(draft: Draft, command: Command) -> tuple[str, Decided | Refusal]:
    """Return the stream that a command is for, and the decision."""
    if _may_touch(draft, command):
        decide_pending(draft)
    states = draft.states
    return decide(command, states.book, states, now_ns=draft.now_ns, last_position=draft.next_position - 1)


def _may_touch(draft: Draft, command: Command) -> bool:
    """Return True if a command may change the price of fills that wait, or reads what they change."""
    if isinstance(command, AccountCommand):
        of_family = asks_family(command)
        return any(part.has_fills_of(command.account_id) or (of_family and part.names_owners) for part in draft.parts())
    return not isinstance(command, PromotionCommand | BountyCommand | RecordDailyClose)


def _record_decision(draft: Draft, job: DecideCommand, stream: str, decided: Decided | Refusal) -> Accepted | Refused:
    """Record the events of a command, or that it was refused, with what follows from them for fees."""
    recorded = as_recorded(stream, job.command, decided, draft.now_ns) if isinstance(decided, Refusal) else decided
    effective_ns, further = recorded.effective_time_ns, job.request.kept_before
    (name, event), *others = recorded.events
    first = draft.record(name, effective_ns, event, job.request)
    for name, event in others:
        draft.record(name, effective_ns, event, further)
    if isinstance(job.command, StandingCommand | FactCommand) and not isinstance(decided, Refusal):
        draft.lines_restated += mend(draft, first, further)
    if isinstance(job.command, AssignPairClass | SetPairRates) and not isinstance(decided, Refusal):
        mend_shared(draft, first, further)
    draft.requests[job.request.request_id] = (job.request.sha256, first)
    return Refused(decided, first.position) if isinstance(decided, Refusal) else Accepted(first)
