"""110 days of random lives: what the service then says of states, fees, totals and evaluations, a reckoner says too.

LEDGER_LIVES says how many lives are lived: 2 unless it is set, so that a run of the suite stays short.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import pytest

from ledger.v1 import query_service_pb2 as pb
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import StartLedger, at
from tests.properties.life_evaluations import lasting
from tests.properties.life_orders import Scene, instant
from tests.properties.long_lives import BEGIN_NS, DAYS, LongLife
from tests.properties.notebook import DAY_NS, FOR_EVER, Fee, Past
from tests.properties.reckoner import Account
from tests.properties.test_two_clocks import fee_pages, ns

SEED: Final = 20_261_130
LIVES: Final = int(os.environ.get("LEDGER_LIVES", "2"))
INSTANTS: Final = 25  # at which each account is asked about
PAGE: Final = 200
FAR_NS: Final = BEGIN_NS + 2 * DAYS * DAY_NS


@dataclass(frozen=True)
class Asked:
    """What a read is about: the fields that `fee_pages` takes."""

    account_id: str
    as_of_ns: int
    known: int
    from_ns: int = BEGIN_NS - DAYS * DAY_NS
    until_ns: int = FAR_NS
    page_size: int = PAGE

    @property
    def at(self) -> ReadAt:
        return ReadAt(as_of=at(self.as_of_ns), known_at_position=self.known)


@pytest.mark.parametrize("number", range(LIVES))
def test_after_110_days_the_service_says_what_a_reckoner_says(start_ledger: StartLedger, number: int) -> None:
    seed = SEED + number
    life = LongLife(start_ledger(read_wait_ms_max=20_000), seed)
    life.live()
    scene = life.scene
    if not scene.differences:
        adjusted = [noted for one in scene.reckoner.accounts.values() for noted in one.trades if noted.adjusted]
        assert adjusted, "a late evaluation changes some fee"
        for account in scene.reckoner.accounts.values():
            compare_states(scene, account)
            compare_fees(scene, account)
        compare_plans(life)
    if scene.differences:
        pytest.fail("\n".join(told(scene, seed)), pytrace=False)


def told(scene: Scene, seed: int) -> Iterator[str]:
    """A line for each difference, and the story of each account that has one."""
    yield f"seed {seed}"
    for one in scene.differences[:20]:
        yield f"{one.account_id}: {one.what}: expected {one.expected}, found {one.found}"
    for name in dict.fromkeys(one.account_id for one in scene.differences[:20]):
        yield f"-- {name or 'the ledger'}:"
        yield from scene.stories[name]


# -- states -----------------------------------------------------------------------------------------------------------


def compare_states(scene: Scene, account: Account) -> None:
    """Tier, bans and flags at many instants, as known at many positions."""
    positions = list(scene.recorded_ns)
    edges = [noted.trade.at_ns for noted in account.trades]
    edges += [edge for edge in account.past(FOR_EVER).changes() if edge < FAR_NS]
    for number in range(INSTANTS):
        as_of_ns = scene.random.choice(edges) + scene.random.choice((-1, 0, 1))
        known = scene.random.choice(positions) if number else positions[-1]
        asked = Asked(account.account_id, as_of_ns, known)
        found, expected = state(scene, asked), expected_state(account.past(known), as_of_ns)
        for name, value in expected.items():
            scene.compare(asked.account_id, f"{name} of {instant(as_of_ns)} known at {known}", value, found[name])


def state(scene: Scene, asked: Asked) -> dict[str, Any]:
    queries = scene.ledger.queries
    found = queries.GetVipState(pb.GetVipStateRequest(account_id=asked.account_id, at=asked.at))
    rates = queries.GetRates(pb.GetRatesRequest(account_id=asked.account_id, at=asked.at))
    return {
        "tier": (found.tier, found.grant.source, found.grant.grant_id),
        "until": _end(rates, "valid_until"),
        "grants": [
            (grant.tier, grant.source, ns(grant.valid_from), _end(grant, "valid_until"), _end(grant, "revoked_time"))
            for grant in found.grants
        ],
        "banned": found.banned,
        "bans": [(ns(ban.start_time), ns(ban.end_time)) for ban in found.bans],
        "flagged": found.flagged,
        "flags": [(ns(flag.flagged_time), _end(flag, "unflagged_time")) for flag in found.flags],
    }


def expected_state(past: Past, as_of_ns: int) -> dict[str, Any]:
    best, names = past.best(as_of_ns), ("tier", "source", "from", "until", "revoked")
    of_best = (best["tier"], best["source"], f"g{past.grants.index(best) + 1}") if best else ("NONE", "", "")
    return {
        "tier": of_best,
        "until": past.tier_until(as_of_ns) or FOR_EVER,
        "grants": [tuple(grant[name] for name in names) for grant in past.grants],
        "banned": past.banned(as_of_ns),
        "bans": [tuple(ban) for ban in past.bans],
        "flagged": past.flagged(as_of_ns),
        "flags": [(from_ns, until) for from_ns, until, _ in past.flags],
    }


# -- fees -------------------------------------------------------------------------------------------------------------


def compare_fees(scene: Scene, account: Account) -> None:
    """Every line, as known at the end and at some positions before; the totals of every day."""
    positions = list(scene.recorded_ns)
    for known in (positions[-1], *(scene.random.choice(positions) for _ in range(3))):
        asked = Asked(account.account_id, FAR_NS, known)
        found = [line(one) for page in fee_pages(scene.ledger, asked) for one in page.lines]  # type: ignore[arg-type]
        expected = list(expected_lines(scene, account, asked))
        for number in range(max(len(found), len(expected))):
            pair = (expected[number : number + 1], found[number : number + 1])
            scene.compare(asked.account_id, f"line {number} known at {known}", *pair)
    for day in sorted({noted.trade.at_ns // DAY_NS for noted in account.trades}):
        span = (day * DAY_NS, (day + 1) * DAY_NS)
        compare_totals(scene, account, Asked(account.account_id, FAR_NS, positions[-1], *span))


def line(found: pb.FeeLine) -> tuple[Any, ...]:
    basis = found.basis
    told = (found.fill_ref.exec_id, found.kind, Decimal(found.fee_amount), found.fee_currency)
    rate = (Decimal(basis.rate), Decimal(basis.discount), basis.tier, basis.programme_version)
    if found.kind == "FILL":
        return *told, *rate
    adjusted = found.adjustment
    before = (Decimal(adjusted.fee_before), adjusted.fee_currency_before)
    return *told, *rate, adjusted.cause, *before, Decimal(adjusted.fee_after), adjusted.fee_currency_after


def expected_lines(scene: Scene, account: Account, asked: Asked) -> Iterator[tuple[Any, ...]]:
    for noted, before, fee in account.lines(asked.from_ns, asked.until_ns, asked.known):
        version = scene.reckoner.terms_at(noted.trade.at_ns, noted.position).version
        rate, name = (fee.rate, fee.discount, fee.tier, version), noted.trade.exec_id
        if before is None:
            yield name, "FILL", fee.amount, fee.currency, *rate
            continue
        change = (*rate, "LATE_GRANT", before.amount, before.currency, fee.amount, fee.currency)
        for amount, currency in changed(before, fee):
            yield name, "ADJUSTMENT", amount, currency, *change


def changed(before: Fee, after: Fee) -> list[tuple[Decimal, str]]:
    """What a fee comes to more or less; where the currency is another one, in each."""
    if before.currency == after.currency:
        return [(after.amount - before.amount, after.currency)]
    return [(-before.amount, before.currency), (after.amount, after.currency)]


def compare_totals(scene: Scene, account: Account, day: Asked) -> None:
    page = next(fee_pages(scene.ledger, day))  # type: ignore[arg-type]
    found = {
        total.currency: (Decimal(total.charges), Decimal(total.rebates), Decimal(total.net), total.lines)
        for total in page.totals
    }
    expected: dict[str, tuple[Decimal, Decimal, Decimal, int]] = {}
    for noted in account.inside(day.from_ns, day.until_ns, day.known):
        fee = noted.fee_at(day.known)
        charge, rebate = max(fee.amount, Decimal(0)), min(fee.amount, Decimal(0))
        charges, rebates, net, lines = expected.get(fee.currency, (Decimal(0), Decimal(0), Decimal(0), 0))
        expected[fee.currency] = (charges + charge, rebates + rebate, net + fee.amount, lines + 1)
    scene.compare(account.account_id, f"totals of {instant(day.from_ns)[:10]}", expected, found)


# -- evaluations ------------------------------------------------------------------------------------------------------


def compare_plans(life: LongLife) -> None:
    """What was said of an evaluation at a position is said again, to the byte, whatever was recorded since."""
    for plan in life.evaluations.plans:
        again = lasting(life.evaluations.said(plan.kind, plan.at_ns, ReadAt(known_at_position=plan.known)))
        what = f"{plan.kind} of {instant(plan.at_ns)} known at {plan.known}"
        life.scene.compare("", what, plan.said, again)


def _end(message: Any, name: str) -> int:
    return ns(getattr(message, name)) if message.HasField(name) else FOR_EVER
