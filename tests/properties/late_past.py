"""The facts that a line counts by where facts come late: those of its account, and classes and rates of its pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, NamedTuple

from tests.properties.notebook import FOR_EVER, RATES, Fee, Noted, Past, Trade, ends
from tests.properties.reckoner import SYMBOLS, Terms

Dated = tuple[str, int, Any]  # pair, from when on, what holds until the next one of the pair
OwnRates = tuple[str, str]  # maker and taker as fractions; empty: that of tier and class


@dataclass(frozen=True)
class LateTrade(Trade):
    """A fill that names owners: of the account's own side, where `owner` is not empty, and of the other side."""

    owner: str = ""
    counterparty: str = ""


class Rests(NamedTuple):
    """What a line says beside its fee: whether the account was banned or traded with itself, and why that rate."""

    banned: bool
    grant: int | None  # its number
    self_trade: bool
    pair_class: str
    source: str  # TIER, PAIR, BASE or REBATE_SUPPRESSED


@dataclass
class LatePast(Past):
    """What is known of an account and of all pairs; the later word counts of two from the same instant on."""

    owner: str = ""
    classes: list[Dated] = field(default_factory=list)
    rates: list[Dated] = field(default_factory=list)

    def pair_class(self, symbol: str, at_ns: int) -> str:
        """The class of a pair; empty: none."""
        return str(_holding(self.classes, symbol, at_ns) or SYMBOLS[symbol][0])

    def own_rate(self, trade: Trade) -> str:
        """What a pair costs everybody on the side of a trade; empty: what tier and class say."""
        rates: OwnRates = _holding(self.rates, trade.symbol, trade.at_ns) or ("", "")
        return rates[0 if trade.maker else 1]

    def seen(self, trade: Trade) -> Trade:
        """A trade as it is where the account has this owner: it may be one with itself."""
        if not isinstance(trade, LateTrade) or not trade.counterparty:
            return trade
        return replace(trade, self_trade=(trade.owner or self.owner) == trade.counterparty)

    def rate(self, trade: Trade, terms: Terms) -> tuple[Decimal, str]:
        """(rate, why it is that one) of a trade; nobody is paid for trading with himself."""
        tier, pair_class = self.tier(trade.at_ns), self.pair_class(trade.symbol, trade.at_ns)
        rate, source = (
            terms.rate(tier, pair_class, maker=trade.maker),
            "TIER" if (tier, pair_class) in RATES else "BASE",
        )
        if own := self.own_rate(trade):
            rate, source = Decimal(own), "PAIR"
        if rate < 0 and self.seen(trade).self_trade:
            return Decimal(0), "REBATE_SUPPRESSED"
        return rate, source

    def rests(self, trade: Trade, terms: Terms) -> Rests:
        """What a line of the trade says beside its fee."""
        at_ns, (_, source) = trade.at_ns, self.rate(trade, terms)
        pair_class = self.pair_class(trade.symbol, at_ns)
        return Rests(self.banned(at_ns), self.number(at_ns), self.seen(trade).self_trade, pair_class, source)

    def still_names(self, at_ns: int, number: int | None, before: LatePast) -> bool:
        """Whether a line names a grant on though another one of its tier counts: no fact says otherwise than before."""
        if number is None or self.flagged(at_ns) or self.number(at_ns) != before.number(at_ns):
            return False
        return self.grants[number]["from"] <= at_ns < ends(self.grants[number])

    def take(self, what: str, values: Mapping[str, Any]) -> None:
        """One more fact: a lift ends every ban that runs then, an un-flag every flag."""
        match what:
            case "grant":
                grant = {"tier": values["tier"], "source": values["source"], "revoked": FOR_EVER}
                self.grants.append({**grant, "from": values["from_ns"], "until": values["until_ns"]})
            case "revoke":
                self.grants[values["number"]]["revoked"] = values["at_ns"]
            case "ban":
                self.bans.append([values["from_ns"], values["until_ns"]])
            case "flag":
                self.flags.append([values["from_ns"], FOR_EVER, values["kind"]])
            case "lift" | "unflag":
                for entry in self.bans if what == "lift" else self.flags:
                    if entry[0] <= values["at_ns"] < entry[1]:
                        entry[1] = values["at_ns"]
            case "owner":
                self.owner = values["owner"]
            case "class" | "rates":
                dated = self.classes if what == "class" else self.rates
                dated.append((values["symbol"], values["from_ns"], values["is"]))


def _holding(dated: Sequence[Dated], symbol: str, at_ns: int) -> Any:
    """What began last and holds at an instant; nothing has begun: None."""
    begun = [(from_ns, place) for place, (name, from_ns, _) in enumerate(dated) if name == symbol and from_ns <= at_ns]
    return dated[max(begun)[1]][2] if begun else None


@dataclass(kw_only=True)
class Restated(Noted):
    """A line as it is known at a position, with what it said beside its fee at first and after each change."""

    first: Rests
    turns: list[Rests] = field(default_factory=list)

    @property
    def rests(self) -> Rests:
        """What it says beside its fee now."""
        return self.turns[-1] if self.turns else self.first

    def excluded(self, known: int = FOR_EVER) -> str:
        """Why it does not count as volume; empty: it does."""
        now = self.rests
        reasons = (("NOT_API", not self.trade.api), ("SELF_TRADE", now.self_trade), ("BANNED", now.banned))
        return next((name for name, holds in reasons if holds), "")

    def turn(self, position: int, fee: Fee, rests: Rests) -> None:
        """Restate it, if it would be otherwise."""
        before = self.fee_at(FOR_EVER)
        if (before, self.rests) != (fee, rests):
            self.adjusted.append((position, before, fee))
            self.turns.append(rests)
