"""The read side's tables: how a stretch of the log becomes rows, in one transaction with the position it ends at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any, Final

from psycopg import Connection
from psycopg.sql import SQL, Identifier

from ledger import programmes
from ledger.domain.dossier import Application
from ledger.domain.evaluation import POST_TRIAL
from ledger.domain.events import CellTotals, ProgrammePublished, Recorded, VolumeEvaluated
from ledger.domain.rulebook import Rulebook, fold_rulebook
from ledger.domain.state import FOREVER_NS, AccountState, fold_account
from ledger.domain.totals import Sums, add_totals
from ledger.store.log import DayTotals, Log
from projections.deadlines import deadline
from projections.fee_history import totals
from projections.vip_intervals import grant_positions, vip_intervals

PRODUCT_NAMES: Final = {0: "UNSPECIFIED", 1: "SPOT", 2: "FUTURES"}
CHANNEL_NAMES: Final = {0: "UNSPECIFIED", 1: "API", 2: "WEB", 3: "APP"}


def read_schema(schema: str) -> str:
    """Name of the schema that holds the tables of a ledger's read side."""
    return f"{schema}_read"


def create_tables(connection: Connection[Any], schema: str) -> None:
    """Make the tables that are missing."""
    text = resources.files(__package__).joinpath("schema.sql").read_text(encoding="utf-8")
    connection.execute(SQL(text).format(read=Identifier(read_schema(schema))))


class Tables:
    """Moves the tables of one ledger along its log."""

    def __init__(self, log: Log, schema: str) -> None:
        self._log = log
        self._read = Identifier(read_schema(schema))
        self._book = Rulebook(programmes.parse)

    def position(self, connection: Connection[Any]) -> int:
        """How far the tables are."""
        row = connection.execute(self._sql("SELECT position FROM {read}.position")).fetchone()
        assert row is not None
        return int(row[0])

    def advance(self, connection: Connection[Any], after: int, until: int) -> None:
        """Take in the events in (after, until], in one transaction; both are ends of commits."""
        with connection.transaction():
            self._fees(connection, after, until)
            self._accounts(connection, after, until)
            moved = connection.execute(
                self._sql("UPDATE {read}.position SET position = %s WHERE position = %s"), (until, after)
            )
            assert moved.rowcount == 1, f"another process moved these tables on from {after}"

    # -- fees ---------------------------------------------------------------------------------------------------------

    def _fees(self, connection: Connection[Any], after: int, until: int) -> None:
        """An account-day's last event carries its totals: one event of each is enough, however many fills there are."""
        days = self._log.day_totals_between(after, until)
        self._insert_accounts(connection, [day.account_id for day in days])
        fees = [row for day in days for row in _fee_rows(day)]
        volumes = [row for day in days for row in _volume_rows(day)]
        with connection.cursor() as cursor:
            if fees:
                cursor.executemany(self._sql(_UPSERT_FEES), fees)
                cursor.executemany(self._sql(_UPSERT_VOLUMES), volumes)

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
        folded = {account_id: fold_account(account_id, events) for account_id, events in accounts.items()}
        rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _OF_ACCOUNTS}
        for account_id, account in folded.items():
            rows["vip_intervals"] += self._interval_rows(account, accounts[account_id])
            rows["ban_intervals"] += [
                (account_id, ban.ban_id, ban.start_time_ns, ban.end_time_ns, ban.reason_code) for ban in account.bans
            ]
            rows["flag_intervals"] += [
                (account_id, flag.flag_id, flag.kind, flag.flagged_time_ns, _end(flag.unflagged_time_ns))
                for flag in account.flags
            ]
            rows["trials"] += _trial_rows(account, accounts[account_id])
            rows["applications"] += [
                self._application_row(account, application) for application in account.dossier.applications
            ]
        with connection.cursor() as cursor:
            cursor.executemany(
                self._sql(_UPSERT_ACCOUNT),
                [(name, one.owner_id, one.parent_account_id, one.trial_used) for name, one in folded.items()],
            )
            for table, values in rows.items():
                cursor.execute(self._sql(f"DELETE FROM {{read}}.{table} WHERE account_id = ANY(%s)"), (list(folded),))
                if values:
                    marks = ", ".join(["%s"] * len(values[0]))
                    cursor.executemany(self._sql(f"INSERT INTO {{read}}.{table} VALUES ({marks})"), values)

    def _interval_rows(self, account: AccountState, events: Sequence[Recorded]) -> list[tuple[Any, ...]]:
        return [
            (
                account.account_id,
                row.programme_id,
                row.valid_from_ns,
                _end(row.valid_until_ns),
                row.tier,
                row.source,
                row.grant_id,
                row.position,
            )
            for row in vip_intervals(account, self._book.programmes, grant_positions(events))
        ]

    def _application_row(self, account: AccountState, application: Application) -> tuple[Any, ...]:
        verified_ns = account.dossier.verified_time_ns
        start_ns, day = deadline(self._book, application, verified_ns)
        return (
            account.account_id,
            application.application_id,
            application.programme_id,
            application.received_time_ns,
            _end(verified_ns),
            start_ns,
            day,
            application.outcome,
            _end(application.settled_time_ns),
        )

    def _sql(self, text: str) -> Any:
        return SQL(text).format(read=self._read)


# Tables whose rows of an account follow from its decisions alone.
_OF_ACCOUNTS: Final = ("vip_intervals", "ban_intervals", "flag_intervals", "trials", "applications")
_UPSERT_FEES: Final = (
    "INSERT INTO {read}.fee_days VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (account_id, day, currency) DO UPDATE"
    " SET charges = excluded.charges, rebates = excluded.rebates, lines = excluded.lines, position = excluded.position"
)
_UPSERT_VOLUMES: Final = (
    "INSERT INTO {read}.volume_days VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
    " ON CONFLICT (account_id, day, quote_currency, product, channel, self_trade, banned, zero_fee)"
    " DO UPDATE SET notional = excluded.notional, lines = excluded.lines"
)
_UPSERT_ACCOUNT: Final = (
    "INSERT INTO {read}.accounts VALUES (%s, %s, %s, %s) ON CONFLICT (account_id) DO UPDATE"
    " SET owner_id = excluded.owner_id, parent_account_id = excluded.parent_account_id,"
    " trial_used = excluded.trial_used"
)


def _trial_rows(account: AccountState, events: Sequence[Recorded]) -> list[tuple[Any, ...]]:
    """Trials that had a time, with the position of the event that evaluated what was traded in it."""
    evaluated = {
        (recorded.event.programme_id, recorded.event.evaluated_time_ns): recorded.position
        for recorded in events
        if isinstance(recorded.event, VolumeEvaluated) and recorded.event.kind == POST_TRIAL
    }
    return [
        (
            account.account_id,
            grant.grant_id,
            grant.programme_id,
            grant.ends_at_ns,
            evaluated.get((grant.programme_id, grant.ends_at_ns)),
        )
        for grant in account.grants
        if grant.source == "TRIAL" and grant.valid_from_ns < grant.ends_at_ns
    ]


def _fee_rows(day: DayTotals) -> list[tuple[Any, ...]]:
    sums: Sums = {}
    add_totals(sums, day.totals)
    return [
        (day.account_id, day.day, total.currency, total.charges, total.rebates, total.lines, day.position)
        for total in totals(sums)
    ]


def _volume_rows(day: DayTotals) -> list[tuple[Any, ...]]:
    return [(day.account_id, day.day, *_cell_columns(cell), cell.notional, cell.lines) for cell in day.totals]


def _cell_columns(cell: CellTotals) -> tuple[Any, ...]:
    key = cell.key
    names = (PRODUCT_NAMES[key.product], CHANNEL_NAMES[key.channel])
    return (key.quote_currency, *names, key.self_trade, key.banned, key.zero_fee)


def _end(time_ns: int) -> int | None:
    """An end as the tables say it: null for none."""
    return None if time_ns == FOREVER_NS else time_ns
