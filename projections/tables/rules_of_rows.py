"""The rules that rows of accounts depend on: a version that changes none of them moves no row, and few move most."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Set
from itertools import combinations
from typing import Any, Final, NamedTuple

from ledger.domain.state.programme import Programme
from ledger.domain.state.rulebook import Dated, Rulebook

_HIGHEST: Final = "highest_active"


class Moved(NamedTuple):
    """The accounts whose rows may be other ones from an instant on, since the versions of a programme are.

    They are those with a row of a tier that is `gone`, those with several grants if one gives a tier that has `turned`,
    or where another grant may be chosen at all, and those that have applied.
    """

    programme_id: str
    from_ns: int
    everybody: bool = False
    gone: Set[str] = frozenset()
    turned: Set[str] = frozenset()
    chosen: bool = False
    applied: bool = False

    def __bool__(self) -> bool:
        return any(self[2:])


def moved(was: Rulebook, now: Rulebook, named: Callable[[str], Collection[str]]) -> list[Moved]:
    """Return the accounts that move where one rulebook follows another, programme by programme.

    `named` gives the tiers that any version of a programme had before, also one that another has replaced: nobody has a
    grant of any other tier. Rates move no row.
    """
    changed = (name for name, versions in now.programmes.items() if versions is not was.programmes.get(name))
    return [
        each
        for name in changed
        if name in was.programmes  # of a new one nobody has a grant
        for each in _moves(name, was.programmes[name], now.programmes[name], named)
        if each
    ]


def _moves(
    name: str, was: Dated[Programme], now: Dated[Programme], named: Callable[[str], Collection[str]]
) -> Iterator[Moved]:
    """Yield the accounts that move from each instant on at which the programme says something else than it did."""
    for at_ns in sorted({start_ns for start_ns, _ in (*was, *now)}):
        before, after = _in_force(was, at_ns), _in_force(now, at_ns)
        if before is None or after is None:
            yield Moved(name, at_ns, everybody=True)
            continue
        of_grants = _moved_grants(Moved(name, at_ns), before, after, named)
        yield of_grants._replace(applied=_of_deadlines(before) != _of_deadlines(after))


def _moved_grants(nobody: Moved, before: Programme, after: Programme, named: Callable[[str], Collection[str]]) -> Moved:
    """Return the accounts that may have another grant in effect.

    One more tier, of which nobody can have a grant, changes nothing if it takes no other's place. Whoever has a single
    grant has another in effect only if its tier is gone. And where the highest grant counts, what hides behind one goes
    on hiding, unless the tier of that one is gone or has changed places with another.
    """
    if before.ranking == after.ranking:
        return nobody
    added = set(after.tiers) - set(before.tiers)
    if added and not added.isdisjoint(named(nobody.programme_id)):
        return nobody._replace(everybody=True)
    gone = set(before.tiers) - set(after.tiers)
    in_both = [tier for tier in before.tiers if tier not in gone]
    turned = {tier for pair in combinations(in_both, 2) if after.rank(pair[0]) > after.rank(pair[1]) for tier in pair}
    if before.grant_resolution == after.grant_resolution == _HIGHEST:
        return nobody._replace(gone=gone, turned=turned)
    chosen = bool(gone or turned or before.grant_resolution != after.grant_resolution)
    return nobody._replace(gone=gone, chosen=chosen)


def _of_deadlines(programme: Programme) -> tuple[Any, ...]:
    return programme.sla_start, programme.holidays, programme.application_business_days


def _in_force(versions: Dated[Programme], at_ns: int) -> Programme | None:
    place = bisect_right(versions, at_ns, key=lambda version: version[0])
    return versions[place - 1][1] if place else None
