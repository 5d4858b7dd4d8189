"""The sections of the page, from top to bottom: each a heading, a sentence, and a picture or a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import TypeVar

from ledger.cli import Options
from ledger.domain.state.programme import Programme
from ledger.tools.history.page.cards import cards
from ledger.tools.history.page.charts import Period, fee_chart, rate_chart, volume_chart, volume_text
from ledger.tools.history.page.days import Closes, Days, rolling
from ledger.tools.history.page.drawing import NARROW, WIDE, moment
from ledger.tools.history.page.life import Life, life_chart
from ledger.tools.history.page.tables import (
    bans_table,
    days_table,
    evaluations_table,
    folded,
    grants_table,
    kinds_table,
)
from ledger.tools.history.page.words import many
from ledger.tools.history.totals import Totals
from ledger.v1.query_service_pb2 import GetVipStateResponse
from ledger.v1.read_pb2 import ReadBasis

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shown:
    """All that the page shows: of one account and period, at one as_of and known_at."""

    options: Options
    basis: ReadBasis
    state: GetVipStateResponse
    totals: Totals
    differences: Sequence[str]
    days: Days
    life: Life
    period: Period
    programme: Programme
    closes: Closes

    def ordered(self, by_currency: Mapping[str, T]) -> list[tuple[str, T]]:
        """The currency with the most fills first."""
        fills = {currency: sums[2] for currency, sums in self.totals.fees.items()}
        return sorted(by_currency.items(), key=lambda each: (-fills.get(each[0], 0), each[0]))


def sections(shown: Shown) -> Iterator[str]:
    """The whole page."""
    account = shown.life.account
    yield _header(shown)
    yield cards(shown.state, shown.totals, shown.differences)
    yield _volume(shown) if shown.totals.fills else _nothing(shown)
    if account.grants or account.bans or account.flags:
        yield _life(shown)
    yield from _fees(shown)
    yield from _rates(shown)
    if shown.totals.fills:
        note = "Every fill under the rate it pays now. One fill in words: fee-ledger fill ACCOUNT DAY EXEC_ID."
        yield _section("What the fees rest on", note, kinds_table(shown.days))
    yield _footer(shown)


def _header(shown: Shown) -> str:
    basis, options = shown.basis, shown.options
    since = f" from {moment(options.from_time)}" if options.from_time is not None else ""
    until = f" until {moment(options.until_time)}" if options.until_time is not None else ""
    which = f"Fills{since}{until}" if since or until else "All fills"
    of = f" of {', '.join(options.symbol)}" if options.symbol else ""
    known = "as known now" if basis.known_at_open else f"as known on {moment(basis.known_at_time.ToNanoseconds())}"
    return (
        f"<header><h1>Fees of {escape(options.account)}</h1>"
        f"<p>{which}{escape(of)} &middot; as of {moment(basis.as_of.ToNanoseconds())} UTC, {known},"
        f" position {basis.known_at_position} &middot; ledger {escape(basis.ledger_id)}</p></header>"
    )


def _nothing(shown: Shown) -> str:
    """What to say of an account without a fill."""
    options, account = shown.options, shown.life.account
    held = [(len(account.grants), "grant"), (len(account.bans), "ban"), (len(account.flags), "flag")]
    known = " and ".join(many(count, name) for count, name in held if count)
    told = f" What the ledger knows of it, {known}, is below." if known else ""
    asked = options.from_time is not None or options.until_time is not None or options.symbol
    where = "in what was asked for" if asked else "yet"
    return _section(
        f"Nothing was traded {where}",
        f"The account {options.account} is known and has no fills {where}, so no fee was charged and none paid"
        f" back.{told} As soon as a fill is recorded, its fee and what that rests on will be here.",
        "",
    )


def _volume(shown: Shown) -> str:
    programme, period = shown.programme, shown.period
    by_day, missing = shown.days.counted(programme, shown.closes)
    rolled = rolling(by_day, period.days, programme.window_days)
    evaluated = [one for one in shown.life.evaluated() if period.holds(one.at_ns)]
    content = _both(partial(volume_chart, period, programme, rolled, evaluated))
    tables = folded("The days in numbers", days_table(shown.days, dict(rolled), programme))
    banned = "" if programme.ban_count_volume else ", not while banned"
    note = (
        f"At each day's end: own fills that count, spot, through the API, not with oneself{banned}. Every band is drawn"
        f" as high as the next. Circles are volumes that were evaluated.{_left_out(shown)}{_lacking(missing)}"
    )
    return _section(
        f"Volume of the past {programme.window_days} days, and what each tier takes", note, content + tables
    )


def _left_out(shown: Shown) -> str:
    left_out = [
        f"{volume_text(amount)} {currency} {reason.lower().replace('_', ' ')}"
        for (reason, currency), amount in sorted(shown.days.excluded(shown.programme).items())
        if amount
    ]
    return f" Not counted: {', '.join(left_out)}." if left_out else ""


def _lacking(missing: set[tuple[str, int]]) -> str:
    if not missing:
        return ""
    assets = ", ".join(sorted({asset for asset, _ in missing}))
    return f" The line is too low by {many(len(missing), 'daily close')} of {assets} that nobody has recorded."


def _life(shown: Shown) -> str:
    life = shown.life
    content = _both(partial(life_chart, shown.period, life))
    held = len(life.account.bans) + len(life.account.flags)
    if life.account.grants:
        content += folded(many(len(life.account.grants), "grant"), grants_table(life))
    if life.evaluations:
        content += folded(many(len(life.evaluations), "evaluation"), evaluations_table(life))
    if held:
        content += folded(many(held, "ban or flag", "bans and flags"), bans_table(life))
    note = "The tier in effect, where it came from, and what stood against it. Of several grants the best one counts."
    return _section("Tier, grants, flags and bans", note, content)


def _fees(shown: Shown) -> Iterator[str]:
    for currency, fees in shown.ordered(shown.days.fees):
        if any(any(sums) for sums in fees.values()):
            content = _both(partial(fee_chart, shown.period, currency, fees))
            key = _key(("charge", "charged"), ("rebate", "paid back"))
            yield _section(f"Fees by day, in {currency}", "As they are now, after adjustments.", key + content)


def _rates(shown: Shown) -> Iterator[str]:
    for currency, rates in shown.ordered(shown.days.rates):
        content = _both(partial(rate_chart, shown.period, currency, rates))
        note = f"Fees of a day divided by its notional in {currency}; below zero the account is paid. Gaps: no fills."
        key = _key(("maker", "as the maker"), ("taker", "as the taker"))
        yield _section(f"Rates paid by day, in {currency}", note, key + content)


def _footer(shown: Shown) -> str:
    basis = shown.basis
    asked = f"--as-of {basis.as_of.ToJsonString()} --known-at {basis.known_at_position}"
    return (
        f"<footer>Read at position {basis.known_at_position} of ledger {escape(basis.ledger_id)}. Asked again with"
        f" <code>{escape(asked)}</code> it is the same for ever. Times are UTC, a day is 86,400 s.</footer>"
    )


def _section(title: str, note: str, content: str) -> str:
    return f'<section><h2>{escape(title)}</h2><p class="note">{escape(note)}</p>{content}</section>'


def _both(draw: Callable[[int], str]) -> str:
    """A chart for a desk and one for a phone; the page shows the one that fits."""
    return f'<div class="chart"><div class="wide">{draw(WIDE)}</div><div class="narrow">{draw(NARROW)}</div></div>'


def _key(*colours: tuple[str, str]) -> str:
    told = "".join(f'<span><i style="background:var(--{name})"></i>{escape(words)}</span>' for name, words in colours)
    return f'<div class="key">{told}</div>'
