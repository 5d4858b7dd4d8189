"""The rows that an audit of some accounts reads: each is found by the key of its stream; no others are looked at."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import groupby
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np

from ledger.domain.events import AccountRegistered, OwnerNamed
from ledger.domain.instants import DAY_NS, utc_day
from ledger.domain.streams import (
    LEDGER,
    PROGRAMME_PREFIX,
    REGISTERS,
    RELEASE_PREFIX,
    account_stream,
    end_of,
    fee_range,
    fee_stream,
    is_fee_stream,
    kind_and_subject,
    owner_stream,
    repricing_stream,
)
from ledger.replay.compare import Deviation
from ledger.store.fee_streams import days_of
from ledger.store.log import Log
from ledger.store.reads import ROW, Row
from projections.audit.frame import misplaced
from projections.audit.queries import Queries
from projections.audit.rows import COLUMNS, Commit, readable
from projections.audit.scope import KINDS_OF_ACCOUNTS, Scope

_DAY_MIN: Final = -(1 << 31)  # that PostgreSQL has a number for
_DAY_MAX: Final = (1 << 31) - 1
_OF_ALL: Final = ("ledger", "registers", "programme", "release")  # kinds of streams that every account rests on

# LIMIT keeps each of these a seek in an index, whatever the planner takes the tables to be.
_KEY: Final = "originator_id, originator_version, notification_id"
_OWNERS: Final = f"""
SELECT event.* FROM unnest(%(streams)s::text[]) AS name CROSS JOIN LATERAL (
    SELECT {ROW} FROM {{events}} WHERE originator_id = name AND {{not_fees}} AND notification_id <= %(known)s
        AND topic IN ('AccountRegistered', 'OwnerNamed') ORDER BY originator_version {{one_by_one}}) AS event
"""
# Where the columns of times of fees were taken away, the key of their stream still finds them.
_STREAMS: Final = f"""
SELECT event.* FROM unnest(%(streams)s::text[]) AS name CROSS JOIN LATERAL (
    SELECT {_KEY} FROM {{events}} WHERE originator_id = name AND {{not_fees}} AND notification_id <= %(known)s
    ORDER BY originator_version {{one_by_one}}) AS event
UNION ALL
SELECT event.* FROM unnest(%(firsts)s::text[], %(ends)s::text[]) AS span(first, ending) CROSS JOIN LATERAL (
    SELECT {_KEY} FROM {{events}} WHERE originator_id >= first AND originator_id < ending AND {{not_fees}}
        AND notification_id <= %(known)s ORDER BY originator_id, originator_version {{one_by_one}}) AS event
"""

_DAYS: Final = days_of("%(accounts)s::text[]", first="%(first)s::int", end="%(end)s::int")
_FEES: Final = f"""
{_DAYS}
SELECT traded.account, traded.day, event.* FROM traded CROSS JOIN LATERAL (
    SELECT {_KEY} FROM {{events}} WHERE {{day}} = traded.day AND {{account}} = traded.account
        AND notification_id <= %(known)s ORDER BY originator_version {{one_by_one}}) AS event
