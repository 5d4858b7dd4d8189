"""The page: what is asked of the ledger for it, and how it is put together. One file, without scripts or links."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from fee_files import beside
from fee_totals import Totals

from fee_page.charts import Period, fee_chart, rate_chart, volume_chart, volume_text
from fee_page.days import Days, rolling
from fee_page.drawing import NARROW, WIDE, moment
from fee_page.life import Life, life_chart
from fee_page.tables import (
    bans_table,
    days_table,
    decimals,
    evaluations_table,
    folded,
    grants_table,
    kinds_table,
)
from ledger import programmes
from ledger.client import Client
from ledger.domain.instants import BEGINNING_NS, DAY_NS, day_number
from ledger.domain.programme import Programme
from ledger.domain.rules.end_day_close import CLOSE_SCALE
from ledger.domain.totals import FEE_SCALE, NOTIONAL_SCALE, exact
from ledger.v1.query_service_pb2 import FeeLine, GetVipStateResponse, ListFeeHistoryResponse

PAGE_SIZE: Final = 2_000
_STYLE: Final = Path(__file__).with_name("style.css")
_DAYS_MIN: Final = 7  # a chart of fewer would be all edge


class Picture:
    """Takes the entries of a history, asks what else the charts show, and writes the page."""

    def __init__(
        self, ledger: Client, options: argparse.Namespace, first: ListFeeHistoryResponse, state: GetVipStateResponse
    ) -> None:
        self._ledger = ledger
        self._options = options
        self._basis = first.basis
        self._state = state
        self._days = Days()
        self._known: dict[str, Any] = {
            "as_of": first.basis.as_of.ToNanoseconds(),
            "known_at_position": first.basis.known_at_position,
        }

    def take(self, line: FeeLine) -> None:
        """One more entry of the history."""
        self._days.take(line)

    def write(self, path: Path, totals: Totals, differences: Sequence[str]) -> None:
        """Put it in its place, whole."""
        life = Life(self._options.account, self._events(), self._programmes())
        with beside(path) as part:
            part.write_text(self._page(life, totals, differences), encoding="utf-8")

    def _events(self) -> Iterator[Any]:
        return self._ledger.list_events(f"account/{self._options.account}", **self._known)

    def _programmes(self) -> tuple[tuple[int, Programme], ...]:
        """Every version that was known, by the instant from which on it is in force."""
        programme_id = self._state.programme_id
        return tuple(
            (
                one.valid_from.ToNanoseconds() if one.HasField("valid_from") else BEGINNING_NS,
                programmes.parse(
                    self._ledger.get_programme(programme_id, version=one.version, **self._known).programme.content
                ),
            )
            for one in self._ledger.list_programmes(programme_id, **self._known)
        )

    def _page(self, life: Life, totals: Totals, differences: Sequence[str]) -> str:
        period = self._period(life)
        programme = life.programme(period.end * DAY_NS - 1)
        parts = [self._header(), self._cards(totals, differences)]
        if not totals.fills:
            parts.append(self._nothing(life))
        if totals.fills:
            self._read_before(period, programme)
            parts.append(self._volume(period, programme, life))
        if life.account.grants or life.account.bans or life.account.flags:
            parts.append(self._life(period, life))
        parts += [*self._fees(period), *self._rates(period)]
        if totals.fills:
            parts.append(self._kinds())
        parts.append(self._footer())
        return _document(f"Fees of {self._options.account}", parts)

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
        if self._options.from_time is None:
            return
        first_ns = (period.first - programme.window_days) * DAY_NS
        pages = self._ledger.fee_history_pages(
            self._options.account,
            from_time=max(first_ns, 0),
            until_time=self._options.from_time,
            page_size=PAGE_SIZE,
            **self._known,
        )
        for page in pages:
            for line in page.lines:
                if not self._options.symbol or line.symbol in self._options.symbol:
                    self._days.take_volume(line)

    def _closes(self, programme: Programme) -> dict[tuple[str, int], int]:
        closes = self._ledger.list_closes(**self._known)
        return {
            (one.asset, day_number(one.day)): exact(one.price, CLOSE_SCALE)
            for one in closes
            if one.currency == programme.volume_currency
        }

    def _header(self) -> str:
        basis, options = self._basis, self._options
        since = f" from {moment(options.from_time)}" if options.from_time is not None else ""
        until = f" until {moment(options.until_time)}" if options.until_time is not None else ""
        of = f", only {', '.join(options.symbol)}" if options.symbol else ""
        known = "as known now" if basis.known_at_open else f"as known on {moment(basis.known_at_time.ToNanoseconds())}"
        return (
            f"<header><h1>Fees of {escape(options.account)}</h1>"
            f"<p>Fills{since}{until}{escape(of)} &middot; as of {moment(basis.as_of.ToNanoseconds())} UTC, {known},"
            f" position {basis.known_at_position:,} &middot; ledger {escape(basis.ledger_id)}</p></header>"
        )

    def _cards(self, totals: Totals, differences: Sequence[str]) -> str:
        state = self._state
        tier = state.tier if state.tier and state.tier != "NONE" else "no tier"
        until = (
            f"until {moment(state.grant.valid_until.ToNanoseconds())}" if state.grant.HasField("valid_until") else ""
        )
        standing = ", ".join(word for word, said in (("banned", state.banned), ("flagged", state.flagged)) if said)
        cards = [("tier", tier, ", ".join(filter(None, [until, standing])))]
        if totals.fills:
            adjusted = f"{totals.adjustments:,} adjustments" if totals.adjustments else ""
            cards.append(("fills", f"{totals.fills:,}", adjusted))
            cards.append(_sums_card("volume", [(name, amount, NOTIONAL_SCALE) for name, (amount, _) in
                                               totals.volumes.items()]))  # fmt: skip
            for name, place in (("charged", 0), ("paid back", 1)):
                fees = [(currency, sums[place], FEE_SCALE) for currency, sums in totals.fees.items()]
                cards.append(_sums_card(name, fees))
        told = "".join(
            f'<div class="card"><span>{escape(name)}</span><b>{escape(value)}</b>{_more(more)}</div>'
            for name, value, more in cards
        )
        return f'<div class="cards">{told}{_control(differences)}</div>'

    def _nothing(self, life: Life) -> str:
        """What to say of an account without a fill."""
        account = self._options.account
        known = [f"{len(life.account.grants)} grants"] if life.account.grants else []
        known += [f"{len(life.account.bans)} bans"] if life.account.bans else []
        told = f" The ledger knows of {' and '.join(known)}, below." if known else ""
        asked = self._options.from_time is not None or self._options.until_time is not None or self._options.symbol
        where = " in what was asked for" if asked else " yet"
        return (
            f'<section><h2>Nothing was traded{where}</h2><p class="kind">The account {escape(account)} is known, and has'
            f" no fills{where}: no fee was charged, and none paid back.{told} As soon as a fill is recorded, its fee and"
            " what that rests on will be here.</p></section>"
        )

    def _volume(self, period: Period, programme: Programme, life: Life) -> str:
        by_day, missing = self._days.counted(programme, self._closes(programme))
        rolled = rolling(by_day, period.days, programme.window_days)
        evaluated = [one for one in life.evaluated() if period.first <= one.at_ns // DAY_NS < period.end]
        note = (
            f"At each day's end, own fills that count: spot, through the API, not with oneself, not banned"
            f"{'' if not programme.ban_count_volume else ' or banned'}. Every band is drawn as high as the next."
            " Circles are volumes that were evaluated."
        )
        lacking = (
            f" {len(missing)} daily closes are missing ({_named(missing)}): the line is too low there."
            if missing
            else ""
        )
        left_out = [
            f"{volume_text(amount)} {currency} {reason.lower().replace('_', ' ')}"
            for (reason, currency), amount in sorted(self._days.excluded(programme).items())
            if amount
        ]
        without = f" Not counted: {', '.join(left_out)}." if left_out else ""
        content = _both(lambda width: volume_chart(period, width, programme, rolled, evaluated))
        tables = folded("The days in numbers", days_table(self._days, dict(rolled), programme))
        title = f"Volume of the past {programme.window_days} days, and what each tier takes"
        return _section(title, note + lacking + without, content + tables)

    def _life(self, period: Period, life: Life) -> str:
        note = (
            "The tier in effect, where it came from, and what stood against it. Of several grants the best one counts."
        )
        content = _both(lambda width: life_chart(period, width, life))
        tables = [folded(f"{len(life.account.grants)} grants", grants_table(life))] if life.account.grants else []
        if life.evaluations:
            tables.append(folded(f"{len(life.evaluations)} evaluations", evaluations_table(life)))
        if life.account.bans or life.account.flags:
            held = len(life.account.bans) + len(life.account.flags)
            tables.append(folded(f"{held} bans and flags", bans_table(life)))
        return _section("Tier, grants, flags and bans", note, content + "".join(tables))

    def _fees(self, period: Period) -> Iterator[str]:
        for currency, fees in sorted(self._days.fees.items()):
            if any(any(sums) for sums in fees.values()):
                key = _key(("charge", "charged"), ("rebate", "paid back"))
                content = _both(lambda width, name=currency, sums=fees: fee_chart(period, width, name, sums))  # type: ignore[misc]
                yield _section(f"Fees by day, in {currency}", "As they are now, after adjustments.", key + content)

    def _rates(self, period: Period) -> Iterator[str]:
        for currency, rates in sorted(self._days.rates.items()):
            key = _key(("maker", "as the maker"), ("taker", "as the taker"))
            content = _both(lambda width, name=currency, sums=rates: rate_chart(period, width, name, sums))  # type: ignore[misc]
            note = f"Fees of a day through its notional in {currency}; below zero the account is paid. Gaps: no fills."
            yield _section(f"Rates paid by day, in {currency}", note, key + content)

    def _kinds(self) -> str:
        note = "Every fill under the rate it pays now. One fill in words: fee-ledger fill ACCOUNT DAY EXEC_ID."
        return _section("What the fees rest on", note, kinds_table(self._days))

    def _footer(self) -> str:
        options, basis = self._options, self._basis
        asked = f"fee_history.py {options.account} --as-of {basis.as_of.ToJsonString()} --known-at {basis.known_at_position}"
        return (
            f"<footer>Read at position {basis.known_at_position:,} of ledger {escape(basis.ledger_id)}. Asked again with"
            f" <code>{escape(asked)}</code>, it is the same for ever. Times are UTC, a day is 86,400 s.</footer>"
        )


def _document(title: str, parts: Sequence[str]) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE.read_text(encoding='utf-8')}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _section(title: str, note: str, content: str) -> str:
    return f'<section><h2>{escape(title)}</h2><p class="note">{escape(note)}</p>{content}</section>'


def _both(draw: Callable[[int], str]) -> str:
    """A chart for a desk and one for a phone; the page shows the one that fits."""
    return f'<div class="chart"><div class="wide">{draw(WIDE)}</div><div class="narrow">{draw(NARROW)}</div></div>'


def _key(*colours: tuple[str, str]) -> str:
    told = "".join(f'<span><i style="background:var(--{name})"></i>{escape(words)}</span>' for name, words in colours)
    return f'<div class="key">{told}</div>'


def _sums_card(name: str, sums: Sequence[tuple[str, int, int]]) -> tuple[str, str, str]:
    """The largest sum in front, the others below."""
    shown = [f"{decimals(amount, scale)} {currency}" for currency, amount, scale in
             sorted(sums, key=lambda one: -abs(one[1])) if amount]  # fmt: skip
    return name, (shown or ["0"])[0], " · ".join(shown[1:])


def _more(words: str) -> str:
    return f'<span class="more">{escape(words)}</span>' if words else ""


def _control(differences: Sequence[str]) -> str:
    if not differences:
        return '<div class="card"><span>control totals</span><b class="good">equal</b><span>to the ledger\'s running totals</span></div>'  # noqa: E501
    told = escape("; ".join(differences))
    return (
        f'<div class="card"><span>control totals</span><b class="bad">differ</b><span class="more">{told}</span></div>'
    )


def _named(missing: set[tuple[str, int]]) -> str:
    assets = sorted({asset for asset, _ in missing})
    return ", ".join(assets)
