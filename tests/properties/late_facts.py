"""Facts that are recorded late, reckoned on paper: what each line costs and counts, and which facts are withheld.

A line is priced by the facts recorded before it and by those released since, one after the other as they were recorded;
what it was charged later is the difference to what was posted. So nothing is remembered here but facts, lines and
which fact was released when, and whatever is asked is worked out from the start.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from tests.properties.notebook import EXACT, FOR_EVER, Fee, Noted, Past, Trade, rounded
from tests.properties.reckoner import SYMBOLS, Account, Reckoner

GRANTS, REVOCATIONS, FLAGS, UNFLAGS, VOLUME = CAUSES = ("grants", "revocations", "flags", "unflags", "volume")
CAUSE: Final = {
    "grant": GRANTS,
    "revoke": REVOCATIONS,
    "flag": FLAGS,
    "unflag": UNFLAGS,
    "ban": VOLUME,
    "lift": VOLUME,
}
PACKAGED: Final = dict(zip(CAUSES, ("adjust", "propose", "keep", "keep", "adjust"), strict=True))
CURRENCIES: Final = {"BMX", *(name for symbol in SYMBOLS for name in symbol.split("_"))}
TOKEN, OFF = "BMX", Decimal("0.25")
ALL = ""  # currencies
REFUSED: Final = "refused"  # an order that nothing came of

Moment = tuple[int, int]  # position, number of a release among those of the account: one comes after the other


@dataclass(frozen=True)
class Reading:
    """What is left open by the rules."""

    held: frozenset[str] = frozenset({"TRIAL", "MATCH", "MANUAL", "EVALUATION"})  # whose grants wait for the un-flag
    nought_favours: bool = False  # whether a net of 0 is one in the member's favour
    names_anew: bool = False  # whether a revocation prices lines before it, which another grant of the tier names now


MENDED: Final = Reading()


@dataclass
class Fact:
    """A decision, and from which positions on it prices lines that were recorded before it."""

    position: int
    what: str
    values: Mapping[str, Any]
    switch: str
    since: int  # it was recorded after this position: that of an evaluation's event is known no better
    held: bool = False  # by a flag
    released: list[tuple[Moment, str]] = field(default_factory=list)  # when, currency of the lines or ALL
    declined: int | None = None  # position
    withdrawal: Fact | None = None  # the fact that it never was

    def is_undecided(self, known: int) -> bool:
        """Whether somebody may decide about it, for some lines at least."""
        ruled = any(at <= all_of(known) and of == ALL for at, of in self.released)
        over = (self.declined, self.withdrawal.position if self.withdrawal else None)
        return self.position <= known and not ruled and all(at is None or at > known for at in over)

    def is_asked(self, known: int) -> bool:
        """Whether the programme wants somebody to decide about it."""
        return self.is_undecided(known) and self.switch in {"propose", "credit_only"} and not self.held

    def reaches(self, noted: Noted, reading: Reading) -> bool:
        """Whether a line was recorded before it, and is of a time since which something is otherwise."""
        of = self.values["fact"] if self.what == "withdraw" else self
        from_ns = of.values["from_ns"] if "from_ns" in of.values else of.values["at_ns"]
        return noted.position < self.position and (reading.names_anew or bool(noted.trade.at_ns >= from_ns))

    def prices(self, noted: Noted, known: Moment) -> bool:
        """Whether a line's target follows from it."""
        mine = (ALL, noted.fee.currency)
        return self.position <= noted.position or any(at <= known and of in mine for at, of in self.released)


def all_of(position: int) -> Moment:
    """After all releases of a position."""
    return position, FOR_EVER


@dataclass
class Credit:
    """What somebody gave back by hand: it is of no line, and no fact takes it."""

    position: int
    day: int  # UTC, since 1970
    currency: str
    amount: Decimal
    withdrawn: int | None = None  # position

    def stands(self, known: int) -> bool:
        """Whether it is given and not taken back."""
        return self.position <= known and (self.withdrawn is None or self.withdrawn > known)


@dataclass
class Restated(Noted):
    """A line as it is known at a position; whether it was banned, and its grant, at first and after each change."""

    first: tuple[bool, int | None] = (False, None)
    turns: list[tuple[bool, int | None]] = field(default_factory=list)

    def excluded(self, known: int = FOR_EVER) -> str:
        """Why it does not count as volume; empty: it does."""
        reasons = (("NOT_API", not self.trade.api), ("SELF_TRADE", self.trade.self_trade), ("BANNED", self.banned))
        return next((name for name, holds in reasons if holds), "")


class LateAccount(Account):
    """The notes about one account; its lines are given as they are known at the position asked."""

    def __init__(self, account_id: str, owner_id: str, reckoner: LateReckoner) -> None:
        super().__init__(account_id, owner_id)
        self.reckoner = reckoner
        self.facts: list[Fact] = []
        self.credits: list[Credit] = []
        self._releases = 0

    # -- what happens -------------------------------------------------------------------------------------------------

    def decided(self, position: int, what: str, **values: Any) -> None:
        """Note a fact, and release it where the switch of its cause says so, which is the same for its withdrawal."""
        self.decisions.append((position, what, values))
        if what in {"nothing", REFUSED} or self._credited(position, what, values):
            return
        of = values["fact"] if what == "withdraw" else None
        switch, since = self.reckoner.switch(of.what if of else what), self.reckoner.since or position - 1
        fact = Fact(position, what, values, switch, since)
        self.facts.append(fact)
        if of:
            of.withdrawal, of.held = fact, False
        flagged = self.past(position).flagged(self.reckoner.now_ns)
        fact.held = flagged and what == "grant" and values["source"] in self.reckoner.reading.held
        if not fact.held:
            self._rule(fact, position)
        if what in {"unflag", "withdraw"} and not flagged:
            for held in [fact for fact in self.facts if fact.held]:
                held.held = False
                self._rule(held, position)

    def _credited(self, position: int, what: str, values: Mapping[str, Any]) -> bool:
        """Note a credit, or that one is taken back; neither is a fact about lines."""
        if what == "credit":
            self.credits.append(Credit(position, **values))
        if what == "uncredit":
            values["credit"].withdrawn = position
        return what in {"credit", "uncredit"}

    def refuses(self, what: str, values: Mapping[str, Any]) -> str | None:
        """Why something is refused; empty: it is not, None: that is not reckoned."""
        if what == "credit":
            return self._refuses_credit(values["currency"], values["amount"])
        if what == "uncredit":
            return "" if values["credit"].withdrawn is None else "CREDIT_ALREADY_WITHDRAWN"
        if what == "withdraw":
            return self._refuses_withdrawal(values["fact"])
        return None

    def _refuses_credit(self, currency: str, amount: Decimal) -> str:
        reasons = (
            ("ACCOUNT_UNKNOWN", not self._was_heard_of()),
            ("CURRENCY_UNKNOWN", currency not in CURRENCIES),
            ("AMOUNT_TOO_FINE", amount != rounded(amount)),
        )
        return next((reason for reason, holds in reasons if holds), "")

    def _was_heard_of(self) -> bool:
        """Whether it traded, or anything was done with it: an order that was refused says nothing of it."""
        return bool(self.trades) or any(what != REFUSED for _, what, _ in self.decisions)

    def _refuses_withdrawal(self, fact: Fact) -> str:
        """A revocation does not rest on its grant, nor a lift on its ban: without that they end nothing."""
        if fact.withdrawal is not None:
            return "FACT_ALREADY_WITHDRAWN"
        return "FACT_NOT_WITHDRAWABLE" if fact.what == "withdraw" else ""

    def release(self, position: int, fact: Fact, currencies: Iterable[str] = (ALL,)) -> None:
        """Note that a fact is released, for all lines or those of some currencies."""
        self._releases += 1
        fact.released += [((position, self._releases), currency) for currency in currencies]

    def _rule(self, fact: Fact, position: int) -> None:
        if not any(fact.reaches(noted, self.reckoner.reading) for noted in self.trades):
            return
        if fact.switch == "adjust":
            self.release(position, fact)
        if fact.switch == "credit_only":
            self.release(position, fact, [of for of, net in self.nets(fact, position).items() if self._favours(net)])

    def _favours(self, net: Decimal) -> bool:
        return net < 0 or (net == 0 and self.reckoner.reading.nought_favours)

    # -- what follows -------------------------------------------------------------------------------------------------

    def past(self, known: int) -> Past:
        """The facts up to a position that are not withdrawn by then; a grant that is keeps its number."""
        past = Past()
        for fact in self.facts:
            if fact.position <= known and not (fact.withdrawal and fact.withdrawal.position <= known):
                take(past, fact.what, fact.values)
            elif fact.position <= known and fact.what == "grant":
                take(past, "grant", {**fact.values, "until_ns": fact.values["from_ns"]})
                past.grants[-1]["withdrawn"] = True
        return past

    def past_of(self, noted: Noted, known: Moment, also: Fact | None = None) -> Past:
        """All that a line's target follows from; a grant that does not count keeps its number."""
        past = Past()
        for fact in self.facts:
            given, back = fact is also or fact.prices(noted, known), fact.withdrawal
            if given and not (back and (back is also or back.prices(noted, known))):
                take(past, fact.what, fact.values)
            elif fact.what == "grant":
                take(past, "grant", {**fact.values, "until_ns": fact.values["from_ns"]})
        return past

    def as_known(self, noted: Noted, known: int) -> Restated:
        """A line with what was posted for it up to a position."""
        reaching = [fact for fact in self.facts if fact.reaches(noted, self.reckoner.reading)]
        releases = {at for fact in reaching for at, of in fact.released if of in (ALL, noted.fee.currency)}
        now = Restated(noted.position, noted.trade, noted.fee, noted.banned, noted.grant)
        now.first = noted.banned, noted.grant
        for at in sorted(at for at in releases if (noted.position, 0) < at <= all_of(known)):
            past, before = self.past_of(noted, at), now.fee_at(FOR_EVER)
            after, rests = self.reckoner.target(noted, past), rests_on(noted, past)
            if before != after or rests != (now.banned, now.grant):
                now.adjusted.append((at[0], before, after))
                now.turns.append(rests)
            now.banned, now.grant = rests
        return now

    def inside(self, from_ns: int, until_ns: int, known: int) -> list[Restated]:  # type: ignore[override]
        """Its lines of a span, as known at a position."""
        return [self.as_known(noted, known) for noted in super().inside(from_ns, until_ns, known)]

    def posted(self, position: int) -> dict[str, Decimal]:
        """By how much more or less it is charged from a position on, by currency."""
        found: dict[str, Decimal] = defaultdict(Decimal)
        for credit in self.credits:
            found[credit.currency] -= credit.amount if credit.position == position else Decimal(0)
            found[credit.currency] += credit.amount if credit.withdrawn == position else Decimal(0)
        for noted in self.inside(0, FOR_EVER, position):
            for at, before, after in noted.adjusted:
                if at == position:
                    found[before.currency] -= before.amount
                    found[after.currency] += after.amount
        return {currency: amount for currency, amount in found.items() if amount}

    def causes(self, position: int) -> list[Fact]:
        """The facts that were released at a position."""
        return [fact for fact in self.facts if any(at == position for (at, _), _ in fact.released)]

    def moved(self, fact: Fact, known: int) -> Iterator[tuple[Noted, Fee, Fee]]:
        """Lines that would be restated if a fact were released: their fee now, and then."""
        now_known = all_of(known)
        for noted in self.trades:
            reached = fact.reaches(noted, self.reckoner.reading) and not fact.prices(noted, now_known)
            if noted.position < min(fact.position, known + 1) and reached:
                before, after = self.past_of(noted, now_known), self.past_of(noted, now_known, fact)
                now, then = self.reckoner.target(noted, before), self.reckoner.target(noted, after)
                if now != then or rests_on(noted, before) != rests_on(noted, after):
                    yield noted, now, then

    def fact(self, position: int) -> Fact | None:
        """The fact at a position."""
        return next((fact for fact in self.facts if fact.since < position <= fact.position), None)

    def nets(self, fact: Fact, known: int) -> dict[str, Decimal]:
        """What its release would come to, by the currency of the lines."""
        found: dict[str, Decimal] = defaultdict(Decimal)
        for noted, now, then in self.moved(fact, known):
            found[noted.fee.currency] += then.amount - now.amount
        return dict(found)

    def undecided(self, known: int) -> list[Fact]:
        """Facts that somebody is to decide about, each of which alone would restate a line."""
        return [fact for fact in self.facts if fact.is_asked(known) and any(self.moved(fact, known))]


class LateReckoner(Reckoner):
    """All that was told, and what follows from it where facts come late."""

    accounts: dict[str, LateAccount]  # type: ignore[assignment]

    def __init__(self, owners: Mapping[str, str], switches: Mapping[str, str], reading: Reading = MENDED) -> None:
        super().__init__({})
        self.accounts = {name: LateAccount(name, owner, self) for name, owner in owners.items()}
        self.reading = reading
        self.now_ns = 0  # when what it is told of is recorded
        self.since = 0  # the position before a run, while that is noted
        self.switches: list[tuple[int, Mapping[str, str]]] = [(0, switches)]  # from when on, by cause

    def switch(self, what: str) -> str:
        """What becomes of a fact that is recorded now: of the last version in force."""
        _, switches = max((each for each in self.switches if each[0] <= self.now_ns), key=lambda each: each[0])
        return switches[CAUSE[what]]

    def target(self, noted: Noted, past: Past) -> Fee:
        """What a line costs by such a past, in the currency of its fee."""
        trade, known = noted.trade, noted.position
        tier, (pair_class, _) = past.tier(trade.at_ns), SYMBOLS[trade.symbol]
        rate = self.terms_at(trade.at_ns, known).rate(tier, pair_class, maker=trade.maker)
        return restated(trade, rate, noted.fee.currency, tier, past)

    def _adjust(self, account: Account, position: int, from_ns: int) -> None:
        """Nothing: a fact is released when it is noted."""


def take(past: Past, what: str, values: Mapping[str, Any]) -> None:
    """One more fact: a lift ends every ban that runs then, an un-flag every flag."""
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


def rests_on(noted: Noted, past: Past) -> tuple[bool, int | None]:
    """Whether a line was traded under a ban, and the number of the grant that it is charged by."""
    return past.banned(noted.trade.at_ns), past.number(noted.trade.at_ns)


def restated(trade: Trade, rate: Decimal, currency: str, tier: str, past: Past) -> Fee:
    """What a trade costs at a rate, in a given currency: the token's at the price that came with the trade."""
    rate = max(rate, Decimal(0)) if trade.self_trade else rate
    off = OFF if trade.token_price and tier == "NONE" and rate > 0 and not past.flagged(trade.at_ns) else Decimal(0)
    amount = EXACT.multiply(EXACT.multiply(trade.notional, rate), 1 - off)
    if currency == TOKEN:
        amount = EXACT.divide(amount, Decimal(trade.token_price))
    return Fee(rounded(amount), currency, rate, off, tier)
