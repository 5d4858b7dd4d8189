"""The read side's tables: how a stretch of the log becomes rows, in one transaction with the position it ends at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from importlib import resources
from operator import attrgetter
from typing import Any, Final, NamedTuple

from psycopg import Connection
from psycopg.sql import SQL, Composed, Identifier, Literal

from ledger import programmes
from ledger.domain.events import ProgrammePublished, Recorded, TierChanged, TrialStarted, VolumeEvaluated
from ledger.domain.state.rulebook import Rulebook, fold_rulebook
from ledger.domain.streams import (
    PROGRAMME_PREFIX,
    REGISTERS,
    account_and_day,
    account_stream,
    is_fee_stream,
    subject_of,
)
from ledger.store.log import LastEvent, Log
from projections.tables.day_lines import day_lines
from projections.tables.first_evaluations import FirstEvaluations
from projections.tables.rows import OF_DECISIONS, add_rows, decision_rows, no_rows
from projections.tables.rules_of_rows import Moved, moved

# Number of the tables that this release makes. It is raised when a table, or what its rows mean, changes: tables of a
# lower number are then made anew by themselves (`upgrade.py`). Release 0.1.0 wrote no number: its tables are 1.
TABLES_VERSION: Final = 10
UNNUMBERED: Final = 1
POSITIONS_PER_BATCH: Final = 500_000  # of the log in one transaction: some 100 MB where each is of a day of its own


class TablesPosition(NamedTuple):
    """How far some tables are, and their version; version 0: there are none."""

    position: int
    version: int


def read_schema(schema: str) -> str:
    """Name of the schema that holds the tables of a ledger's read side."""
    return f"{schema}_read"


def next_schema(schema: str) -> str:
    """Name of the schema in which new tables are made."""
    return f"{read_schema(schema)}_next"


def tables_text() -> str:
    """Return the statements that make the tables; `{read}` is the name of their schema, `{version}` their number."""
    return resources.files(__package__).joinpath("schema.sql").read_text(encoding="utf-8")


def create_tables(connection: Connection[Any], schema: str, *, read: str = "") -> None:
    """Make the tables that are missing: those of the read side, or others of the same kind in the schema `read`."""
    statements = SQL(tables_text()).format(
        read=Identifier(read or read_schema(schema)), version=Literal(TABLES_VERSION)
    )
    connection.execute(statements)


def standing_statement(schema: str) -> Composed:
    """Return the statement that asks for the `TablesPosition` of tables that exist, also without a number."""
    text = "SELECT position, coalesce((to_jsonb(p) ->> 'version')::integer, {none}) FROM {position} AS p"
    return SQL(text).format(none=UNNUMBERED, position=Identifier(read_schema(schema), "position"))


