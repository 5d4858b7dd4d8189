"""Asks the ledger for what the page shows beside the entries; all of it is one read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from ledger import programmes
from ledger.cli import Options
from ledger.client import Client
from ledger.domain.instants import BEGINNING_NS, DAY_NS, NEVER_NS, day_number
from ledger.domain.rules.end_day_close import CLOSE_SCALE
from ledger.domain.state.programme import Programme
from ledger.domain.state.volume_cells import exact
from ledger.tools.history.page.charts import Period
from ledger.tools.history.page.days import Closes, Days
from ledger.tools.history.page.life import Life
from ledger.tools.history.page.shown import Shown
from ledger.tools.history.totals import Totals
from ledger.tools.pages.environment import write_page
from ledger.v1.query_service_pb2 import FeeLine, ListFeeHistoryResponse

PAGE_SIZE: Final = 5_000
_DAYS_MIN: Final = 7  # a chart of fewer would be all edge


class Picture:
    """Takes the entries of a history, asks what else the charts show, and writes the page."""

    def __init__(self, ledger: Client, options: Options, first: ListFeeHistoryResponse) -> None:
        self._ledger = ledger
        self._options = options
        self._first = first
        self._as_of_ns: int = first.basis.as_of.ToNanoseconds()
        self._known: dict[str, Any] = {
            "as_of": self._as_of_ns,
            "known_at_position": first.basis.known_at_position,
        }
        self._end_ns = min(options.until_time or NEVER_NS, self._as_of_ns + 1)
        at_end = {**self._known, "as_of": max(0, self._end_ns - 1)}
        self._state = ledger.get_vip_state(options.account, programme_id=options.programme, **at_end)
        events = ledger.list_events(f"account/{options.account}", **self._known)
        self._life = Life(options.account, events, tuple(self._programmes()))
        self._programme = self._life.programme(self._end_ns - 1)
        self._held = self._life.within(options.from_time or BEGINNING_NS, options.until_time or NEVER_NS)
        self._days = Days(self._programme, self._held.evaluations)

    def take_volume(self, line: FeeLine) -> None:
        """Take one more entry, of any symbol: all of them count towards a tier."""
        self._days.take_volume(line)

    def take_fee(self, line: FeeLine) -> None:
        """Take one more entry whose fee was asked for."""
        self._days.take_fee(line)

    def write(self, path: Path, totals: Totals, differences: Sequence[str]) -> None:
        """Put the page in its place, whole."""
        period = self._period()
        if self._options.from_time is not None:
            self._read_before(period)
        shown = Shown(
            options=self._options,
            basis=self._first.basis,
            state=self._state,
            totals=totals,
            differences=differences,
            days=self._days,
            life=self._life,
            held=self._held,
            period=period,
            end_ns=self._end_ns,
            programme=self._programme,
            closes=self._closes(),
        )
        write_page(path, "history.html.j2", shown=shown)

    def _programmes(self) -> Iterator[tuple[int, Programme]]:
        """Every version that was known, by the instant from which on it is in force."""
        programme_id = self._state.programme_id
        for one in self._ledger.list_programmes(programme_id, **self._known):
            found = self._ledger.get_programme(programme_id, version=one.version, **self._known)
            since_ns = one.valid_from.ToNanoseconds() if one.HasField("valid_from") else BEGINNING_NS
            yield since_ns, programmes.parse(found.programme.content)

    def _period(self) -> Period:
        """Return the days asked for; else from the first thing that happened to the last, and never beyond as_of."""
        as_of_ns, options = self._as_of_ns, self._options
        instants = [at_ns for at_ns in (*self._life.instants(), *(self._days.times or ())) if at_ns < self._end_ns]
        begin = min(instants, default=self._end_ns - 1) if options.from_time is None else options.from_time
        end = max(instants, default=as_of_ns) + 1 if options.until_time is None else self._end_ns
        first, last = begin // DAY_NS, -(-min(end, as_of_ns + 1) // DAY_NS)
        return Period(min(first, last - (_DAYS_MIN if options.from_time is None else 1)), last)

    def _read_before(self, period: Period) -> None:
        """Read fills before the period: they count for windows that reach into it."""
        windows = [one.window_from_ns for one in self._held.evaluations]
        lines = self._ledger.list_fee_history(
            self._options.account,
            from_time=max(0, min([(period.first - self._programme.window_days) * DAY_NS, *windows])),
            until_time=self._options.from_time,
            page_size=PAGE_SIZE,
            **self._known,
        )
        for line in lines:
            self._days.take_before(line)

    def _closes(self) -> Closes:
        return {
            (one.asset, day_number(one.day)): exact(one.price, CLOSE_SCALE)
            for one in self._ledger.list_closes(**self._known)
            if one.currency == self._programme.volume_currency
        }
