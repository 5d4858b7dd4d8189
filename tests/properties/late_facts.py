"""Facts that are recorded late, reckoned on paper: what each line costs and counts, and which facts are withheld.

A line is priced by the facts recorded before it and by those released since, one after the other as they were recorded;
what it was charged later is the difference to what was posted. So nothing is remembered here but facts, lines and
which fact was released when, and whatever is asked is worked out from the start. A class of a pair, or its rates, is a
fact of every account, each with a release of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from tests.properties.late_past import LatePast, LateTrade, Restated, Rests
from tests.properties.notebook import EXACT, FOR_EVER, Fee, Noted, Past, Trade, charged, rounded
from tests.properties.reckoner import SYMBOLS, Account, Reckoner

GRANTS, REVOCATIONS, FLAGS, UNFLAGS, VOLUME = "grants", "revocations", "flags", "unflags", "volume"
CLASSES, OWNERS = "classes", "owners"
CAUSES: Final = (GRANTS, REVOCATIONS, FLAGS, UNFLAGS, VOLUME, CLASSES, OWNERS)
CAUSE: Final = {
    "grant": GRANTS,
    "revoke": REVOCATIONS,
    "flag": FLAGS,
    "unflag": UNFLAGS,
    "ban": VOLUME,
    "lift": VOLUME,
    "class": CLASSES,
    "rates": CLASSES,
    "owner": OWNERS,
}
SHARED: Final = ("class", "rates")  # facts of many accounts
SAYS: Final = ("adjust", "propose", "keep", "keep", "adjust", "propose", "propose")
PACKAGED: Final = dict(zip(CAUSES, SAYS, strict=True))
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

    @property
    def is_shared(self) -> bool:
        """Whether it is one of many accounts."""
        return self.what in SHARED

    def is_undecided(self, known: int) -> bool:
        """Whether somebody may decide about it, for some lines at least; a shared one only if each account is asked."""
        ruled = any(at <= all_of(known) and of == ALL for at, of in self.released)
        over = (self.declined, self.withdrawal.position if self.withdrawal else None)
        of_all = self.is_shared and self.switch != "credit_only"
        return self.position <= known and not ruled and not of_all and all(at is None or at > known for at in over)

    def is_asked(self, known: int) -> bool:
        """Whether the programme wants somebody to decide about it."""
        return self.is_undecided(known) and self.switch in {"propose", "credit_only"} and not self.held

    def reaches(self, noted: Noted, reading: Reading) -> bool:
        """Whether a line was recorded before it, and is of a time since which something is otherwise."""
        of = self.values["fact"] if self.what == "withdraw" else self
        from_ns = of.values["from_ns"] if "from_ns" in of.values else of.values["at_ns"]
        since = reading.names_anew or bool(noted.trade.at_ns >= from_ns)
        return noted.position < self.position and since and of.concerns(noted.trade)

    def concerns(self, trade: Trade) -> bool:
        """Whether it is about such a trade: a class about its pair, an owner about the two whom it may be one with."""
        if self.is_shared:
            return bool(trade.symbol == self.values["symbol"])
        if self.what != "owner":
            return True
        named = (self.values["owner"], self.values["until_then"])
        return isinstance(trade, LateTrade) and not trade.owner and trade.counterparty in named

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
        fact = self.fact_noted(position, what, values, self.reckoner.switch(of.what if of else what))
        if of:
            of.withdrawal, of.held = fact, False
        flagged = self.past(position).flagged(self.reckoner.now_ns)
        fact.held = flagged and what == "grant" and values["source"] in self.reckoner.reading.held
        if not fact.held:
            self.rule(fact, position)
        if what in {"unflag", "withdraw"} and not flagged:
            for held in [fact for fact in self.facts if fact.held]:
                held.held = False
                self.rule(held, position)

    def fact_noted(self, position: int, what: str, values: Mapping[str, Any], switch: str) -> Fact:
        """One more fact, which is not released as yet."""
        self.facts.append(Fact(position, what, values, switch, self.reckoner.since or position - 1))
        return self.facts[-1]

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
        if what == "owner":
            return "ACCOUNT_ALREADY_REGISTERED" if self.is_registered else ""
        return None

    @property
    def is_registered(self) -> bool:
        """Whether it has an owner that was told."""
        return any(fact.what == "owner" for fact in self.facts)

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
        return "FACT_NOT_WITHDRAWABLE" if fact.what in {"withdraw", "owner"} else ""

    def release(self, position: int, fact: Fact, currencies: Iterable[str] = (ALL,)) -> None:
        """Note that a fact is released, for all lines or those of some currencies."""
        self._releases += 1
        fact.released += [((position, self._releases), currency) for currency in currencies]

    def rule(self, fact: Fact, position: int) -> None:
        """Release a fact as its switch says it."""
        if not any(fact.reaches(noted, self.reckoner.reading) for noted in self.trades):
            return
        if fact.switch == "adjust":
            self.release(position, fact)
        if fact.switch == "credit_only":
            self.release(position, fact, [of for of, net in self.nets(fact, position).items() if self._favours(net)])

    def _favours(self, net: Decimal) -> bool:
        return net < 0 or (net == 0 and self.reckoner.reading.nought_favours)

    # -- what follows -------------------------------------------------------------------------------------------------

    def past(self, known: int) -> LatePast:
        """The facts up to a position that are not withdrawn by then; a grant that is keeps its number."""
        past = LatePast(owner=self.account_id)
        for fact in self.facts:
            if fact.position <= known and not (fact.withdrawal and fact.withdrawal.position <= known):
                past.take(fact.what, fact.values)
            elif fact.position <= known and fact.what == "grant":
                past.take("grant", {**fact.values, "until_ns": fact.values["from_ns"]})
                past.grants[-1]["withdrawn"] = True
        return past

    def past_of(self, noted: Noted, known: Moment, also: Fact | None = None) -> LatePast:
        """All that a line's target follows from; a grant that does not count keeps its number."""
        past = LatePast(owner=self.account_id)
        for fact in self.facts:
            given, back = fact is also or fact.prices(noted, known), fact.withdrawal
            if given and not (back and (back is also or back.prices(noted, known))):
                past.take(fact.what, fact.values)
            elif fact.what == "grant":
                past.take("grant", {**fact.values, "until_ns": fact.values["from_ns"]})
        return past

    def as_known(self, noted: Noted, known: int) -> Restated:
        """A line with what was posted for it up to a position."""
        reaching = [fact for fact in self.facts if fact.reaches(noted, self.reckoner.reading)]
        releases = {at for fact in reaching for at, of in fact.released if of in (ALL, noted.fee.currency)}
        first = self.reckoner.rests(noted, self.past(noted.position))
        now = Restated(noted.position, noted.trade, noted.fee, first.banned, first.grant, first=first)
        for at in sorted(at for at in releases if (noted.position, 0) < at <= all_of(known)):
            past, before = self.past_of(noted, at), self.past_of(noted, (at[0], at[1] - 1))
            fee, rests = self.reckoner.target(noted, past), self.reckoner.rests(noted, past)
            is_as_named = (fee, rests._replace(grant=now.rests.grant)) == (now.fee_at(FOR_EVER), now.rests)
            if not (is_as_named and past.still_names(noted.trade.at_ns, now.rests.grant, before)):
                now.turn(at[0], fee, rests)
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
                if now != then or self.reckoner.rests(noted, before) != self.reckoner.rests(noted, after):
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


@dataclass
class SharedFact:
    """A class or rates of a pair, with the fact that it is in each account."""

    position: int
    switch: str
    facts: Mapping[str, Fact]  # by account
    released: int | None = None  # the position at which it had come to all accounts
    declined: int | None = None  # position

    @property
    def is_released_at_once(self) -> bool:
        """Whether nobody is asked about all accounts."""
        return self.switch in {"adjust", "credit_only"}

    def is_undecided(self, known: int) -> bool:
        """Whether two persons may decide about it, for all accounts."""
        over = (self.released, self.declined)
        return self.position <= known and not self.is_released_at_once and all(at is None or at > known for at in over)


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
        self.shared: list[SharedFact] = []

    def switch(self, what: str) -> str:
        """What becomes of a fact that is recorded now: of the last version in force."""
        _, switches = max((each for each in self.switches if each[0] <= self.now_ns), key=lambda each: each[0])
        return switches[CAUSE[what]]

    def share(self, position: int, what: str, values: Mapping[str, Any]) -> SharedFact:
        """Note a fact of all accounts, which is brought to each of them once it is released."""
        switch = self.switch(what)
        facts = {name: one.fact_noted(position, what, values, switch) for name, one in self.accounts.items()}
        self.shared.append(SharedFact(position, switch, facts))
        return self.shared[-1]

    def dated(self) -> Iterator[tuple[str, str, int]]:
        """(what, pair, from when on) of all shared facts."""
        for fact in (next(iter(one.facts.values())) for one in self.shared):
            yield fact.what, fact.values["symbol"], fact.values["from_ns"]

    def bring(self, shared: SharedFact, position: int) -> None:
        """A shared fact came to every account that it reaches: by the net of each, if the switch says that."""
        shared.released = position
        for name, fact in shared.facts.items():
            account = self.accounts[name]
            if fact.switch == "credit_only":
                account.rule(fact, position)
            elif any(fact.reaches(noted, self.reading) for noted in account.trades):
                account.release(position, fact)

    def undecided(self, known: int) -> list[SharedFact]:
        """Shared facts that two persons are to decide about, each of which alone would restate a line of an account."""
        asked = [one for one in self.shared if one.is_undecided(known) and one.switch == "propose"]
        return [
            one for one in asked if any(any(self.accounts[name].moved(fact, known)) for name, fact in one.facts.items())
        ]

    def fee(self, trade: Trade, past: Past, known: int, currency: str = "") -> Fee:
        """What a trade costs an account with such a past."""
        assert isinstance(past, LatePast)
        rate, _ = past.rate(trade, self.terms_at(trade.at_ns, known))
        return charged(past.seen(trade), rate, SYMBOLS[trade.symbol][1], past.tier(trade.at_ns), past, currency)

    def target(self, noted: Noted, past: LatePast) -> Fee:
        """What a line costs by such a past, in the currency of its fee."""
        rate, _ = past.rate(noted.trade, self.terms_at(noted.trade.at_ns, noted.position))
        return restated(noted.trade, rate, noted.fee.currency, past.tier(noted.trade.at_ns), past)

    def rests(self, noted: Noted, past: LatePast) -> Rests:
        """What a line says beside its fee by such a past."""
        return past.rests(noted.trade, self.terms_at(noted.trade.at_ns, noted.position))

    def _adjust(self, account: Account, position: int, from_ns: int) -> None:
        """Nothing: a fact is released when it is noted."""


def restated(trade: Trade, rate: Decimal, currency: str, tier: str, past: Past) -> Fee:
    """What a trade costs at a rate, in a given currency: the token's at the price that came with the trade."""
    off = OFF if trade.token_price and tier == "NONE" and rate > 0 and not past.flagged(trade.at_ns) else Decimal(0)
    amount = EXACT.multiply(EXACT.multiply(trade.notional, rate), 1 - off)
    if currency == TOKEN:
        amount = EXACT.divide(amount, Decimal(trade.token_price))
    return Fee(rounded(amount), currency, rate, off, tier)