"""
_TRADED: Final = f"{_DAYS} SELECT account, day, since FROM traded ORDER BY account, day"


class _Place(NamedTuple):
    """The place of an event, in its stream and in the log."""

    stream: str
    version: int
    position: int


class AccountRows(Queries):
    """The rows of some accounts' streams, and of the streams that decisions on these accounts rest on.

    These are the terms, registers, programmes and releases of shared facts, and the owners of the accounts from where
    they are named on. What is asked for seldom is read by its stream when it is: other accounts of an owner, closes,
    the beginning of an evaluation.
    """

    EVENTS: ClassVar[str] = f"""
    SELECT {COLUMNS} FROM {{events}} WHERE notification_id = ANY(%(positions)s::bigint[]) ORDER BY notification_id
    """
    COMMITS: ClassVar[str] = """
    SELECT DISTINCT made.* FROM unnest(%(positions)s::bigint[]) AS position CROSS JOIN LATERAL (
        SELECT last_position, first_position, recorded_time_ns FROM {schema}.commits WHERE last_position >= position
        ORDER BY last_position LIMIT 1) AS made
    ORDER BY last_position
    """

    def __init__(self, log: Log, scope: Scope) -> None:
        super().__init__(log)
        self._scope = scope
        self._accounts = sorted(filter(scope.reads, scope.accounts))
        self._owned_from = self._owners()
        self._found: list[Deviation] = []
        positions = [*self._of_streams(), *self._of_fees()] if self._accounts else []
        self._positions = np.unique(np.array(positions, dtype=np.int64))

    def misplaced(self) -> list[Deviation]:
        """Return what is wrong with the versions of the streams that are read."""
        return self._found

    def parameters(self, after: int, until: int) -> dict[str, Any]:
        """Return those of EVENTS and COMMITS, which select what lies at positions in (after, until]."""
        return {"positions": self._between(after, until)}

    def page(self, after: int, until: int, rows: int) -> list[Row]:
        """Return the first rows at positions in (after, until]."""
        positions = self._between(after, until)[:rows]
        return self._query(self.EVENTS, positions=positions) if positions else []

    def commits(self, after: int, until: int) -> list[Commit]:
        """Return the commits that rows at positions in (after, until] lie in, in order."""
        return [Commit(*row) for row in self._query(self.COMMITS, **self.parameters(after, until))]

    def position_after(self, after: int, count: int) -> int:
        """Return the position up to which so many rows lie after another one; the last that is audited, if fewer do."""
        place = int(np.searchsorted(self._positions, after, side="right")) + count
        return int(self._positions[place - 1]) if place <= len(self._positions) else self._scope.known

    def takes(self, stream: str) -> bool:
        """Return True if all that comes to a stream, after something of it is first asked for, is among the rows."""
        kind, subject = kind_and_subject(stream)
        if kind == "owner":
            return subject in self._owned_from
        return kind in _OF_ALL or (kind in KINDS_OF_ACCOUNTS and self._scope.takes(stream))

    def accounts_trading(self, after: str, until: str, first_day: int, before: int, limit: int) -> list[str]:
        """Return those of the accounts in a span with fills since a UTC day, recorded before a position."""
        within = [name for name in self._accounts if after < name and (not until or name <= until)]
        return [name for name in within if self._days_of(name, first_day, before)][:limit]

    def fee_streams(self, account_id: str, from_ns: int, before: int) -> list[str]:
        """Return the fee streams of an account from a day on that have an event before a position."""
        return [fee_stream(account_id, day) for day in self._days_of(account_id, utc_day(from_ns), before)]

    def _days_of(self, account_id: str, first: int, before: int) -> list[int]:
        return [day for day, since in self._traded.get(account_id, ()) if day >= first and since < before]

    @cached_property
    def _traded(self) -> dict[str, list[tuple[int, int]]]:
        """Return the UTC days on which each account has fees, in order, each with the position of the first of them.

        Each decision on an account asks for them, and each day of the log has to be asked.
        """
        found: dict[str, list[tuple[int, int]]] = {}
        for name, day, since in self._query(_TRADED, accounts=self._accounts, first=_DAY_MIN, end=_DAY_MAX):
            found.setdefault(name, []).append((day, since))
        return found

    def _between(self, after: int, until: int) -> list[int]:
        first, end = np.searchsorted(self._positions, [after, until], side="right")
        found: list[int] = self._positions[first:end].tolist()
        return found

    def _owners(self) -> dict[str, int]:
        """Return the owners of the accounts, each with the position from which it is. An account is its own first."""
        found = dict.fromkeys(self._accounts, 0)
        rows = self._query(_OWNERS, streams=list(map(account_stream, self._accounts)), known=self._scope.known)
        for recorded in filter(None, map(readable, rows)):
            if isinstance(recorded.event, AccountRegistered | OwnerNamed):
                owner_id, position = recorded.event.owner_id, recorded.position
                found[owner_id] = min(found.get(owner_id, position), position)
        return found

    def _of_streams(self) -> Iterator[int]:
        """Yield positions of all streams but those of fees, and note which versions are wrong."""
        names = [LEDGER, REGISTERS, *map(owner_stream, self._owned_from)]
        names += [name(account_id) for account_id in self._accounts for name in (account_stream, repricing_stream)]
        prefixes = [PROGRAMME_PREFIX, RELEASE_PREFIX, *(fee_range(account_id)[0] for account_id in self._accounts)]
        spans = {"firsts": prefixes, "ends": list(map(end_of, prefixes))}
        rows = self._query(_STREAMS, streams=names, **spans, known=self._scope.known)
        for stream, of_stream in groupby(sorted(map(_Place._make, rows)), key=lambda place: place.stream):
            before = _Place(stream, 0, 0)
            for place in of_stream:
                follows = place.version == before.version + 1 and place.position > before.position
                if is_fee_stream(stream) or not follows:
                    self._found.append(misplaced(place.position, stream, place.version, *before[1:]))
                kind, subject = kind_and_subject(stream)
                if kind != "owner" or place.position >= self._owned_from[subject]:
                    yield place.position
                before = place

    def _of_fees(self) -> Iterator[int]:
        """Yield positions of the fees of the UTC days that are audited, and note which versions are wrong."""
        first_ns, end_ns = self._scope.first_day_ns, self._scope.end_day_ns
        days = {
            "first": _DAY_MIN if first_ns is None else first_ns // DAY_NS,
            "end": _DAY_MAX if end_ns is None else end_ns // DAY_NS,
        }
        asked = {"accounts": self._accounts, **days, "known": self._scope.known}
        for account_id, day, stream, version, position in self._rows(_FEES, **asked):
            if version != position or stream != fee_stream(account_id, day):
                self._found.append(misplaced(position, stream, version))
            yield position
