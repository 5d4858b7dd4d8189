"""A ledger of very many accounts, put below the API by COPY: their events through the codec, their rows as they follow.

Accounts are alike but for their names, of one length: an event or a row is made once for each kind of account, and
its names are replaced. Always the same accounts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.sql import SQL, Identifier

from ledger import programmes
from ledger.domain.events import (
    PERIODIC,
    AccountBanned,
    AccountFlagged,
    AccountRegistered,
    AccountUnflagged,
    CellVolume,
    Envelope,
    Event,
    FactReleased,
    FactWithheld,
    Recorded,
    TierChanged,
    VolumeEvaluated,
)
from ledger.domain.grant_sources import MANUAL
from ledger.domain.instants import DAY_NS, day_text
from ledger.domain.rules.evaluation_days import last_evaluation_ns
from ledger.domain.state.programme import NO_TIER, Programme
from ledger.domain.state.rulebook import fold_rulebook
from ledger.domain.streams import account_stream
from ledger.store.codec.events import encode
from ledger.store.log import Head, Log
from ledger.store.postgres.database import open_datastore
from ledger.store.rows import COLUMNS, COPY_BEGINS, COPY_ENDS, Row
from projections.tables.rows import OF_DECISIONS, decision_rows
from projections.tables.tables import read_schema
from scripts.bench.store import Store, check

ACCOUNT, OWNER, REQUEST = "A00000000", "O00000000", "R00000000"  # in what is made once, of the length of all others
KINDS: Final = 10_000  # account `number` is of kind `number modulo KINDS`
_WITHHELD: Final = 40  # the kind of account, modulo 500, that has a fact which came late
_FACTS: Final = 10**9  # positions by which these are named: of each account another one
_EVENTS_CHECKED: Final = 500  # that the bytes put in are those of the codec
_TABLES: Final = ("accounts", *OF_DECISIONS)
_POSITIONS: Final = {"vip_intervals": (8,), "withheld_facts": (1, 3)}  # columns with a position, counted from 0
_PLACE: Final = re.compile("@([1-9])")

_DAYS: Final = """
INSERT INTO {read}.volume_days SELECT 'A' || lpad(n::text, 8, '0'), (%s)::date, 'USDT', 'SPOT', 'API', false, false,
    false, 1000 * (n %% 1000) + 1, 10 FROM generate_series(0, %s - 1) AS n;
INSERT INTO {read}.fee_days SELECT 'A' || lpad(n::text, 8, '0'), (%s)::date, 'USDT', 1, 0, 0, 10, 1
    FROM generate_series(0, %s - 1) AS n
