"""How long an account has its tier: the one answer, whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ledger.domain.decide.standing import grant_in_effect
from ledger.domain.instants import BEGINNING_NS, NEVER_NS
from ledger.domain.state.account import AccountState, Grant
from ledger.domain.state.programme import NO_TIER, Programme
from ledger.domain.state.rulebook import Dated


class TierPart(NamedTuple):
    """A time from `from_ns` on in which the tier rests on one grant; None: there is no tier."""

    from_ns: int
    grant: Grant | None

    @property
    def tier(self) -> str:
        """The tier of the grant; NO_TIER without one."""
        return self.grant.tier if self.grant else NO_TIER


class TierStretch(NamedTuple):
    """One tier without a break until `until_ns`, whatever grants give it one after the other."""

    parts: tuple[TierPart, ...]
    until_ns: int

    @property
    def from_ns(self) -> int:
        """The first instant of the stretch."""
        return self.parts[0].from_ns

    @property
    def tier(self) -> str:
        """The tier; NO_TIER is one too."""
        return self.parts[0].tier


def tier_stretches(
    account: AccountState, versions: Dated[Programme], from_ns: int = BEGINNING_NS
) -> Iterator[TierStretch]:
    """Yield the tiers of an account one after the other, from an instant on for ever, if nothing more is recorded.

    Grants of one tier that overlap or adjoin are one stretch; another source, and a ban, are no change of tier. A flag
    is one, and so is a version of the programme that no longer knows the tier.
    """
    starts = {start_ns for start_ns, _ in versions}
    later = sorted(at_ns for at_ns in starts.union(account.change_instants) if at_ns > from_ns)
    parts: list[TierPart] = []
    for at_ns in (from_ns, *later):
        part = TierPart(at_ns, _grant_at(account, versions, at_ns))
        if parts and part.tier != parts[0].tier:
            yield TierStretch(tuple(parts), at_ns)
            parts = []
        parts.append(part)
    yield TierStretch(tuple(parts), NEVER_NS)


def tier_until_ns(account: AccountState, versions: Dated[Programme], at_ns: int) -> int:
    """Return the first instant at which the tier of `at_ns` changes, if nothing more is recorded; or NEVER_NS."""
    return next(tier_stretches(account, versions, at_ns)).until_ns


def _grant_at(account: AccountState, versions: Dated[Programme], at_ns: int) -> Grant | None:
    programme = next((version for start_ns, version in reversed(versions) if start_ns <= at_ns), None)
    return grant_in_effect(account, programme, at_ns) if programme else None