class Tables:
    """Moves the tables of one ledger along its log: those of the read side, or others in the schema `read`."""

    def __init__(self, log: Log, schema: str, *, read: str = "") -> None:
        self._log = log
        self._read = Identifier(read or read_schema(schema))
        self._statements: dict[str, bytes] = {}
        self._forget()

    def _forget(self) -> None:
        """Hold nothing in memory: it is true of tables that this object has moved to where they are, and no others."""
        self._at: int | None = None
        self._book = Rulebook(programmes.parse)
        self._known: set[str] = set()  # of the accounts that have a row, some

    def position(self, connection: Connection[Any]) -> int:
        """Return how far the tables are."""
        row = connection.execute(self._sql("SELECT position FROM {read}.position")).fetchone()
        assert row is not None
        return int(row[0])

    def advance(self, connection: Connection[Any], after: int, until: int) -> bool:
        """Take in the events in (after, until], in one transaction; both are ends of commits.

        False, and nothing is done, if the tables are not at `after`, or of another version: others have taken their
        place meanwhile.
        """
        known = after == self._at
        if not known:
            self._forget()
        self._at = None  # until all of it has been stored
        with connection.transaction():
            # First of all: this row is what keeps tables from being replaced while they are moved.
            statement = self._sql("UPDATE {read}.position SET position = %s WHERE position = %s AND version = %s")
            if connection.execute(statement, (until, after, TABLES_VERSION)).rowcount != 1:
                return False
            lasts = self._log.last_events_between(after, until)
            self._fees(connection, after, [last for last in lasts if is_fee_stream(last.stream)])
            decided = {last.stream: last.position for last in lasts if not is_fee_stream(last.stream)}
            self._accounts(connection, decided, after, until, fold_book=not known)
        self._at = until
        return True

    # -- fees ---------------------------------------------------------------------------------------------------------

    def _fees(self, connection: Connection[Any], after: int, lasts: Sequence[LastEvent]) -> None:
        """Take in account-days: the last event of one carries its totals, however many fills there are."""
        if not lasts:
            return
        connection.execute(self._sql(_STAGE))
        to_sum = False
        for first in range(0, len(lasts), _DAYS_AT_ONCE):
            days = lasts[first : first + _DAYS_AT_ONCE]
            names = [account_and_day(day.stream) for day in days]
            self._insert_accounts(connection, (account_id for account_id, _ in names))
            lines = day_lines(self._log, days, names)
            _copy(connection, "fee_days", lines.fees)
            _copy(connection, "volume_days", lines.volume)
            to_sum |= lines.to_sum
        connection.execute(_IN_MEMORY)
        for statement in (_FEES_SUMMED if to_sum else _FEES, _VOLUME):
            connection.execute(self._sql(statement), (after,), prepare=False)  # planned for so many rows

    def _insert_accounts(self, connection: Connection[Any], account_ids: Iterable[str]) -> None:
        new = sorted(set(account_ids) - self._known)
        if not new:
            return
        statement = (
            "INSERT INTO {read}.accounts SELECT id, id, '', false, NULL, NULL FROM unnest(%s::text[]) AS id"
            " ON CONFLICT DO NOTHING"
        )
        connection.execute(self._sql(statement), (new,))
        if len(self._known) > _KNOWN_MAX:
            self._known.clear()
        self._known.update(new)

    # -- accounts -----------------------------------------------------------------------------------------------------

    def _accounts(
        self, connection: Connection[Any], decided: Mapping[str, int], after: int, until: int, *, fold_book: bool
    ) -> None:
        """Fold accounts with a decision in between again, and replace all their rows.

        `decided` are the streams with one, and the positions of their last events.
        """
        changed = {name: position for name, position in decided.items() if name.startswith(_ACCOUNTS)}
        ruled = any(name == REGISTERS or name.startswith(PROGRAMME_PREFIX) for name in decided)
        moves = self._moves(after, until, known=not fold_book) if ruled or fold_book else []
        if any(each.everybody for each in moves):
            self._insert_accounts(connection, map(subject_of, changed))
            last = ""
            while ids := [row[0] for row in connection.execute(self._sql(_ACCOUNTS_PAGE), (last, _ACCOUNTS_AT_ONCE))]:
                last = ids[-1]
                self._replace_accounts(connection, self._log.accounts_between(ids[0], last, until))
            return
        moved_on = sorted({account_stream(name) for each in moves for name in self._moved(connection, each, until)})
        if len(changed) >= MANY:
            self._first_evaluations(connection, changed, after, until)
        names = list(dict.fromkeys([*changed, *moved_on]))
        for first in range(0, len(names), _ACCOUNTS_AT_ONCE):
            some = names[first : first + _ACCOUNTS_AT_ONCE]
            self._replace_accounts(connection, self._log.streams(some, until))

    def _first_evaluations(self, connection: Connection[Any], changed: dict[str, int], after: int, until: int) -> None:
        """Add the rows of accounts whose only event is an evaluation, and take these out of those that have changed."""
        made, accounts = FirstEvaluations(self._book), list[str]()
        # PostgreSQL takes in the intervals of some while those of the next are made.
        with connection.cursor() as cursor, cursor.copy(self._sql("COPY {read}.vip_intervals FROM STDIN")) as copy:
            for some in self._log.first_evaluations(after, until, _DAYS_AT_ONCE):
                alone = [each for each in some if changed[each.stream] == each.position]
                for each in alone:
                    del changed[each.stream]
                lines = made.lines(sorted(alone, key=attrgetter("stream")))
                copy.write("".join(lines.intervals))
                accounts += lines.accounts
        connection.execute(self._sql(_STAGE_ACCOUNTS))
        _copy(connection, "accounts", accounts)
        connection.execute(self._sql(_UPSERT_ACCOUNTS))

    def _moves(self, after: int, until: int, *, known: bool) -> list[Moved]:
        """Bring the rulebook up to a position; return whose rows may be other ones by what came since `after`.

        `known` says that it was at `after`.
        """
        events = self._log.rulebook(until)
        earlier = [recorded for recorded in events if recorded.position <= after]
        was = self._book if known else fold_rulebook(programmes.parse, earlier)
        self._book = was if len(earlier) == len(events) else fold_rulebook(programmes.parse, events)
        return moved(was, self._book, lambda programme_id: _tiers_named(programme_id, earlier))

    def _moved(self, connection: Connection[Any], which: Moved, until: int) -> Iterator[str]:
        """Yield the accounts whose rows may be other ones."""
        chooses = which.turned or which.chosen
        several = set(self._log.accounts_with_several(_GIVES_A_GRANT, until)) if chooses else set[str]()
        yield from several if which.chosen else several & self._of_tiers(connection, which, which.turned)
        yield from self._of_tiers(connection, which, which.gone)
        if which.applied:
            found = connection.execute(self._sql(_APPLIED), {"programme": which.programme_id})
            yield from (name for (name,) in found.fetchall())

    def _of_tiers(self, connection: Connection[Any], which: Moved, tiers: Set[str]) -> set[str]:
        """Return the accounts with a row of one of some tiers since the instant at which they may move."""
        if not tiers:
            return set()
        parameters = {"programme": which.programme_id, "tiers": list(tiers), "from": which.from_ns}
        return {name for (name,) in connection.execute(self._sql(_OF_TIERS), parameters).fetchall()}

    def _replace_accounts(self, connection: Connection[Any], decisions: Iterable[Recorded]) -> None:
        """Replace all rows of some accounts by those that follow from all that was decided on them."""
        accounts: dict[str, list[Recorded]] = {}
        for recorded in decisions:
            accounts.setdefault(subject_of(recorded.stream), []).append(recorded)
        rows = no_rows()
        for account_id, events in accounts.items():
            add_rows(rows, decision_rows(self._book, account_id, events))
        with connection.cursor() as cursor:
            for table in ("accounts", *OF_DECISIONS):
                cursor.execute(self._sql(f"DELETE FROM {{read}}.{table} WHERE account_id = ANY(%s)"), (list(accounts),))
                if values := rows[table]:
                    with cursor.copy(self._sql(f"COPY {{read}}.{table} FROM STDIN")) as copy:
                        for row in values:
                            copy.write_row(row)

    def _sql(self, text: str) -> bytes:
        """Return a statement as bytes, put together once."""
        if text not in self._statements:
            self._statements[text] = SQL(text).format(read=self._read).as_bytes()
        return self._statements[text]


