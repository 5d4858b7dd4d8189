"""What a ledger and a reckoner say of an account's lines at two instants, side by side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

from ledger.v1 import query_service_pb2 as pb
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import Ledger, at
from tests.properties import late_boundary as boundary
from tests.properties.late_facts import Credit, LateAccount
from tests.properties.late_lives import BEGIN_NS, LateLives
from tests.properties.late_past import Restated, Rests
from tests.properties.notebook import DAY_NS, FOR_EVER, Noted, next_evaluation_ns
from tests.properties.reckoner import SYMBOLS
from tests.properties.test_two_clocks import fee_pages, noted_state, state

FIRST_NS = BEGIN_NS - 60 * DAY_NS
PAGE = 1_000

Totals = dict[str, tuple[Decimal, Decimal, Decimal, int, Decimal]]
NOTHING = (Decimal(0), Decimal(0), Decimal(0), 0, Decimal(0))
Lines = dict[str, list[tuple[Any, ...]]]  # by exec_id


@dataclass(frozen=True)
class Asked:
    """Two clocks, and the span of fees: the fields that `fee_pages` takes."""

    account_id: str
    as_of_ns: int
    known: int
    from_ns: int = FIRST_NS
    until_ns: int = 2 * BEGIN_NS
    page_size: int = PAGE

    @property
    def at(self) -> ReadAt:
        return ReadAt(as_of=at(self.as_of_ns), known_at_position=self.known)


def question(lives: LateLives, account: LateAccount, random: Random) -> Asked:
    """Any instant, and such as something happens at, from both sides; known at a settled position or before a fact."""
    edges = [noted.trade.at_ns for noted in account.trades] + [lives.now_ns, lives.now_ns]
    edges += [edge for edge in account.past(FOR_EVER).changes() if edge < lives.now_ns]
    own = [fact.since for fact in account.facts]
    known = random.choice((lives.settled[-1], random.choice(lives.settled), *own))
    return Asked(account.account_id, random.choice(edges) + random.choice((-1, 0, 1)), known)


def last(lives: LateLives, account: LateAccount) -> Asked:
    """All that is known now."""
    return Asked(account.account_id, lives.now_ns, lives.settled[-1])


def differences(ledger: Ledger, account: LateAccount, asked: Asked) -> list[tuple[Any, ...]]:
    """(question, what, reckoner, ledger) where they differ."""
    noted = account.inside(asked.from_ns, min(asked.until_ns, asked.as_of_ns + 1), asked.known)
    pages = list(fee_pages(ledger, asked))  # type: ignore[arg-type]
    found = lines_told(line for page in pages for line in page.lines)
    pairs = [(f"line {one.trade.exec_id}", line(one), found.pop(one.trade.exec_id, [])) for one in noted]
    credited = credits_of(account, asked)
    pairs += [("lines", {}, found), ("totals", totals(noted, credited), totals_told(pages[-1]))]
    pairs.append(("credits", credits_noted(credited), credits_told(line for page in pages for line in page.lines)))
    day = asked.as_of_ns // DAY_NS * DAY_NS
    of_day = Asked(asked.account_id, asked.as_of_ns, asked.known, day, day + DAY_NS)
    today = [one for one in noted if one.trade.at_ns >= day]
    credited = credits_of(account, of_day)
    pairs.append(("totals of the day", totals(today, credited), totals_told(next(fee_pages(ledger, of_day)))))  # type: ignore[arg-type]
    pairs.append(("volumes", volumes(noted), volumes_told(pages[-1])))
    rates = ledger.queries.GetRates(pb.GetRatesRequest(account_id=asked.account_id, at=asked.at))
    pairs.append(("volume", volume(account, asked), volume_told(rates)))
    stated, said = noted_state(account, account.past(asked.known), asked), state(ledger, asked)  # type: ignore[arg-type]
    pairs += [(what, expected, said[what]) for what, expected in stated.items() if what != "pending"]
    return [(asked, *pair) for pair in pairs if pair[1] != pair[2]]


def line(noted: Restated) -> list[tuple[Any, ...]]:
    """(kind, amount, currency, rate, discount, tier, what it says beside) of a line, and of what was posted later."""
    fee = noted.fee
    rests: tuple[Any, ...] = (fee.rate, fee.discount, fee.tier, *rests_noted(noted.first))
    told: list[tuple[Any, ...]] = [("FILL", fee.amount, fee.currency, *rests)]
    for (_, before, after), turn in zip(noted.adjusted, noted.turns, strict=True):
        rests = (after.rate, after.discount, after.tier, *rests_noted(turn))
        if before.currency == after.currency:
            told.append(("ADJUSTMENT", after.amount - before.amount, after.currency, *rests))
        else:
            told.append(("ADJUSTMENT", -before.amount, before.currency, *rests))
            told.append(("ADJUSTMENT", after.amount, after.currency, *rests))
    return told


def lines_told(lines: Iterable[pb.FeeLine]) -> Lines:
    """The same as the ledger says it."""
    found: Lines = {}
    for one in lines:
        if one.kind.startswith("CREDIT"):
            continue
        basis = one.basis
        rests = (Decimal(basis.rate), Decimal(basis.discount), basis.tier, *boundary.rests(one))
        found.setdefault(one.fill_ref.exec_id, []).append((one.kind, Decimal(one.fee_amount), one.fee_currency, *rests))
    return found


def rests_noted(rests: Rests) -> tuple[bool, str, bool, str, str]:
    """What a line says beside its fee, as `boundary.rests` gives it."""
    banned, grant, *others = rests
    return (banned, grant_id(grant), *others)


def grant_id(number: int | None) -> str:
    """What the ledger calls the grant of a number."""
    return "" if number is None else f"g{number + 1}"


def totals(noted: Iterable[Noted], credited: Iterable[tuple[Credit, bool]]) -> Totals:
    """(charges, rebates, net, lines, credits) by currency."""
    found: Totals = {}
    for fee in (one.fee_at(FOR_EVER) for one in noted):
        charges, rebates, net, lines, given = found.get(fee.currency, NOTHING)
        charge, rebate = max(fee.amount, Decimal(0)), min(fee.amount, Decimal(0))
        found[fee.currency] = (charges + charge, rebates + rebate, net + fee.amount, lines + 1, given)
    for credit, stands in credited:
        charges, rebates, net, lines, given = found.get(credit.currency, NOTHING)
        amount = credit.amount if stands else Decimal(0)
        found[credit.currency] = (charges, rebates, net - amount, lines, given - amount)
    return {currency: total for currency, total in found.items() if total != NOTHING}


def totals_told(page: pb.ListFeeHistoryResponse) -> Totals:
    """The same as the ledger says it."""
    return {
        total.currency: (
            *map(Decimal, (total.charges, total.rebates, total.net)),
            total.lines,
            Decimal(total.credits or 0),
        )
        for total in page.totals
    }


def credits_of(account: LateAccount, asked: Asked) -> list[tuple[Credit, bool]]:
    """Credits known, of the days that begin in the span, each with whether it stands."""
    until_ns = min(asked.until_ns, asked.as_of_ns + 1)
    inside = [one for one in account.credits if asked.from_ns <= one.day * DAY_NS < until_ns]
    return [(one, one.stands(asked.known)) for one in inside if one.position <= asked.known]


def credits_noted(credited: Iterable[tuple[Credit, bool]]) -> list[tuple[str, int, int, Decimal, str]]:
    """(kind, position of the credit, UTC day, amount, currency)."""
    found = []
    for one, stands in credited:
        found.append(("CREDIT", one.position, one.day, -one.amount, one.currency))
        if not stands:
            found.append(("CREDIT_WITHDRAWN", one.position, one.day, one.amount, one.currency))
    return sorted(found)


def credits_told(lines: Iterable[pb.FeeLine]) -> list[tuple[str, int, int, Decimal, str]]:
    """The same as the ledger says it."""
    found = []
    for one in lines:
        if one.kind.startswith("CREDIT"):
            assert not one.fill_ref.exec_id
            day = one.transact_time.seconds // 86_400
            found.append((one.kind, one.credit.credit_position, day, Decimal(one.fee_amount), one.fee_currency))
    return sorted(found)


def volumes(noted: Iterable[Noted]) -> list[tuple[str, Decimal, int]]:
    """(quote currency, notional, lines) of all lines, whether they count or not."""
    found: dict[str, list[Decimal]] = {}
    for one in noted:
        found.setdefault(SYMBOLS[one.trade.symbol][1], []).append(one.trade.notional)
    return sorted((quote, sum(notionals, Decimal(0)), len(notionals)) for quote, notionals in found.items())


def volumes_told(page: pb.ListFeeHistoryResponse) -> list[tuple[str, Decimal, int]]:
    """The same as the ledger says it."""
    return sorted((one.quote_currency, Decimal(one.notional), one.lines) for one in page.volumes)


def volume(account: LateAccount, asked: Asked) -> list[tuple[str, str, Decimal, int]]:
    """(why it does not count, quote currency, notional, lines) of the window that the next evaluation looks at."""
    from_ns = next_evaluation_ns(asked.as_of_ns) - 30 * DAY_NS
    found: dict[tuple[str, str], list[Decimal]] = {}
    for noted in account.inside(from_ns, asked.as_of_ns + 1, asked.known):
        found.setdefault((noted.excluded(), SYMBOLS[noted.trade.symbol][1]), []).append(noted.trade.notional)
    return sorted((*key, sum(notionals, Decimal(0)), len(notionals)) for key, notionals in found.items())


def volume_told(rates: pb.GetRatesResponse) -> list[tuple[str, str, Decimal, int]]:
    """The same as the ledger says it."""
    volumes = [("", one) for one in rates.counted] + [(entry.reason, entry.volume) for entry in rates.excluded]
    return sorted((why, one.quote_currency, Decimal(one.notional), one.lines) for why, one in volumes)
