"""The state of an account as canonical bytes, so that its events need not be folded again.

A snapshot is JSON: [values, state]. `values` are all different values of the state, in the order in which they come,
and the state is its fields with the places of their values: [["g1", "VIP1", 5], [0, 1, 2, [[0, 1]]]]. Grants lie one
after the other in one list, and so do evaluations. Equal states have equal bytes, whatever events they come from.

ENCODING is raised with each change of these bytes, and of what events do to a state: snapshots of another one are not
read, and the account is folded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from enum import IntEnum
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from sys import intern
from typing import Any, Final, NamedTuple

from ledger.domain.events import MatchClaim
from ledger.domain.state.account import AccountState, Ban, Flag, Grant
from ledger.domain.state.matches_and_applications import (
    Application,
    Assignment,
    Match,
    MatchesAndApplications,
    Metric,
)

ENCODING: Final = 1
_DOMAIN: Final = b"fee-ledger account snapshot\0"
_WIDTH: Final = len(fields(Grant))
_shared_grant: Final = lru_cache(maxsize=65_536)(Grant)


class Snapshot(NamedTuple):
    """A row of `account_snapshots`: an account after the event of its stream that has a version."""

    account_id: str
    version: int
    encoding: int
    state: bytes
    sha256: bytes


class SnapshotDamaged(Exception):
    """The bytes of a snapshot are not those that were stored."""


def snapshot_of(account: AccountState) -> Snapshot:
    """Return the snapshot of an account."""
    row = Snapshot(account.account_id, account.version, ENCODING, _encode(account), b"")
    return row._replace(sha256=_digest(row))


def of_another(snapshot: Snapshot, account_id: str) -> Snapshot:
    """Return the snapshot of another account that is in the same state."""
    row = snapshot._replace(account_id=account_id)
    return row._replace(sha256=_digest(row))


def account_of(snapshot: Snapshot) -> AccountState | None:
    """Return the account of a snapshot; None where it is of another encoding. Raises SnapshotDamaged."""
    if snapshot.encoding != ENCODING:
        return None
    if is_damaged(snapshot):
        raise SnapshotDamaged(snapshot.account_id)
    return _decode(snapshot.account_id, snapshot.version, snapshot.state)


def is_damaged(snapshot: Snapshot) -> bool:
    """Return True if the bytes of a snapshot are not those that were stored."""
    return _digest(snapshot) != snapshot.sha256


def _digest(snapshot: Snapshot) -> bytes:
    name = f"{snapshot.account_id}\0{snapshot.version}\0{snapshot.encoding}\0".encode()
    return hashlib.sha256(b"".join((_DOMAIN, name, snapshot.state))).digest()


def _row(kind: type) -> Callable[[Any], tuple[Any, ...]]:
    """Return what gives the values of a dataclass's fields, in their order."""
    return attrgetter(*(field.name for field in fields(kind)))


_GRANT, _BAN, _FLAG = map(_row, (Grant, Ban, Flag))
_MATCH, _CLAIM, _APPLICATION, _METRIC, _MANAGER = map(_row, (Match, MatchClaim, Application, Metric, Assignment))
_CLAIM_PLACE: Final = next(place for place, field in enumerate(fields(Match)) if field.name == "claim")


def _encode(account: AccountState) -> bytes:
    place_of: dict[tuple[type, Any], int] = {}  # True is no 1

    def places(value: Any) -> Any:
        """Return the place of a value; of a tuple, those of its values. A list has plain values alone."""
        if isinstance(value, list):
            return [place_of.setdefault((type(each), each), len(place_of)) for each in value]
        if isinstance(value, tuple):
            return [*map(places, value)]
        if isinstance(value, IntEnum):
            value = int(value)  # an event that was just decided has the name of a reason, one of the log its number
        return place_of.setdefault((type(value), value), len(place_of))

    beside = account.matches_and_applications
    state = places(
        (
            account.registered,
            account.registered_time_ns,
            account.owner,
            account.named_owners,
            account.parent_account_id,
            [*chain.from_iterable(map(_GRANT, account.grants))],
            tuple(map(_BAN, account.bans)),
            tuple(map(_FLAG, account.flags)),
            [*chain.from_iterable(account.evaluated)],
            account.withdrawn_ids,
            tuple(map(_match_values, beside.matches)),
            tuple(map(_APPLICATION, beside.applications)),
            beside.verified_time_ns,
            tuple(map(_METRIC, beside.metrics)),
            tuple(map(_MANAGER, beside.managers)),
            beside.withdrawn_ids,
        )
    )
    values = [value for _, value in place_of]
    return json.dumps([values, state], separators=(",", ":"), ensure_ascii=False).encode()


def _match_values(match: Match) -> tuple[Any, ...]:
    row, claim = _MATCH(match), _CLAIM(match.claim)
    return (*row[:_CLAIM_PLACE], (*claim[:-1], claim[-1].hex()), *row[_CLAIM_PLACE + 1 :])


def _decode(account_id: str, version: int, state: bytes) -> AccountState:
    values, found = json.loads(state.decode())
    values = [intern(value) if type(value) is str else value for value in values]

    def valued(places: Any) -> Any:
        return tuple(map(valued, places)) if isinstance(places, list) else values[places]

    grants = [values[place] for place in found[5]]
    evaluated = [values[place] for place in found[8]]
    registered, registered_ns, owner, named_owners, parent = map(valued, found[:5])
    matches, applications, verified_ns, metrics, managers, withdrawn_ids = map(valued, found[10:])
    return AccountState(
        account_id,
        version,
        registered,
        registered_ns,
        owner,
        named_owners,
        parent,
        grants=tuple(_shared_grant(*row) for row in _rows(grants, _WIDTH)),
        bans=tuple(Ban(*row) for row in valued(found[6])),
        flags=tuple(Flag(*row) for row in valued(found[7])),
        evaluated=tuple(_rows(evaluated, 3)),
        withdrawn_ids=valued(found[9]),
        matches_and_applications=MatchesAndApplications(
            tuple(_match(*row) for row in matches),
            tuple(Application(*row) for row in applications),
            verified_ns,
            tuple(Metric(*row) for row in metrics),
            tuple(Assignment(*row) for row in managers),
            withdrawn_ids,
        ),
    )


def _match(match_id: str, programme_id: str, claim: tuple[Any, ...], *rest: Any) -> Match:
    of_claim = (*claim[:-1], bytes.fromhex(claim[-1]))
    return Match(match_id, programme_id, MatchClaim(*of_claim), *rest)


def _rows(values: Sequence[Any], width: int) -> Iterator[tuple[Any, ...]]:
    """Return values as rows: [1, 2, 3, 4] by 2 -> (1, 2), (3, 4)."""
    return zip(*[iter(values)] * width, strict=True)
