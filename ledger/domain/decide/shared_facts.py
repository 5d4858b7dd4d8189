"""The release of a shared fact (A19) that is recorded after lines which it changes: as one, then in each account."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.domain.commands import DeclineSharedFact, FactCommand, ReleaseSharedFact, WithdrawFact
from ledger.domain.decide.decided import Decided
from ledger.domain.decide.facts import BY_SWITCH, AccountFacts, Fact
from ledger.domain.decide.release import Nets, adjust_of, already_declined, already_released, judge, released_fact
from ledger.domain.events import FactDeclined, FactReleased, FactWithheld
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.programme import ADJUST, CREDIT_ONLY
from ledger.domain.state.rulebook import Rulebook
from ledger.domain.state.shared_facts import SharedFact
from ledger.domain.streams import REGISTERS, programme_stream


def fact_of_account(shared: SharedFact) -> Fact:
    """Return a shared fact as one that the lines of an account may count by."""
    event = shared.event
    return Fact(shared.recorded.position, shared.cause, event.valid_from_ns, event.programme_id, is_shared=True)


def judge_shared(shared: SharedFact, book: Rulebook, now_ns: int) -> FactReleased | FactWithheld:
    """Return what is recorded with a shared fact that came late, by the version of its programme in force now.

    credit_only is decided in each account, by the net of it.
    """
    programme_id = shared.event.programme_id
    switch = adjust_of(book.programmes[programme_id], now_ns).classes
    what = (shared.recorded.position, shared.cause, switch)
    if switch in (ADJUST, CREDIT_ONLY):
        return FactReleased(*what, (programme_id,))
    return FactWithheld(*what, BY_SWITCH, (programme_id,))


def judge_in_account(fact: Fact, switch: str, nets: Nets) -> Iterator[FactReleased | FactWithheld]:
    """Yield what becomes in an account of a shared fact that is released: two persons may have released any."""
    programme_ids = (fact.programme_id,)
    if switch == CREDIT_ONLY:
        yield from judge(fact, switch, programme_ids, nets=nets)
    else:
        yield released_fact(fact, switch, programme_ids)


def decide_shared_fact(
    book: Rulebook, command: ReleaseSharedFact | DeclineSharedFact, now_ns: int
) -> tuple[str, Decided | Refusal]:
    """Decide what two persons say of a shared fact; also one from before there were switches may be released."""
    position = command.fact_position
    shared = book.shared_facts.get(position)
    if shared is None:
        detail = f"no class or rates of a pair lie at position {position}: name the account, if the fact is one of it"
        return REGISTERS, Refusal(Reason.FACT_UNKNOWN, "fact_position", detail)
    stream = programme_stream(shared.event.programme_id)
    if shared.declined:
        return stream, already_declined(position)
    if shared.released is not None:
        return stream, already_released(position)
    if isinstance(command, DeclineSharedFact):
        return stream, Decided(now_ns, ((stream, FactDeclined(position)),))
    switch = shared.withheld.switch if shared.withheld else ""
    event = FactReleased(position, shared.cause, switch, (shared.event.programme_id,))
    return stream, Decided(now_ns, ((stream, event),))


def refused_as_shared(book: Rulebook, facts: AccountFacts, command: FactCommand) -> Refusal | None:
    """Refuse a command on a shared fact as one of an account, unless it was brought to the account and waits there."""
    position, account_id = command.fact_position, command.account_id
    shared = book.shared_facts.get(position)
    if shared is None:
        return None
    if isinstance(command, WithdrawFact):
        detail = "classes and rates of pairs are not withdrawn: decline what is withheld, or give the pair others now"
        return Refusal(Reason.FACT_NOT_WITHDRAWABLE, "fact_position", detail)
    if position in facts.shared:
        return None
    if shared.declined:
        return already_declined(position)
    if shared.released is not None:
        return already_released(position, f" to all accounts, {account_id} included")
    detail = f"the fact at position {position} is one of many accounts: decide on it without an account"
    return Refusal(Reason.FACT_UNKNOWN, "fact_position", detail)
