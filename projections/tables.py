"""The read side's tables: how a stretch of the log becomes rows, in one transaction with the position it ends at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any, Final

from psycopg import Connection
from psycopg.sql import SQL, Identifier

from ledger import programmes
from ledger.domain.events import ProgrammePublished, Recorded
from ledger.domain.rulebook import Rulebook, fold_rulebook
from ledger.store.log import Log
from projections.rows import OF_DECISIONS, Row, add_rows, decision_rows, fee_rows, no_rows, volume_rows


def read_schema(schema: str) -> str:
    """Name of the schema that holds the tables of a ledger's read side."""
    return f"{schema}_read"


def tables_text() -> str:
    """The statements that make the tables; `{read}` stands for the name of their schema."""
    return resources.files(__package__).joinpath("schema.sql").read_text(encoding="utf-8")


def create_tables(connection: Connection[Any], schema: str, *, read: str = "") -> None:
    """Make the tables that are missing: those of the read side, or others of the same kind in the schema `read`."""
    connection.execute(SQL(tables_text()).format(read=Identifier(read or read_schema(schema))))


class Tables:
    """Moves the tables of one ledger along its log: those of the read side, or others in the schema `read`."""

    def __init__(self, log: Log, schema: str, *, read: str = "") -> None:
        self._log = log
        self._read = Identifier(read or read_schema(schema))
        self._book = Rulebook(programmes.parse)

    def position(self, connection: Connection[Any]) -> int:
        """How far the tables are."""
        row = connection.execute(self._sql("SELECT position FROM {read}.position")).fetchone()
        assert row is not None
        return int(row[0])

    def advance(self, connection: Connection[Any], after: int, until: int) -> bool:
        """Take in the events in (after, until], in one transaction; both are ends of commits.

        False, and nothing is done, if the tables are not at `after`: others have taken their place meanwhile.
        """
        with connection.transaction():
            # First of all: this row is what keeps tables from being replaced while they are moved.
            statement = self._sql("UPDATE {read}.position SET position = %s WHERE position = %s")
            if connection.execute(statement, (until, after)).rowcount != 1:
                return False
            self._fees(connection, after, until)
            self._accounts(connection, after, until)
            return True

    # -- fees ---------------------------------------------------------------------------------------------------------

    def _fees(self, connection: Connection[Any], after: int, until: int) -> None:
        """An account-day's last event carries its totals: one event of each is enough, however many fills there are."""
        for days in self._log.day_totals_between(after, until, _DAYS_AT_ONCE):
            self._insert_accounts(connection, [day.account_id for day in days])
            self._upsert(connection, "fee_days", [row for day in days for row in fee_rows(day)])
            self._upsert(connection, "volume_days", [row for day in days for row in volume_rows(day)])

    def _upsert(self, connection: Connection[Any], table: str, rows: Sequence[Row]) -> None:
        """Put rows in the place of those that are there: by COPY, as there is one for every account that trades."""
        with connection.cursor() as cursor:
            for statement in _STAGE:
                cursor.execute(self._sql(statement.replace("TABLE_NAME", table)))
            with cursor.copy(SQL("COPY pg_temp.{} FROM STDIN").format(Identifier(table))) as copy:
                for row in rows:
                    copy.write_row(row)
            cursor.execute(self._sql(_UPSERT[table]))

    def _insert_accounts(self, connection: Connection[Any], account_ids: Iterable[str]) -> None:
        statement = (
            "INSERT INTO {read}.accounts SELECT id, id, '', false FROM unnest(%s::text[]) AS id ON CONFLICT DO NOTHING"
        )
        connection.execute(self._sql(statement), (sorted(set(account_ids)),))

    # -- accounts -----------------------------------------------------------------------------------------------------

    def _accounts(self, connection: Connection[Any], after: int, until: int) -> None:
        """Accounts with a decision in between are folded again, all their rows replaced."""
        changed = self._log.account_streams_between(after, until)
        if self._programmes_changed(after, until):
            changed = self._log.account_streams_between(0, until)
        if not changed:
            return
        streams: dict[str, list[Recorded]] = {stream: [] for stream in changed}
        for recorded in self._log.streams(changed, until):
            streams[recorded.stream].append(recorded)
        self._replace_accounts(connection, {name.removeprefix("account/"): events for name, events in streams.items()})

    def _programmes_changed(self, after: int, until: int) -> bool:
        """Fold the rulebook up to here; whether a programme was published in between."""
        events = self._log.rulebook(until)
        self._book = fold_rulebook(programmes.parse, events)
        return any(after < recorded.position and isinstance(recorded.event, ProgrammePublished) for recorded in events)

    def _replace_accounts(self, connection: Connection[Any], accounts: Mapping[str, Sequence[Recorded]]) -> None:
        """All rows of some accounts, made anew from their streams."""
        rows = no_rows()
        for account_id, events in accounts.items():
            add_rows(rows, decision_rows(self._book, account_id, events))
        with connection.cursor() as cursor:
            cursor.executemany(self._sql(_UPSERT_ACCOUNT), rows["accounts"])
            for table in OF_DECISIONS:
                cursor.execute(self._sql(f"DELETE FROM {{read}}.{table} WHERE account_id = ANY(%s)"), (list(accounts),))
                if values := rows[table]:
                    marks = ", ".join(["%s"] * len(values[0]))
                    cursor.executemany(self._sql(f"INSERT INTO {{read}}.{table} VALUES ({marks})"), values)

    def _sql(self, text: str) -> Any:
        return SQL(text).format(read=self._read)


_DAYS_AT_ONCE: Final = 10_000
# A place for rows on their way into a table, of this connection alone.
_STAGE: Final = (
    "CREATE TEMPORARY TABLE IF NOT EXISTS TABLE_NAME (LIKE {read}.TABLE_NAME)",
    "TRUNCATE pg_temp.TABLE_NAME",
)
_UPSERT: Final = {
    "fee_days": "INSERT INTO {read}.fee_days SELECT * FROM pg_temp.fee_days ON CONFLICT (account_id, day, currency)"
    " DO UPDATE SET charges = excluded.charges, rebates = excluded.rebates, lines = excluded.lines,"
    " position = excluded.position",
    "volume_days": "INSERT INTO {read}.volume_days SELECT * FROM pg_temp.volume_days"
    " ON CONFLICT (account_id, day, quote_currency, product, channel, self_trade, banned, zero_fee)"
    " DO UPDATE SET notional = excluded.notional, lines = excluded.lines",
}
_UPSERT_ACCOUNT: Final = (
    "INSERT INTO {read}.accounts VALUES (%s, %s, %s, %s) ON CONFLICT (account_id) DO UPDATE"
    " SET owner_id = excluded.owner_id, parent_account_id = excluded.parent_account_id,"
    " trial_used = excluded.trial_used"
)
