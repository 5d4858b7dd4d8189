"""The whole of a ledger, reckoned on paper: who holds which tier when, what each trade costs, who is evaluated to what.

It knows the rules and the rates of the programme, and nothing of the ledger's own code. Whatever it is told has the
position at which the ledger acknowledged it, so that it can say what was known at any position.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from tests.properties.notebook import (
    BANDS,
    BASE,
    DAY_NS,
    EXACT,
    FOR_EVER,
    MARKETS,
    RATES,
    TIERS,
    Fee,
    Notebook,
    Noted,
    Past,
    Trade,
    charged,
    ends,
)

PERIODIC, POST_TRIAL = "PERIODIC", "POST_TRIAL"
SILENT_NS = 3 * DAY_NS  # a source that gave no sign for longer is not waited for
CLASSLESS = {"LTC_USDT": ("", "USDT"), "ADA_USDT": ("", "USDT"), "DOT_USDT": ("", "USDT"), "SOL_ETH": ("", "ETH")}
SYMBOLS = {**MARKETS, **CLASSLESS}


@dataclass(frozen=True)
class Terms:
    """A version of the programme, in force from an instant on: what differs from one version to the next."""

    version: str
    from_ns: int
    base: Mapping[str, tuple[str, str]]  # by pair class, "" for all others: maker and taker in percent
    bands: Mapping[str, int]
    further_days: int  # of the tier that follows a trial

    def rate(self, tier: str, pair_class: str, *, maker: bool) -> Decimal:
        """The rate of a tier, or the one that everybody pays where that is lower."""
        side = 0 if maker else 1
        public = Decimal(self.base.get(pair_class, self.base[""])[side])
        own = RATES.get((tier, pair_class))
        return (min(public, Decimal(own[side])) if own else public) / 100

    def tier_of(self, volume: Decimal) -> str:
        """The tier of a volume in USDT."""
        return max((tier for tier, least in self.bands.items() if volume >= least), key=TIERS.index, default="NONE")


PACKAGED = Terms("3.0", 0, {"": BASE}, BANDS, 30)


@dataclass(frozen=True)
class Case:
    """What an evaluation gives an account; one without a volume waits for closes."""

    account_id: str
    at_ns: int
    from_ns: int  # of its window, which ends at `at_ns`
    volumes: Mapping[tuple[str, str], Decimal]  # by the reason that it does not count, and the quote currency
    volume: Decimal | None
    missing: tuple[tuple[str, int], ...]  # asset and UTC day
    before: str
    after: str

    @property
    def movement(self) -> str:
        """How its tier moves."""
        if self.volume is None:
            return "BLOCKED"
        was, becomes = TIERS.index(self.before), TIERS.index(self.after)
        if was and becomes:
            return "UP" if becomes > was else "DOWN" if becomes < was else "STAYED"
        return "LOST" if was else "GAINED" if becomes else "NONE"


class Account(Notebook):
    """The notes about one account."""

    def __init__(self, account_id: str, owner_id: str) -> None:
        super().__init__(account_id)
        self.owner_id = owner_id
        self.evaluations: list[tuple[int, str, int]] = []  # position, kind, instant

    def is_evaluated(self, kind: str, at_ns: int, known: int = FOR_EVER) -> bool:
        """Whether an evaluation of an instant has looked at it."""
        return any(at <= known and (done, instant) == (kind, at_ns) for at, done, instant in self.evaluations)

    def finished_trials(self, by_ns: int, known: int = FOR_EVER) -> Iterator[tuple[int, int]]:
        """[from, until) of its trials that ran to their own end: neither revoked nor cut by a flag."""
        past = self.past(known)
        for grant in past.grants:
            whole = grant["from"] < grant["until"] <= grant["revoked"] and not past.flagged(grant["until"] - 1)
            if grant["source"] == "TRIAL" and whole and grant["until"] <= by_ns:
                yield grant["from"], grant["until"]

    def free_ns(self) -> int:
        """The first instant from which on no trade is noted."""
        return max((noted.trade.at_ns + 1 for noted in self.trades), default=0)

    def memberships(self) -> list[tuple[str, int, int]]:
        """(source, from, until) of its grants that ever gave something, or will."""
        grants = self.past(FOR_EVER).grants
        return [(grant["source"], grant["from"], ends(grant)) for grant in grants if grant["from"] < ends(grant)]


class Reckoner:
    """All that was told, and what follows from it."""

    def __init__(self, owners: Mapping[str, str]) -> None:
        self.accounts = {name: Account(name, owner) for name, owner in owners.items()}
        self.now_ns = 0  # when what it is told of is recorded
        for account in self.accounts.values():
            account.now_ns, account.price = lambda: self.now_ns, self._price
        self.terms: list[tuple[int, Terms]] = [(0, PACKAGED)]
        self.closes: list[tuple[int, int, Decimal]] = []  # position, UTC day, price of ETH
        self.signs: list[tuple[int, str, int, int]] = []  # position, source, it is complete until, recorded at

    # -- what happens -------------------------------------------------------------------------------------------------

    def traded(self, position: int, account_id: str, trade: Trade) -> Noted:
        """A trade costs what follows from all that is known when it is recorded."""
        account = self.accounts[account_id]
        past = account.past(position)
        fee, banned = self.fee(trade, past, position), past.banned(trade.at_ns)
        noted = Noted(position, trade, fee, banned, past.number(trade.at_ns))
        account.trades.append(noted)
        return noted

    def evaluated(self, position: int, kind: str, cases: list[Case]) -> None:
        """Each account gets the tier of its volume; what it traded since then costs what it would have cost with it."""
        for case in cases:
            account, terms = self.accounts[case.account_id], self.terms_at(case.at_ns, position)
            if case.volume is None or account.is_evaluated(kind, case.at_ns):
                continue
            account.evaluations.append((position, kind, case.at_ns))
            if case.after != "NONE":
                days = 30 if kind == PERIODIC else terms.further_days
                times = {"from_ns": case.at_ns, "until_ns": case.at_ns + days * DAY_NS}
                account.decided(position, "grant", tier=case.after, source="EVALUATION", **times)

    # -- prices -------------------------------------------------------------------------------------------------------

    def terms_at(self, at_ns: int, known: int) -> Terms:
        """The version in force at an instant."""
        versions = [terms for position, terms in self.terms if position <= known and terms.from_ns <= at_ns]
        return max(versions, key=lambda terms: terms.from_ns)

    def _price(self, noted: Noted, past: Past) -> Fee:
        return self.fee(noted.trade, past, noted.position, noted.fee.currency)

    def fee(self, trade: Trade, past: Past, known: int, currency: str = "") -> Fee:
        """What a trade costs an account with such a past."""
        tier, (pair_class, quote) = past.tier(trade.at_ns), SYMBOLS[trade.symbol]
        rate = self.terms_at(trade.at_ns, known).rate(tier, pair_class, maker=trade.maker)
        return charged(trade, rate, quote, tier, past, currency)

    # -- evaluations --------------------------------------------------------------------------------------------------

    def waited_for(self, at_ns: int, known: int, now_ns: int) -> list[str]:
        """Sources that may still send trades from before an instant: neither silent nor over since the window began."""
        reached, signed = dict[str, int](), dict[str, int]()
        for position, source, until_ns, recorded_ns in self.signs:
            if position <= known:
                reached[source], signed[source] = max(until_ns, reached.get(source, 0)), recorded_ns
        late = [source for source, until_ns in reached.items() if at_ns - 30 * DAY_NS <= until_ns < at_ns]
        return sorted(source for source in late if now_ns - signed[source] <= SILENT_NS)

    def plan(self, kind: str, at_ns: int, known: int) -> list[Case]:
        """What an evaluation gives, as known at a position: accounts by id."""
        cases = []
        for name in sorted(self.accounts):
            account = self.accounts[name]
            trials = account.finished_trials(at_ns, known)
            windows = [(at_ns - 30 * DAY_NS, at_ns)] if kind == PERIODIC else trials
            for from_ns, until_ns in windows:
                case = self._case(account, from_ns, until_ns, known)
                if case is not None and not account.is_evaluated(kind, until_ns, known):
                    cases.append(case)
        return cases

    def counts(self, cases: list[Case]) -> dict[str, int]:
        """How many accounts go where."""
        moves = Counter(case.movement for case in cases)
        granted = sum(case.after not in {"", "NONE"} for case in cases)
        named = ("GAINED", "UP", "STAYED", "DOWN", "LOST", "NONE", "BLOCKED")
        return {name: moves[name] for name in named} | {"granted": granted}

    def _case(self, account: Account, from_ns: int, until_ns: int, known: int) -> Case | None:
        """None: it has neither traded in the window nor a tier to lose."""
        past, prices = account.past(known), self.prices(known)
        before = next((tier for at in (until_ns - 1, until_ns) if (tier := past.tier(at)) != "NONE"), "NONE")
        volumes, missing, total = dict[tuple[str, str], Decimal](), set[tuple[str, int]](), Decimal(0)
        for noted in account.inside(from_ns, until_ns, known):
            why, quote, notional = noted.excluded(known), SYMBOLS[noted.trade.symbol][1], noted.trade.notional
            volumes[why, quote] = EXACT.add(volumes.get((why, quote), Decimal(0)), notional)
            day = min(noted.trade.at_ns // DAY_NS, until_ns // DAY_NS - 1)  # its own, or the last one that has ended
            price = Decimal(1) if quote == "USDT" else prices.get(day)
            if not why and price is None:
                missing.add((quote, day))
            elif not why and price is not None:
                total = EXACT.add(total, EXACT.multiply(notional, price))
        if not volumes and before == "NONE":
            return None
        after = "" if missing else self.terms_at(until_ns, known).tier_of(total)
        volume = None if missing else total
        closes = tuple(sorted(missing, key=lambda close: close[::-1]))
        return Case(account.account_id, until_ns, from_ns, volumes, volume, closes, before, after)

    def prices(self, known: int) -> dict[int, Decimal]:
        """The close of each UTC day: the last one that was recorded."""
        return {day: price for position, day, price in self.closes if position <= known}

    # -- what is refused ----------------------------------------------------------------------------------------------

    def refuses_trial(self, account_id: str, at_ns: int) -> str:
        """Once for life and owner, for new members, and not while flagged; a grant that never was does not count."""
        account = self.accounts[account_id]
        family = [one for one in self.accounts.values() if one.owner_id == account.owner_id]
        sources = [source for one in family for source, *_ in one.memberships()]
        flagged = account.past(FOR_EVER).flagged(at_ns)
        reasons = (
            ("TRIAL_ALREADY_USED", "TRIAL" in sources),
            ("NOT_A_NEW_MEMBER", bool(sources)),
            ("ACCOUNT_FLAGGED", flagged),
        )
        return next((reason for reason, holds in reasons if holds), "")

    def refuses_match(self, account_id: str, at_ns: int, volume: Decimal) -> str:
        """Not while flagged, nor for an owner who was a member in the past 90 days, nor for 100,000 or less."""
        account = self.accounts[account_id]
        family = [one for one in self.accounts.values() if one.owner_id == account.owner_id]
        held = [held for one in family for held in one.memberships()]
        since_ns = at_ns - 90 * DAY_NS
        reasons = (
            ("ACCOUNT_FLAGGED", account.past(FOR_EVER).flagged(at_ns)),
            ("VIP_IN_PAST_90_DAYS", any(from_ns <= at_ns and until_ns > since_ns for _, from_ns, until_ns in held)),
            ("EXTERNAL_VOLUME_TOO_LOW", volume <= 100_000),
        )
        return next((reason for reason, holds in reasons if holds), "")