"""


class _Kind(NamedTuple):
    """The events of an account, encoded, and its rows by table as lines of COPY, in names that stand for its own."""

    events: list[tuple[str, bytes]]
    lines: dict[str, str]


class ManyAccounts:
    """So many accounts with owner, tier, and some with a ban, a flag or a fact that waits."""

    def __init__(self, accounts: int, without_tier: int = 3) -> None:
        """One account in `without_tier` has none, KINDS at most."""
        self.accounts = accounts
        self._without_tier = without_tier

    def put_into(self, store: Store, schema: str) -> None:
        """Put them into a ledger that nobody writes."""
        with open_datastore(store.dsn, schema, connections=2) as pool, store.connect() as connection:
            log = Log(pool)
            head = log.head()
            kinds = _Kinds(log, head, self._without_tier)
            with connection.transaction():
                self._log(connection, schema, head, kinds)
                self._tables(connection, read_schema(schema), head, kinds)
            for relation in ("events", "requests", "commits"):
                connection.execute(SQL("VACUUM ANALYZE {}").format(Identifier(schema, relation)))
            for relation in (*_TABLES, "volume_days", "fee_days"):
                connection.execute(SQL("VACUUM ANALYZE {}").format(Identifier(read_schema(schema), relation)))
            self._verify(log, head, kinds)

    def _log(self, connection: psycopg.Connection[Any], schema: str, head: Head, kinds: _Kinds) -> None:
        """Put in events, in the commit after the head, and requests."""
        columns = SQL(", ").join(map(Identifier, COLUMNS))
        statement = SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(Identifier(schema, "events"), columns)
        requests, position = [], head.position
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(COPY_BEGINS)
            for number in range(self.accounts):
                name, stream = _name(ACCOUNT, number), account_stream(_name(ACCOUNT, number))
                requests.append(f"{_name(REQUEST, number)}\t\\\\x00\t{position + 1}\n")
                for version, (topic, state) in enumerate(kinds.of(number).events, 1):
                    position += 1
                    copy.write(Row(stream, version, topic, _named(state, name, number), position).copied())
            copy.write(COPY_ENDS)
        _copy(connection, schema, "requests", requests)
        _copy(connection, schema, "commits", [f"{position}\t{head.position + 1}\t{kinds.recorded_ns}\n"])

    def _tables(self, connection: psycopg.Connection[Any], read: str, head: Head, kinds: _Kinds) -> None:
        for table in _TABLES:
            _copy(connection, read, table, self._lines(table, head, kinds))
        days = (day_text(kinds.evaluated_ns // DAY_NS), self.accounts)
        for statement, of in zip(_DAYS.split(";"), (days, days), strict=True):
            connection.execute(SQL(statement).format(read=Identifier(read)), of)
        statement = SQL("UPDATE {} SET position = %s").format(Identifier(read, "position"))
        connection.execute(statement, (head.position + sum(len(kinds.of(n).events) for n in range(self.accounts)),))

    def _lines(self, table: str, head: Head, kinds: _Kinds) -> Iterator[str]:
        position = head.position
        for number in range(self.accounts):
            kind = kinds.of(number)
            if lines := kind.lines.get(table):
                named = lines.replace(ACCOUNT, _name(ACCOUNT, number)).replace(OWNER, _name(OWNER, number // 2))
                yield _PLACE.sub(lambda found, before=position: str(before + int(found[1])), named)
            position += len(kind.events)

    def _verify(self, log: Log, head: Head, kinds: _Kinds) -> None:
        """Some accounts say the same as an account that is made with its own name."""
        for number in range(0, self.accounts, max(self.accounts // _EVENTS_CHECKED, 1)):
            name = _name(ACCOUNT, number)
            found = [recorded.event for recorded in log.streams([account_stream(name)], log.head().position)]
            own = [event for _, event in kinds.made(number, name, _name(OWNER, number // 2))]
            check(found == own, f"the log says of {name} {found}")
        check(log.head().position > head.position, "nothing was put in")


class _Kinds:
    """Kinds of accounts, each made when it first comes up."""

    def __init__(self, log: Log, head: Head, without_tier: int) -> None:
        self._without_tier = without_tier
        self._book = fold_rulebook(programmes.parse, log.rulebook(head.position))
        (self._programme_id,) = self._book.programmes
        self.recorded_ns = head.recorded_time_ns + 1
        self.evaluated_ns = last_evaluation_ns(self._programme, self.recorded_ns)
        self._kinds: dict[int, _Kind] = {}

    @cached_property
    def _programme(self) -> Programme:
        return self._book.programmes[self._programme_id][-1][1]

    def of(self, number: int) -> _Kind:
        """Return the kind of an account."""
        place = number % KINDS
        if place % 500 == _WITHHELD:  # its facts are named by their positions
            return self._made(number)
        if place not in self._kinds:
            self._kinds[place] = self._made(place)
        return self._kinds[place]

    def _made(self, number: int) -> _Kind:
        events = list(self.made(number, ACCOUNT, OWNER))
        stream = account_stream(ACCOUNT)
        recorded = [Recorded(at, stream, at, *event) for at, event in enumerate(events, 1)]
        rows = decision_rows(self._book, ACCOUNT, recorded)
        lines = {table: "".join(_line(table, row) for row in rows[table]) for table in _TABLES if rows[table]}
        return _Kind([encode(*event) for event in events], lines)

    def made(self, number: int, name: str, owner: str) -> Iterator[tuple[Envelope, Event]]:
        """Yield the events of an account: registered by one person, with a tier, and what few have besides."""
        now, at, place = self.recorded_ns, self.evaluated_ns, number % KINDS
        request = REQUEST if name == ACCOUNT else _name(REQUEST, number)
        began = at - 300 * DAY_NS
        yield Envelope(began, now, 1, "desk", request_id=request), AccountRegistered(name, owner, "", began)
        tier = self._tier(place)
        if place % 10 == 9:  # a tenth by hand, which end one after the other within twenty days
            ends_ns = now + DAY_NS + place * (20 * DAY_NS // KINDS)
            yield self._by("desk", at), TierChanged("g1", self._programme_id, tier, MANUAL, at, ends_ns)
        else:
            yield self._by("evaluation", at), self._evaluated(place, tier)
        if place % 5_000 == 20:
            yield self._by("desk", at), AccountBanned("b1", now - DAY_NS, now + 3 * DAY_NS, "ABUSE")
        if place % 500 == 21:
            yield self._by("desk", at), AccountBanned("b1", began, began + DAY_NS, "ABUSE")
        if place % 5_000 == 30:
            yield self._by("desk", at), AccountFlagged("f1", "FAKE", now - DAY_NS)
        if place % 500 == 31:
            yield self._by("desk", at), AccountFlagged("f1", "FAKE", began)
            yield self._by("desk", at), AccountUnflagged(began + DAY_NS)
        if place % 500 == _WITHHELD:
            yield self._by("desk", at), FactWithheld(_FACTS + number, "TierChanged", "ask", "SWITCH")
            if place % 5_000 != _WITHHELD:
                yield self._by("desk", at), FactReleased(_FACTS + number, "TierChanged", "ask")

    def _by(self, actor: str, effective_ns: int) -> Envelope:
        return Envelope(effective_ns, self.recorded_ns, 1, actor)

    def _tier(self, place: int) -> str:
        """Return the tier: some have none, each tier a third of the one below it, the best one nobody."""
        if place % 10 == 9:
            return self._programme.tiers[0]
        if place % self._without_tier == 0:
            return NO_TIER
        rank = sum(place % (3 * 3**rank) == 1 for rank in range(1, len(self._programme.tiers) - 1))
        return self._programme.tiers[rank]

    def _evaluated(self, place: int, tier: str) -> VolumeEvaluated:
        """Return an evaluation; grants last past the next one, as those of the packaged programme do."""
        at = self.evaluated_ns
        volume, gives = str(1_000 * (place % 1_000) + 1), tier != NO_TIER
        return VolumeEvaluated(
            programme_id=self._programme_id,
            programme_version=self._programme.version,
            kind=PERIODIC,
            evaluated_time_ns=at,
            window_from_ns=at - self._programme.window_days * DAY_NS,
            window_until_ns=at,
            read_position=1,
            cells=(CellVolume("USDT", 1, 1, False, False, volume),),
            closes=(),
            volume=volume,
            volume_currency="USDT",
            tier=tier,
            grant_id="g1" if gives else "",
            valid_from_ns=at if gives else 0,
            valid_until_ns=at + 30 * DAY_NS if gives else 0,
        )


def _name(like: str, number: int) -> str:
    return f"{like[0]}{number:08}"


def _named(state: bytes, name: str, number: int) -> bytes:
    named = state.replace(ACCOUNT.encode(), name.encode()).replace(OWNER.encode(), _name(OWNER, number // 2).encode())
    return named.replace(REQUEST.encode(), _name(REQUEST, number).encode())


def _line(table: str, row: Sequence[Any]) -> str:
    """Return a row as a line of COPY; @2 stands for the position of the account's second event."""
    places = _POSITIONS.get(table, ())
    values = (
        "\\N" if value is None else f"@{value}" if place in places else str(value) for place, value in enumerate(row)
    )
    return "\t".join(values) + "\n"


def _copy(connection: psycopg.Connection[Any], schema: str, table: str, lines: Iterable[str]) -> None:
    statement = SQL("COPY {} FROM STDIN").format(Identifier(schema, table))
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        held: list[str] = []
        for line in lines:
            held.append(line)
            if len(held) == 1_000:
                copy.write("".join(held))
                held.clear()
        copy.write("".join(held))
