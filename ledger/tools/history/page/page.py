"""What is asked of the ledger for the page beside the entries, and the page: one file, without scripts or links."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from ledger import programmes
from ledger.cli import Options
from ledger.client import Client
from ledger.domain.instants import BEGINNING_NS, DAY_NS, day_number
from ledger.domain.rules.end_day_close import CLOSE_SCALE
from ledger.domain.state.programme import Programme
from ledger.domain.state.volume_cells import exact
from ledger.tools.history.files import beside
from ledger.tools.history.page.charts import Period
from ledger.tools.history.page.days import Closes, Days
from ledger.tools.history.page.life import Life
from ledger.tools.history.page.sections import Shown, sections
from ledger.tools.history.totals import Totals
from ledger.v1.query_service_pb2 import FeeLine, GetVipStateResponse, ListFeeHistoryResponse

PAGE_SIZE: Final = 5_000
_STYLE: Final = Path(__file__).with_name("style.css")
_DAYS_MIN: Final = 7  # a chart of fewer would be all edge


class Picture:
    """Takes the entries of a history, asks what else the charts show, and writes the page. All of it is one read."""

    def __init__(
        self, ledger: Client, options: Options, first: ListFeeHistoryResponse, state: GetVipStateResponse
    ) -> None:
        self._ledger = ledger
        self._options = options
        self._first = first
        self._state = state
        self._days = Days()
        self._known: dict[str, Any] = {
            "as_of": first.basis.as_of.ToNanoseconds(),
            "known_at_position": first.basis.known_at_position,
        }

    def take_volume(self, line: FeeLine) -> None:
        """One more entry, of any symbol: all of them count towards a tier."""
        self._days.take_volume(line)

    def take_fee(self, line: FeeLine) -> None:
        """One more entry whose fee was asked for."""
        self._days.take_fee(line)

    def write(self, path: Path, totals: Totals, differences: Sequence[str]) -> None:
        """Put the page in its place, whole."""
        options = self._options
        events = self._ledger.list_events(f"account/{options.account}", **self._known)
        life = Life(options.account, events, tuple(self._programmes()))
        period = self._period(life)
        programme = life.programme(period.end * DAY_NS - 1)
        if options.from_time is not None:
            self._read_before(period, programme)
        shown = Shown(
            options=options,
            basis=self._first.basis,
            state=self._state,
            totals=totals,
            differences=differences,
            days=self._days,
            life=life,
            period=period,
            programme=programme,
            closes=self._closes(programme),
        )
        with beside(path) as part:
            part.write_text(_document(f"Fees of {options.account}", sections(shown)), encoding="utf-8")

    def _programmes(self) -> Iterator[tuple[int, Programme]]:
        """Every version that was known, by the instant from which on it is in force."""
        programme_id = self._state.programme_id
        for one in self._ledger.list_programmes(programme_id, **self._known):
            found = self._ledger.get_programme(programme_id, version=one.version, **self._known)
            since_ns = one.valid_from.ToNanoseconds() if one.HasField("valid_from") else BEGINNING_NS
            yield since_ns, programmes.parse(found.programme.content)

    def _period(self, life: Life) -> Period:
        """The days asked for; else from the first thing that happened to the last, and never beyond as_of."""
        as_of_ns: int = self._known["as_of"]
        instants = [at_ns for at_ns in (*life.instants(), *(self._days.times or ())) if at_ns <= as_of_ns]
        begin = min(instants, default=as_of_ns) if self._options.from_time is None else self._options.from_time
        end = max(instants, default=as_of_ns) + 1 if self._options.until_time is None else self._options.until_time
        first, last = begin // DAY_NS, -(-min(end, as_of_ns + 1) // DAY_NS)
        return Period(min(first, last - _DAYS_MIN), last)

    def _read_before(self, period: Period, programme: Programme) -> None:
        """Fills before the period count for windows that reach into it."""
        lines = self._ledger.list_fee_history(
            self._options.account,
            from_time=max(0, (period.first - programme.window_days) * DAY_NS),
            until_time=self._options.from_time,
            page_size=PAGE_SIZE,
            **self._known,
        )
        for line in lines:
            self._days.take_volume(line)

    def _closes(self, programme: Programme) -> Closes:
        return {
            (one.asset, day_number(one.day)): exact(one.price, CLOSE_SCALE)
            for one in self._ledger.list_closes(**self._known)
            if one.currency == programme.volume_currency
        }


def _document(title: str, parts: Iterator[str]) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE.read_text(encoding='utf-8')}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )
