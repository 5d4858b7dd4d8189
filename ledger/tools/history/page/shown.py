"""The parts of the page, from top to bottom, as its template asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypeVar

from ledger.cli import Options
from ledger.cli.screens import many
from ledger.domain.instants import DAY_NS
from ledger.domain.state.programme import Programme
from ledger.tools.history.page import tables
from ledger.tools.history.page.cards import cards
from ledger.tools.history.page.charts import Period, fee_chart, rate_chart, volume_chart
from ledger.tools.history.page.days import Closes, Days, Worth, rolling
from ledger.tools.history.page.life import Held, Life, life_chart
from ledger.tools.history.totals import Totals
from ledger.tools.pages.drawing import Chart, both
from ledger.tools.pages.parts import Card, Table
from ledger.tools.pages.words import moment
from ledger.v1.query_service_pb2 import GetVipStateResponse
from ledger.v1.read_pb2 import ReadBasis

T = TypeVar("T")
Charts = tuple[Chart, Chart]


@dataclass(frozen=True)
class Shown:
    """All that the page shows: of one account and period, at one as_of and known_at; the state is of its end."""

    options: Options
    basis: ReadBasis
    state: GetVipStateResponse
    totals: Totals
    differences: Sequence[str]
    days: Days
    life: Life
    held: Held
    period: Period
    end_ns: int
    programme: Programme
    closes: Closes

    @property
    def asked(self) -> str:
        """The entries that were asked for."""
        options = self.options
        since = f" from {moment(options.from_time)}" if options.from_time is not None else ""
        until = f" until {moment(options.until_time)}" if options.until_time is not None else ""
        of = f" of {', '.join(options.symbol)}" if options.symbol else ""
        return f"{f'Fills{since}{until}' if since or until else 'All fills'}{of}"

    @property
    def known(self) -> str:
        """The clocks of the read: as of when, as known when."""
        basis = self.basis
        when = "as known now" if basis.known_at_open else f"as known on {moment(basis.known_at_time.ToNanoseconds())}"
        return f"as of {moment(basis.as_of.ToNanoseconds())} UTC, {when}, position {basis.known_at_position}"

    def cards(self) -> list[Card]:
        """The cards on top; the tier is that at the end of what was asked for."""
        whole_day = self.end_ns % DAY_NS == 0
        when = f"at the end of {moment(self.end_ns - DAY_NS)}" if whole_day else f"on {moment(self.end_ns - 1)}"
        return cards(self.state, when, self.totals, self.differences)

    @property
    def where(self) -> str:
        """Where nothing was traded."""
        return "in what was asked for" if self.asked != "All fills" else "yet"

    @property
    def held_words(self) -> str:
        """The decisions on an account without a fill, counted: 1 grant and 2 bans; empty: none."""
        held = self.held
        counts = [(len(held.grants), "grant"), (len(held.bans), "ban"), (len(held.flags), "flag")]
        return " and ".join(many(count, name) for count, name in counts if count)

    @cached_property
    def _worth(self) -> Worth:
        return self.days.worth(self.days.volumes, self.closes, self.end_ns)

    @cached_property
    def _before(self) -> Worth:
        return self.days.worth(self.days.before, self.closes, self.end_ns)

    @cached_property
    def _rolled(self) -> dict[int, int]:
        by_day: dict[int, int] = {}
        for worth in (self._before, self._worth):
            for day, by_quote in worth.by_day.items():
                by_day[day] = by_day.get(day, 0) + sum(by_quote.values())
        return rolling(by_day, self.period.days, self.programme.window_days)

    def volume_charts(self) -> Charts:
        """Volume against the tiers' bands."""
        evaluated = self.life.evaluated(self.period)
        return both(partial(volume_chart, self.period, self.programme, self._rolled, evaluated))

    def volumes_table(self) -> Table:
        """Volume by day, and what of it counts."""
        return tables.volumes_table(self.days.volumes, self._worth, self._rolled, self.programme)

    @property
    def lacking(self) -> str:
        """The closes that the volume is too low without: 2 daily closes of BTC; empty: none."""
        missing = self._before.missing | self._worth.missing
        assets = ", ".join(sorted({asset for asset, _ in missing}))
        return f"{many(len(missing), 'daily close')} of {assets}" if missing else ""

    @property
    def has_life(self) -> bool:
        """True if a grant, a ban or a flag touches the period."""
        return any((self.held.grants, self.held.bans, self.held.flags))

    def life_charts(self) -> Charts:
        """Tier, grants, flags and bans."""
        return both(partial(life_chart, self.period, self.life))

    def life_tables(self) -> Iterator[tuple[str, Table]]:
        """Grants, evaluations, bans and flags, facts that are withheld, each with what its fold says."""
        held = self.held
        if held.grants:
            yield many(len(held.grants), "grant"), tables.grants_table(held)
        if held.evaluations:
            table = tables.evaluations_table(held, self.life, self.days.since)
            yield many(len(held.evaluations), "evaluation"), table
        if held.bans or held.flags:
            yield many(len(held.bans) + len(held.flags), "ban or flag", "bans and flags"), tables.bans_table(held)
        if held.withheld:
            name = ("fact that fills do not count by", "facts that fills do not count by")
            yield many(len(held.withheld), *name), tables.withheld_table(held)

    def fees(self) -> Iterator[tuple[str, Charts, Table]]:
        """Fees by day, in each currency that has any."""
        for currency, fees in self._ordered(self.days.fees):
            if any(any(sums) for sums in fees.values()):
                charts = both(partial(fee_chart, self.period, currency, fees))
                yield currency, charts, tables.fees_table(currency, fees)

    def credits_table(self) -> Table:
        """The credits by hand, and what is withdrawn of them."""
        return tables.credits_table(self.days.credits)

    def rates(self) -> Iterator[tuple[str, Charts]]:
        """Rates by day, in each currency that fees were charged in for trades in itself."""
        for currency, rates in self._ordered(self.days.rates):
            yield currency, both(partial(rate_chart, self.period, currency, rates))

    def kinds_table(self) -> Table:
        """The basis of the fees."""
        return tables.kinds_table(self.days.kinds)

    def _ordered(self, by_currency: Mapping[str, T]) -> list[tuple[str, T]]:
        """The currency with the most fills first."""
        fills = {currency: sums[2] for currency, sums in self.totals.fees.items()}
        return sorted(by_currency.items(), key=lambda each: (-fills.get(each[0], 0), each[0]))
