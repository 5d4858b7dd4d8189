"""The rows of a scope, as going through the log from position to position finds them."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from ledger.domain.instants import NEVER_NS, utc_day
from ledger.domain.streams import fee_stream
from ledger.replay.compare import Deviation
from ledger.store.fee_streams import days_of
from ledger.store.log import Log
from ledger.store.reads import Row
from projections.audit.account_rows import AccountRows
from projections.audit.queries import Queries
from projections.audit.rows import COLUMNS, ChosenRows, Commit
from projections.audit.scope import Scope

_OF_ACCOUNT: Final = "split_part(originator_id, '/', 2)"
_COMMITS: Final = "SELECT last_position, first_position, recorded_time_ns FROM {schema}.commits WHERE last_position >"


class LogRows(Queries):
    """All rows but those of other processes' accounts, and of what lies outside the period that is asked for."""

    EVENTS: ClassVar[str] = f"""
    SELECT {COLUMNS} FROM {{events}} WHERE notification_id > %(after)s AND notification_id <= %(until)s
        AND ((originator_id NOT LIKE 'account/%%' AND originator_id NOT LIKE 'fees/%%'
            AND originator_id NOT LIKE 'repricing/%%') OR (
            (%(shares)s = 1 OR get_byte(sha256(convert_to({_OF_ACCOUNT}, 'UTF8')), 0) %% %(shares)s = %(share)s)
            AND (%(first)s::bigint IS NULL OR time_max_ns IS NULL OR time_max_ns >= %(first)s)
            AND (%(end)s::bigint IS NULL OR time_min_ns IS NULL OR time_min_ns < %(end)s)))
    ORDER BY notification_id
    """
    COMMITS: ClassVar[str] = f"{_COMMITS} %(after)s AND last_position <= %(until)s ORDER BY last_position"

    _PAGE: Final = f"{EVENTS} LIMIT %(rows)s"
    # The last one may be cut by `until`.
    _COMMITS_OF: Final = f"{_COMMITS} %(after)s AND first_position <= %(until)s ORDER BY last_position"

    def __init__(self, log: Log, scope: Scope) -> None:
        super().__init__(log)
        self._scope = scope

    def parameters(self, after: int, until: int) -> dict[str, Any]:
        """Return those of EVENTS and COMMITS, which select what lies at positions in (after, until]."""
        return {
            "after": after,
            "until": until,
            "share": self._scope.share,
            "shares": self._scope.shares,
            "first": _int64(self._scope.first_day_ns),
            "end": _int64(self._scope.end_day_ns),
        }

    def page(self, after: int, until: int, rows: int) -> list[Row]:
        """Return the first rows at positions in (after, until]."""
        return self._query(self._PAGE, rows=rows, **self.parameters(after, until))

    def commits(self, after: int, until: int) -> list[Commit]:
        """Return all commits in (after, until], in order."""
        return [Commit(*row) for row in self._query(self._COMMITS_OF, after=after, until=until)]

    def position_after(self, after: int, count: int) -> int:
        """Return the position that comes so many after another one."""
        return after + count

    def misplaced(self) -> list[Deviation]:
        """Return nothing: the frame of the log tells it."""
        return []

    def takes(self, stream: str) -> bool:
        """Return True if all events of a stream are among the rows."""
        return self._scope.takes(stream)

    def accounts_trading(self, after: str, until: str, first_day: int, before: int, limit: int) -> list[str]:
        """Return accounts of a span with fills since a UTC day, recorded before a position."""
        return self._log.accounts_trading(after, until, first_day, before, limit)

    _FEE_DAYS: Final = f"""
    {days_of("ARRAY[%(account)s]", first="%(first)s::int")}
    SELECT day FROM traded WHERE since < %(before)s ORDER BY day
    """

    def fee_streams(self, account_id: str, from_ns: int, before: int) -> list[str]:
        """Return the fee streams of an account from a day on that have an event before a position."""
        rows = self._query(self._FEE_DAYS, account=account_id, first=utc_day(from_ns), before=before)
        return [fee_stream(account_id, day) for (day,) in rows]


def _int64(time_ns: int | None) -> int | None:
    """Return a time as a column of PostgreSQL can hold it: the nearest, where it lies before or after all of these."""
    return None if time_ns is None else max(-NEVER_NS, min(time_ns, NEVER_NS))


def chosen_rows(log: Log, scope: Scope) -> ChosenRows:
    """Return the rows of some accounts by their keys, or all rows of a scope."""
    return AccountRows(log, scope) if scope.accounts else LogRows(log, scope)
