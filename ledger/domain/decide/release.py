"""The release of a fact that is recorded after lines which it changes: at once, later, or never ([adjust])."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from ledger.domain.commands import DeclineFact, ReleaseFact
from ledger.domain.decide.decided import Decided
from ledger.domain.decide.facts import (
    BAN,
    BAN_LIFT,
    BY_DEBIT,
    BY_FLAG,
    BY_SIZE,
    BY_SWITCH,
    FLAG,
    GRANT,
    OWNER,
    REVOCATION,
    UNFLAG,
    AccountFacts,
    Fact,
)
from ledger.domain.events import FactDeclined, FactReleased, FactWithheld
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.rules.fake_accounts import flagged_at, refused_for_flag
from ledger.domain.state.account import AccountState
from ledger.domain.state.programme import ADJUST, CREDIT_ONLY, Adjust, Programme
from ledger.domain.state.rulebook import Dated, Rulebook
from ledger.domain.streams import account_stream

# How much more or less the lines of an account cost, by the currency of every line that a fact reaches, if it were
# released for some programmes: at FEE_SCALE. None: one commit cannot tell.
Nets = Callable[[FactReleased], Mapping[str, int] | None]

_SWITCHES: Final[Mapping[str, Callable[[Adjust], str]]] = {
    GRANT: lambda adjust: adjust.grants,
    REVOCATION: lambda adjust: adjust.revocations,
    FLAG: lambda adjust: adjust.flags,
    UNFLAG: lambda adjust: adjust.unflags,
    BAN: lambda adjust: adjust.volume,
    BAN_LIFT: lambda adjust: adjust.volume,
    OWNER: lambda adjust: adjust.owners,
}


def judge_late(
    fact: Fact, account: AccountState, book: Rulebook, *, nets: Nets, now_ns: int
) -> Iterator[FactReleased | FactWithheld]:
    """Yield what is recorded with a fact that came late, by the versions in force now (A31, R21).

    `account` is that after the fact.
    """
    is_flagged = flagged_at(account.flags, now_ns) is not None
    for switch, programme_ids in _by_switch(fact, book, now_ns):
        yield from judge(fact, switch, programme_ids, nets=nets, is_flagged=is_flagged)


def judge_held(
    facts: AccountFacts, account: AccountState, *, nets: Nets, now_ns: int
) -> Iterator[FactReleased | FactWithheld]:
    """Yield what the end of the last flag lets out, by the switches that were stored (A33). `account` is after it."""
    if flagged_at(account.flags, now_ns) is not None:
        return
    for position, waiting in list(facts.withheld.items()):
        for one in waiting:
            if one.reason == BY_FLAG:
                fact = facts.facts[position]
                yield from judge(fact, one.switch, one.programme_ids, nets=nets)


def decide_fact(
    facts: AccountFacts,
    account: AccountState,
    command: ReleaseFact | DeclineFact,
    now_ns: int,
) -> Decided | Refusal:
    """Decide what two persons say of a fact: also one from before there were switches may be released."""
    position, stream = command.fact_position, account_stream(command.account_id)
    fact, waiting = facts.fact(position), facts.withheld.get(position, ())
    if fact is None:
        detail = f"no fact of {command.account_id} that prices fills lies at position {position}"
        return Refusal(Reason.FACT_UNKNOWN, "fact_position", detail)
    if position in facts.withdrawn:
        return already_withdrawn(position)
    if position in facts.declined:
        return already_declined(position)
    if not waiting and facts.is_released(position):
        return already_released(position)
    if isinstance(command, DeclineFact):
        return Decided(now_ns, ((stream, FactDeclined(position)),))
    if fact.is_grant and (flagged := refused_for_flag(account, now_ns)):
        return flagged
    switch = waiting[0].switch if waiting else ""
    return Decided(now_ns, ((stream, released_fact(fact, switch)),))


def released_fact(fact: Fact, switch: str, programme_ids: tuple[str, ...] = ()) -> FactReleased:
    """Return what releases a fact for the lines of some programmes, or of all."""
    from_ns = fact.from_ns if fact.is_shared else 0
    return FactReleased(fact.position, fact.cause, switch, programme_ids, from_ns=from_ns)


def already_withdrawn(position: int) -> Refusal:
    """Refuse to say anything more of a fact that was withdrawn."""
    return Refusal(Reason.FACT_ALREADY_WITHDRAWN, "fact_position", f"the fact at position {position} was withdrawn")


def already_released(position: int, to_whom: str = "") -> Refusal:
    """Refuse to say anything more of a fact that is released."""
    detail = f"the fact at position {position} is released{to_whom}"
    return Refusal(Reason.FACT_ALREADY_RELEASED, "fact_position", detail)


def already_declined(position: int) -> Refusal:
    """Refuse to say anything more of a fact that was declined."""
    return Refusal(Reason.FACT_DECLINED, "fact_position", f"the fact at position {position} was declined")


def adjust_of(versions: Dated[Programme], now_ns: int) -> Adjust:
    """Return [adjust] of the version of a programme that is in force, or of its first one if none is yet."""
    begun = [programme for start_ns, programme in versions if start_ns <= now_ns]
    return (begun[-1] if begun else versions[0][1]).adjust


def _by_switch(fact: Fact, book: Rulebook, now_ns: int) -> list[tuple[str, tuple[str, ...]]]:
    """Return (switch, programmes), a programme by `adjust_of`; no programmes where all say the same."""
    found: dict[str, list[str]] = {}
    for programme_id, versions in sorted(book.programmes.items()):
        if fact.programme_id in ("", programme_id):
            switch = _SWITCHES[fact.cause](adjust_of(versions, now_ns))
            found.setdefault(switch, []).append(programme_id)
    if len(found) == 1:
        return [(switch, ()) for switch in found]
    return [(switch, tuple(names)) for switch, names in sorted(found.items())]


def judge(
    fact: Fact, switch: str, programme_ids: tuple[str, ...], *, nets: Nets, is_flagged: bool = False
) -> Iterator[FactReleased | FactWithheld]:
    """Yield what becomes of a fact for the lines of some programmes, or of all, by what [adjust] says.

    `is_flagged` says that a flag of the account runs: a grant waits for its end.
    """
    released = released_fact(fact, switch, programme_ids)
    withheld_by = ""
    if switch not in (ADJUST, CREDIT_ONLY):
        withheld_by = BY_SWITCH
    elif fact.is_grant and is_flagged:
        withheld_by = BY_FLAG
    net = nets(released) if not withheld_by and switch == CREDIT_ONLY else {}
    if net is None:
        withheld_by = BY_SIZE
    if withheld_by:
        yield FactWithheld(fact.position, fact.cause, switch, withheld_by, programme_ids, from_ns=released.from_ns)
    elif switch == ADJUST:
        yield released
    else:
        yield from _credits(released, net or {})


def _credits(released: FactReleased, nets: Mapping[str, int]) -> Iterator[FactReleased | FactWithheld]:
    """Release a fact in the currencies in which the member pays less on the whole, and withhold it in the others."""
    fact = (released.fact_position, released.cause, released.switch)
    less = tuple(sorted(currency for currency, net in nets.items() if net < 0))
    others = tuple(sorted(nets.keys() - set(less)))
    if less:
        yield replace(released, currencies=less)
    if others or not less:
        yield FactWithheld(*fact, BY_DEBIT, released.programme_ids, others, released.from_ns)