def _tiers_named(programme_id: str, events: Iterable[Recorded]) -> set[str]:
    """Return the tiers of all versions of a programme that were ever published."""
    published = (each.event for each in events if isinstance(each.event, ProgrammePublished))
    return {
        tier
        for event in published
        if event.programme_id == programme_id
        for tier in programmes.parse(event.content).tiers
    }


def _copy(connection: Connection[Any], table: str, lines: Sequence[str]) -> None:
    statement = SQL("COPY pg_temp.{} FROM STDIN").format(Identifier(table))
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write("".join(lines))


MANY: Final = 500  # accounts with a decision: then it is asked which of them have no other
_ACCOUNTS: Final = account_stream("")
_DAYS_AT_ONCE: Final = 10_000
_ACCOUNTS_AT_ONCE: Final = 500  # are folded: some 20 MB of events, a year old
_ACCOUNTS_PAGE: Final = "SELECT account_id FROM {read}.accounts WHERE account_id > %s ORDER BY account_id LIMIT %s"
_KNOWN_MAX: Final = 200_000  # accounts in memory, some 20 MB
_GIVES_A_GRANT: Final = tuple(event.__name__ for event in (TrialStarted, TierChanged, VolumeEvaluated))
_OF_TIERS: Final = (
    "SELECT DISTINCT account_id FROM {read}.vip_intervals WHERE programme_id = %(programme)s AND tier = ANY(%(tiers)s)"
    " AND (valid_until_ns IS NULL OR valid_until_ns > %(from)s)"
)
_APPLIED: Final = "SELECT DISTINCT account_id FROM {read}.applications WHERE programme_id = %(programme)s"
# Places for rows on their way into the tables, of this connection alone. Where several advances are one transaction,
# rows of those before lie there still: that is what positions are asked for.
_STAGE: Final = """
CREATE TEMPORARY TABLE IF NOT EXISTS fee_days (LIKE {read}.fee_days) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS volume_days (LIKE {read}.volume_days, position bigint) ON COMMIT DELETE ROWS
"""
_STAGE_ACCOUNTS: Final = """
CREATE TEMPORARY TABLE IF NOT EXISTS accounts (LIKE {read}.accounts) ON COMMIT DELETE ROWS; TRUNCATE pg_temp.accounts
"""
# Rows that change are in memory: else PostgreSQL would rather look through all of a table, however old it is.
_IN_MEMORY: Final = "SET LOCAL random_page_cost = 1.1"
# Whoever has no other event has a row that says no more than its name, or none. They are some of many: a MERGE might
# look through all.
_UPSERT_ACCOUNTS: Final = """
INSERT INTO {read}.accounts AS old SELECT * FROM pg_temp.accounts
ON CONFLICT (account_id) DO UPDATE SET tier_from_ns = excluded.tier_from_ns, tier_until_ns = excluded.tier_until_ns
    WHERE (old.tier_from_ns, old.tier_until_ns) IS DISTINCT FROM (excluded.tier_from_ns, excluded.tier_until_ns)
"""
# Rows come in the order of the key, so that neighbours in the index are visited together. Canonical decimals end in no
# zero.
_MERGE_FEES: Final = """
MERGE INTO {{read}}.fee_days AS old USING (
    SELECT account_id, day, currency, {amounts}, position FROM pg_temp.fee_days WHERE position > %s {grouped}
    ORDER BY account_id, day
) AS new ON (old.account_id, old.day, old.currency) = (new.account_id, new.day, new.currency)
WHEN MATCHED THEN UPDATE SET charges = new.charges, rebates = new.rebates, credits = new.credits, lines = new.lines,
    position = new.position
WHEN NOT MATCHED THEN INSERT (account_id, day, currency, charges, rebates, credits, lines, position)
    VALUES (new.account_id, new.day, new.currency, new.charges, new.rebates, new.credits, new.lines, new.position)
"""
_FEES: Final = _MERGE_FEES.format(amounts="charges, rebates, credits, lines", grouped="")
_FEES_SUMMED: Final = _MERGE_FEES.format(
    amounts="trim_scale(sum(charges)) AS charges, trim_scale(sum(rebates)) AS rebates,"
    " trim_scale(sum(credits)) AS credits, sum(lines) AS lines",
    grouped="GROUP BY account_id, day, currency, position",
)
_CELL: Final = "quote_currency, product, channel, self_trade, banned, zero_fee"
_VOLUME: Final = f"""
MERGE INTO {{read}}.volume_days AS old USING (
    SELECT account_id, day, {_CELL}, notional, lines FROM pg_temp.volume_days WHERE position > %s
    ORDER BY account_id, day
) AS new ON (old.account_id, old.day) = (new.account_id, new.day)
    AND (old.{_CELL.replace(", ", ", old.")}) = (new.{_CELL.replace(", ", ", new.")})
WHEN MATCHED THEN UPDATE SET notional = new.notional, lines = new.lines
WHEN NOT MATCHED THEN INSERT (account_id, day, {_CELL}, notional, lines)
    VALUES (new.account_id, new.day, new.{_CELL.replace(", ", ", new.")}, new.notional, new.lines)
"""
