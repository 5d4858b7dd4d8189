"""What a person would note down about an account: plain lists, looked through from the start for every question.

Nothing here comes from the ledger's own code: neither its rules nor its rates. An entry has the position at which the
ledger acknowledged it; what was known then is what was noted up to there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

DAY_NS = 86_400 * 10**9
NOON_NS = 20_000 * DAY_NS + DAY_NS // 2  # now, all the time
FOR_EVER = 2**63 - 1
TIERS = ("NONE", "VIP1", "VIP2", "VIP3", "VIP4", "VIP5")
BANDS = {"VIP1": 100_000, "VIP2": 500_000, "VIP3": 2_000_000, "VIP4": 5_000_000, "VIP5": 20_000_000}
RATES = {  # by tier and pair class: maker, taker, in percent
    ("VIP1", "A"): ("0.04", "0.05"),
    ("VIP1", "B"): ("0.1", "0.12"),
    ("VIP1", "C"): ("0.2", "0.24"),
    ("VIP2", "A"): ("0.02", "0.04"),
    ("VIP2", "B"): ("0.06", "0.08"),
    ("VIP2", "C"): ("0.18", "0.2"),
    ("VIP3", "A"): ("-0.001", "0.03"),
    ("VIP3", "B"): ("0.02", "0.06"),
    ("VIP3", "C"): ("0.06", "0.1"),
    ("VIP4", "A"): ("-0.001", "0.025"),
    ("VIP4", "B"): ("0", "0.05"),
    ("VIP4", "C"): ("0.06", "0.08"),
    ("VIP5", "A"): ("-0.001", "0.02"),
    ("VIP5", "B"): ("0", "0.04"),
    ("VIP5", "C"): ("0.04", "0.07"),
}
BASE = ("0.25", "0.25")
MARKETS = {"XRP_USDT": ("A", "USDT"), "DOGE_USDT": ("B", "USDT"), "XRP_ETH": ("C", "ETH")}
ETH_CLOSE = Decimal(2_000)  # of every day
EXACT = Context(prec=60)


@dataclass(frozen=True)
class Trade:
    """A fill as it was sent."""

    exec_id: str
    at_ns: int
    symbol: str
    maker: bool
    api: bool
    self_trade: bool
    token_price: str  # empty: not to be paid in BMX
    price: Decimal
    quantity: Decimal

    @property
    def notional(self) -> Decimal:
        return EXACT.multiply(self.price, self.quantity)


@dataclass(frozen=True)
class Fee:
    """What a trade costs, and at which rate."""

    amount: Decimal
    currency: str
    rate: Decimal
    discount: Decimal
    tier: str


@dataclass
class Past:
    """Grants, bans and flags as they are known at some position: [from, until) and what they are."""

    grants: list[dict[str, Any]] = field(default_factory=list)
    bans: list[list[int]] = field(default_factory=list)
    flags: list[list[Any]] = field(default_factory=list)

    def flagged(self, at_ns: int) -> bool:
        return any(from_ns <= at_ns < until_ns for from_ns, until_ns, _ in self.flags)

    def banned(self, at_ns: int) -> bool:
        return any(from_ns <= at_ns < until_ns for from_ns, until_ns in self.bans)

    def best(self, at_ns: int) -> dict[str, Any] | None:
        """The grant that counts: of the highest tier, then the last to end, to begin, and by its source."""
        number = self.number(at_ns)
        return None if number is None else self.grants[number]

    def number(self, at_ns: int) -> int | None:
        """The place of that grant."""
        if self.flagged(at_ns):
            return None
        active = [place for place, grant in enumerate(self.grants) if grant["from"] <= at_ns < ends(grant)]
        return max(active, key=lambda place: _worth(self.grants[place]), default=None)

    def tier(self, at_ns: int) -> str:
        best = self.best(at_ns)
        return best["tier"] if best else "NONE"

    def tier_until(self, at_ns: int) -> int | None:
        """When it has another tier, if nothing is decided any more; None: never."""
        later = sorted(change for change in self.changes() if at_ns < change < FOR_EVER)
        return next((change for change in later if self.tier(change) != self.tier(at_ns)), None)

    def changes(self) -> Iterator[int]:
        for grant in self.grants:
            yield from (grant["from"], ends(grant))
        for from_ns, until_ns, *_ in (*self.bans, *self.flags):
            yield from (from_ns, until_ns)


@dataclass
class Noted:
    """A trade in the notebook: what it cost, whether it was banned, and what became of both later."""

    position: int
    trade: Trade
    fee: Fee
    banned: bool
    grant: int | None = None  # the number of the grant that it is charged by now
    adjusted: list[tuple[int, Fee, Fee]] = field(default_factory=list)  # position, before, after
    bans: list[tuple[int, bool]] = field(default_factory=list)  # position, whether it is banned from there on

    def fee_at(self, known: int) -> Fee:
        """Its fee, as known at a position."""
        return next((after for position, _, after in reversed(self.adjusted) if position <= known), self.fee)

    def banned_at(self, known: int) -> bool:
        """Whether it was banned, as known at a position."""
        return next((banned for position, banned in reversed(self.bans) if position <= known), self.banned)

    def excluded(self, known: int) -> str:
        """Why it does not count as volume, as known at a position; empty: it does."""
        banned = self.banned_at(known)
        reasons = (("NOT_API", not self.trade.api), ("SELF_TRADE", self.trade.self_trade), ("BANNED", banned))
        return next((name for name, holds in reasons if holds), "")


@dataclass
class Credit:
    """What was given back on a UTC day; it counts from the beginning of that day on."""

    position: int
    day: int
    amount: Decimal
    currency: str
    withdrawn: int = FOR_EVER  # the position from which on it is taken back

    def entries(self) -> list[tuple[int, str, Decimal]]:
        """(position, kind, what the account pays by it)."""
        return [(self.position, "CREDIT", -self.amount), (self.withdrawn, "CREDIT_WITHDRAWN", self.amount)]


AT_ONCE = ("grant", "ban", "lift")  # what restates trades of before; all else waits, and nobody lets it


class Notebook:
    """The notes about one account."""

    def __init__(self, account_id: str) -> None:
        self.account_id = account_id
        self.decisions: list[tuple[int, str, dict[str, Any]]] = []
        self.trades: list[Noted] = []
        self.credits: list[Credit] = []
        self.released: set[int] = set()  # places of decisions that trades of before count by
        self.held: list[int] = []  # grants given under a flag, which wait for its end
        self.now_ns = lambda: NOON_NS
        self.price = lambda noted, past: fee_of(noted.trade, past.tier(noted.trade.at_ns), past, noted.fee.currency)

    # -- what happens -------------------------------------------------------------------------------------------------

    def decided(self, position: int, what: str, **values: Any) -> None:
        """A decision, and what follows from it for trades of before: in the same commit, behind it."""
        self.decisions.append((position, what, values))
        place, flagged = len(self.decisions) - 1, self.past(position).flagged(self.now_ns())
        if what == "grant" and flagged:
            self.held.append(place)
        elif what in AT_ONCE:
            self._release(position + (values.get("source") != "EVALUATION"), place)
        if what == "unflag" and not flagged:
            for number, held in enumerate(self.held):
                self._release(position + 1 + number, held)
            self.held = []

    def traded(self, position: int, trade: Trade) -> None:
        """Priced by what is noted so far."""
        past = self.past(position)
        fee, number = fee_of(trade, past.tier(trade.at_ns), past), past.number(trade.at_ns)
        self.trades.append(Noted(position, trade, fee, past.banned(trade.at_ns), number))

    def evaluated(self, position: int, at_ns: int) -> None:
        """30 days of volume are worth a tier."""
        tier = tier_of(self.volume(at_ns - 30 * DAY_NS, at_ns, position))
        if tier != "NONE":
            until_ns = at_ns + 30 * DAY_NS
            self.decided(position, "grant", tier=tier, source="EVALUATION", from_ns=at_ns, until_ns=until_ns)

    def _release(self, position: int, place: int) -> None:
        """Trades of before count by a decision from now on: what each is now is compared with what it was last."""
        self.released.add(place)
        for noted in self.trades:
            past, fee, at_ns = self._past_of(noted), noted.fee_at(FOR_EVER), noted.trade.at_ns
            now, banned, number = self.price(noted, past), past.banned(at_ns), past.number(at_ns)
            if (now, banned, number) != (fee, noted.banned_at(FOR_EVER), noted.grant):
                noted.adjusted.append((position, fee, now))
                noted.bans.append((position, banned))
                noted.grant = number

    def _past_of(self, noted: Noted) -> Past:
        """What a trade counts by: decisions before it, and those released since; other grants keep their numbers."""
        past = Past()
        for place, (position, what, values) in enumerate(self.decisions):
            if position <= noted.position or place in self.released:
                _take(past, what, values)
            elif what == "grant":
                _take(past, what, {**values, "until_ns": values["from_ns"]})
        return past

    # -- what is asked ------------------------------------------------------------------------------------------------

    def past(self, known: int) -> Past:
        """The decisions up to a position, one after the other."""
        past = Past()
        for position, what, values in self.decisions:
            if position <= known:
                _take(past, what, values)
        return past

    def trial_used(self, known: int, at_ns: int) -> bool:
        trials = [grant for grant in self.past(known).grants if grant["source"] == "TRIAL"]
        return any(grant["from"] <= at_ns and grant["from"] < ends(grant) for grant in trials)

    def known(self, known: int) -> bool:
        return any(position <= known for position, *_ in self.decisions) or any(
            noted.position <= known for noted in self.trades
        )

    def inside(self, from_ns: int, until_ns: int, known: int) -> list[Noted]:
        return [noted for noted in self.trades if noted.position <= known and from_ns <= noted.trade.at_ns < until_ns]

    def volume(self, from_ns: int, until_ns: int, known: int) -> Decimal:
        """What counts, in USDT."""
        total = Decimal(0)
        for noted in self.inside(from_ns, until_ns, known):
            if not noted.excluded(known):
                quote = MARKETS[noted.trade.symbol][1]
                worth = noted.trade.notional if quote == "USDT" else EXACT.multiply(noted.trade.notional, ETH_CLOSE)
                total = EXACT.add(total, worth)
        return total

    def history(self, from_ns: int, until_ns: int, known: int) -> list[tuple[Any, ...]]:
        """(exec_id, kind, amount, currency, tier), by UTC day, then as they were recorded."""
        found: list[tuple[tuple[int, int, int], tuple[Any, ...]]] = []
        for place, (noted, before, after) in self._placed(from_ns, until_ns, known):
            name = noted.trade.exec_id
            if before is None:
                found.append((place, (name, "FILL", after.amount, after.currency, after.tier)))
            elif before.currency == after.currency:
                found.append((place, (name, "ADJUSTMENT", after.amount - before.amount, after.currency, after.tier)))
            else:
                found.append((place, (name, "ADJUSTMENT", -before.amount, before.currency, after.tier)))
                found.append((place, (name, "ADJUSTMENT", after.amount, after.currency, after.tier)))
        for credit in self.credited(from_ns, until_ns):
            found += [
                ((credit.day, position, 0), ("", kind, amount, credit.currency, ""))
                for position, kind, amount in credit.entries()
                if position <= known
            ]
        return [entry for _, entry in sorted(found, key=lambda placed: placed[0])]

    def credited(self, from_ns: int, until_ns: int) -> list[Credit]:
        """The credits of the days that begin in a span, withdrawn or not."""
        return [credit for credit in self.credits if from_ns <= credit.day * DAY_NS < until_ns]

    def lines(self, from_ns: int, until_ns: int, known: int) -> list[tuple[Noted, Fee | None, Fee]]:
        """(trade, fee until then, fee from then on) in the same order; a trade had no fee before it was recorded."""
        return [line for _, line in self._placed(from_ns, until_ns, known)]

    def _placed(
        self, from_ns: int, until_ns: int, known: int
    ) -> list[tuple[tuple[int, int, int], tuple[Noted, Fee | None, Fee]]]:
        found: list[tuple[tuple[int, int, int], tuple[Noted, Fee | None, Fee]]] = []
        for number, noted in enumerate(self.inside(from_ns, until_ns, known)):
            day = noted.trade.at_ns // DAY_NS
            found.append(((day, noted.position, number), (noted, None, noted.fee)))
            found += [
                ((day, position, number), (noted, before, after))
                for position, before, after in noted.adjusted
                if position <= known
            ]
        return sorted(found, key=lambda placed: placed[0])


def _worth(grant: dict[str, Any]) -> tuple[int, int, int, str]:
    return TIERS.index(grant["tier"]), ends(grant), grant["from"], grant["source"]


def ends(grant: dict[str, Any]) -> int:
    """First instant at which a grant gives nothing any more."""
    return int(min(grant["until"], grant["revoked"]))


def fee_of(trade: Trade, tier: str, past: Past, currency: str = "") -> Fee:
    """What a trade costs a tier."""
    pair_class, quote = MARKETS[trade.symbol]
    rate = Decimal(RATES.get((tier, pair_class), BASE)[0 if trade.maker else 1]) / 100
    return charged(trade, rate, quote, tier, past, currency)


def charged(trade: Trade, rate: Decimal, quote: str, tier: str, past: Past, currency: str = "") -> Fee:
    """What a trade costs at a rate: nobody is paid for trading with himself, and a member gets nothing off in BMX.

    One that was charged before stays in its `currency`.
    """
    if trade.self_trade:
        rate = max(rate, Decimal(0))
    less = trade.token_price and tier == "NONE" and rate > 0 and not past.flagged(trade.at_ns)
    off = Decimal("0.25") if less else Decimal(0)
    amount, currency = (
        EXACT.multiply(EXACT.multiply(trade.notional, rate), 1 - off),
        currency or ("BMX" if less else quote),
    )
    if currency == "BMX":
        amount = EXACT.divide(amount, Decimal(trade.token_price))
    return Fee(rounded(amount), currency, rate, off, tier)


def rounded(amount: Decimal) -> Decimal:
    """To 8 decimals, half to even."""
    return amount.quantize(Decimal("1e-8"), ROUND_HALF_EVEN, EXACT)


def tier_of(volume: Decimal) -> str:
    """The tier of a volume in USDT."""
    return max((tier for tier, least in BANDS.items() if volume >= least), key=TIERS.index, default="NONE")


def next_evaluation_ns(after_ns: int) -> int:
    """Midnight of the next 8th, 18th or 28th."""
    day = after_ns // DAY_NS + 1
    while not _is_evaluation_day(day):
        day += 1
    return day * DAY_NS


def last_evaluation_ns(at_ns: int) -> int:
    """Midnight of the last one; of today, if it is one."""
    day = at_ns // DAY_NS
    while not _is_evaluation_day(day):
        day -= 1
    return day * DAY_NS


def _is_evaluation_day(day: int) -> bool:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).day in {8, 18, 28}


def _take(past: Past, what: str, values: dict[str, Any]) -> None:
    match what:
        case "grant":
            grant = {"tier": values["tier"], "source": values["source"], "revoked": FOR_EVER}
            past.grants.append({**grant, "from": values["from_ns"], "until": values["until_ns"]})
        case "revoke":
            past.grants[values["number"]]["revoked"] = values["at_ns"]
        case "ban":
            past.bans.append([values["from_ns"], values["until_ns"]])
        case "flag":
            past.flags.append([values["from_ns"], FOR_EVER, values["kind"]])
        case "lift" | "unflag":
            for entry in past.bans if what == "lift" else past.flags:
                if entry[0] <= values["at_ns"] < entry[1]:
                    entry[1] = values["at_ns"]
