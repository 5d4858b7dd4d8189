"""Whatever is asked of the past, at whatever two instants, a notebook that is read from the start says the same.

LEDGER_HISTORIES says how many lives are lived: 200 unless it is set, so that a run of the suite stays short.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.v1 import fill_pb2
from ledger.v1 import query_service_pb2 as pb
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, StartLedger, at
from tests.properties.lives import DAYS, Lives
from tests.properties.notebook import (
    BASE,
    DAY_NS,
    EXACT,
    FOR_EVER,
    MARKETS,
    RATES,
    Notebook,
    Noted,
    Past,
    Trade,
    ends,
    last_evaluation_ns,
    next_evaluation_ns,
    rounded,
    tier_of,
)

SEED: Final = 20_261_124
PER_LEDGER: Final = 200
LEDGERS: Final = max(int(os.environ.get("LEDGER_HISTORIES", PER_LEDGER)) // PER_LEDGER, 1)
QUESTIONS: Final = 2  # asked of each account, of three kinds each
CALLERS: Final = 4


@dataclass(frozen=True)
class Question:
    """What is asked of an account: two clocks, and the span of its fees."""

    account_id: str
    as_of_ns: int
    known: int
    from_ns: int
    until_ns: int
    page_size: int

    @property
    def at(self) -> ReadAt:
        return ReadAt(as_of=at(self.as_of_ns), known_at_position=self.known)


@pytest.mark.parametrize("number", range(LEDGERS))
def test_at_any_as_of_and_known_at_the_service_says_what_a_notebook_says(
    start_ledger: StartLedger, number: int
) -> None:
    ledger = start_ledger(read_wait_ms_max=20_000)
    lives = Lives(ledger, SEED + number, PER_LEDGER)
    lives.prepare()
    lives.live()
    books = lives.notebooks
    assert sum(len(noted.adjusted) for book in books.values() for noted in book.trades) > PER_LEDGER // 10
    withdrawn = [credit.withdrawn < FOR_EVER for book in books.values() for credit in book.credits]
    assert min(withdrawn.count(True), withdrawn.count(False)) > PER_LEDGER // 20
    questions = [question(lives, name) for name in books for _ in range(QUESTIONS)]
    with ThreadPoolExecutor(CALLERS) as pool:
        for told in pool.map(lambda asked: differences(ledger, books[asked.account_id], asked), questions):
            assert told == [], f"seed {SEED + number}"


def question(lives: Lives, account_id: str) -> Question:
    """Any instants, and such at which something happens, from both sides."""
    random, book = lives.random, lives.notebooks[account_id]
    edges = [noted.trade.at_ns for noted in book.trades] + [NOON_NS - random.randrange(-5 * DAY_NS, DAYS * DAY_NS)]
    edges += [edge for edge in book.past(FOR_EVER).changes() if abs(edge - NOON_NS) < 2 * DAYS * DAY_NS]
    edges += [edge // DAY_NS * DAY_NS for edge in edges]
    own = [position for position, _, values in book.decisions if values.get("source") != "EVALUATION"]
    known = random.choice((lives.positions[-1], random.choice(lives.positions), *own, *(place - 1 for place in own)))
    as_of_ns, start_ns, end_ns = (random.choice(edges) + random.choice((-1, 0, 1)) for _ in range(3))
    if random.random() < 0.5:
        start_ns, end_ns = NOON_NS - 2 * DAYS * DAY_NS, NOON_NS + DAYS * DAY_NS
    return Question(
        account_id=account_id,
        as_of_ns=as_of_ns,
        known=known,
        from_ns=min(start_ns, end_ns),
        until_ns=max(start_ns, end_ns) + 1,
        page_size=random.choice((1, 3, 1_000)),
    )


def differences(ledger: Ledger, book: Notebook, asked: Question) -> list[tuple[Any, ...]]:
    """What the service says otherwise than the notebook: (question, what, service, notebook)."""
    past = book.past(asked.known)
    said = {**state(ledger, asked), **rates(ledger, asked), **history(ledger, asked)}
    noted = {**noted_state(book, past, asked), **noted_rates(book, past, asked), **noted_history(book, asked)}
    assert said.keys() == noted.keys()
    return [(asked, name, said[name], noted[name]) for name in said if said[name] != noted[name]]


# -- the state --------------------------------------------------------------------------------------------------------


def state(ledger: Ledger, asked: Question) -> dict[str, Any]:
    found = ledger.queries.GetVipState(pb.GetVipStateRequest(account_id=asked.account_id, at=asked.at))
    return {
        "known": found.known_account,
        "tier": found.tier,
        "tier until": ns(found.tier_until) if found.HasField("tier_until") else None,
        "grant": found.grant.grant_id,
        "class rates": {row.pair_class: (row.maker_rate, row.taker_rate) for row in found.rates},
        "grants": [
            (grant.tier, grant.source, ns(grant.valid_from), _end(grant, "valid_until"), _end(grant, "revoked_time"))
            for grant in found.grants
        ],
        "banned": found.banned,
        "bans": [(ns(ban.start_time), ns(ban.end_time)) for ban in found.bans],
        "flagged": found.flagged,
        "flags": [(ns(flag.flagged_time), _end(flag, "unflagged_time")) for flag in found.flags],
        "trial used": found.trial_used,
        "pending": ns(found.pending_evaluation_time) if found.evaluation_pending else None,
    }


def noted_state(book: Notebook, past: Past, asked: Question) -> dict[str, Any]:
    at_ns, best = asked.as_of_ns, past.best(asked.as_of_ns)
    tier = best["tier"] if best else "NONE"
    classes = {name: RATES.get((tier, name), BASE) for name in ("A", "B", "C", "")}
    names = ("tier", "source", "from", "until", "revoked")
    return {
        "known": book.known(asked.known),
        "tier": tier,
        "tier until": past.tier_until(at_ns),
        "grant": f"g{past.grants.index(best) + 1}" if best else "",
        "class rates": {name: tuple(map(_percent, row)) for name, row in classes.items()},
        "grants": [tuple(grant[name] for name in names) for grant in past.grants if "withdrawn" not in grant],
        "banned": past.banned(at_ns),
        "bans": [tuple(ban) for ban in past.bans],
        "flagged": past.flagged(at_ns),
        "flags": [(from_ns, until_ns) for from_ns, until_ns, _ in past.flags],
        "trial used": book.trial_used(asked.known, at_ns),
        "pending": pending(book, past, asked),
    }


def pending(book: Notebook, past: Past, asked: Question) -> int | None:
    """The own end of a trial, which nothing here evaluates; or an evaluation that is due since the ledger began."""
    trials = [
        grant["until"]
        for grant in past.grants
        if grant["source"] == "TRIAL" and ends(grant) == grant["until"] and not past.flagged(grant["until"] - 1)
    ]
    if any(end_ns <= asked.as_of_ns for end_ns in trials):
        return trials[0]
    due_ns = last_evaluation_ns(asked.as_of_ns)
    has_fills = bool(book.inside(due_ns - 30 * DAY_NS, due_ns, asked.known))
    is_concerned = has_fills or {past.tier(due_ns - 1), past.tier(due_ns)} != {"NONE"}
    return due_ns if due_ns >= NOON_NS and is_concerned else None


# -- rates and volume -------------------------------------------------------------------------------------------------


def rates(ledger: Ledger, asked: Question) -> dict[str, Any]:
    found = ledger.queries.GetRates(pb.GetRatesRequest(account_id=asked.account_id, at=asked.at))
    return {
        "tier of the rates": found.tier,
        "valid until": ns(found.valid_until) if found.HasField("valid_until") else None,
        "rates until": ns(found.rates_until) if found.HasField("rates_until") else None,
        "next evaluation": ns(found.next_evaluation_time),
        "counted": [_volume(volume) for volume in found.counted],
        "excluded": [(entry.reason, *_volume(entry.volume)) for entry in found.excluded],
        "volume": (Decimal(found.volume) if found.volume else None, found.volume_currency),
        "projected tier": found.projected_tier,
        "earned": {rebate.currency: Decimal(rebate.amount) for rebate in found.rebates_earned},
        "suppressed": {rebate.currency: Decimal(rebate.amount) for rebate in found.rebates_suppressed},
    }


def noted_rates(book: Notebook, past: Past, asked: Question) -> dict[str, Any]:
    next_ns = next_evaluation_ns(asked.as_of_ns)
    window = (next_ns - 30 * DAY_NS, asked.as_of_ns + 1)
    inside = book.inside(*window, asked.known)
    volumes: dict[tuple[str, str], list[Noted]] = {}
    for noted in inside:
        volumes.setdefault((noted.excluded(asked.known), MARKETS[noted.trade.symbol][1]), []).append(noted)
    told = sorted((*key, sum(noted.trade.notional for noted in group), len(group)) for key, group in volumes.items())
    unclosed = any(lacks_close(noted.trade, asked.as_of_ns) for noted in inside if not noted.excluded(asked.known))
    volume = None if unclosed else book.volume(*window, asked.known)
    earned = summed((fee.currency, fee.amount) for noted in inside if (fee := noted.fee_at(asked.known)).amount < 0)
    changes = [change for change in past.changes() if asked.as_of_ns < change < FOR_EVER]
    return {
        "tier of the rates": past.tier(asked.as_of_ns),
        "valid until": past.tier_until(asked.as_of_ns),
        "rates until": min(changes, default=None),
        "next evaluation": next_ns,
        "counted": [entry[1:] for entry in told if not entry[0]],
        "excluded": [entry for entry in told if entry[0]],
        "volume": (volume, "USDT"),
        "projected tier": "" if volume is None else tier_of(volume),
        "earned": earned,
        "suppressed": summed(suppressed(noted, asked.known) for noted in inside if suppressed(noted, asked.known)),
    }


def lacks_close(trade: Trade, as_of_ns: int) -> bool:
    """Whether a day is over that nobody could record a close of: that on which the tests' clock stands still."""
    day = trade.at_ns // DAY_NS
    return MARKETS[trade.symbol][1] == "ETH" and day == NOON_NS // DAY_NS and (day + 1) * DAY_NS <= as_of_ns + 1


def suppressed(noted: Noted, known: int) -> tuple[str, Decimal]:
    """(currency, rebate) that a self-trade would have earned; nothing for any other."""
    trade, (pair_class, quote) = noted.trade, MARKETS[noted.trade.symbol]
    rate = Decimal(RATES.get((noted.fee_at(known).tier, pair_class), BASE)[0 if trade.maker else 1]) / 100
    if not trade.self_trade or rate >= 0:
        return ()  # type: ignore[return-value]
    return quote, rounded(EXACT.multiply(trade.notional, rate))


def summed(amounts: Any) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for currency, amount in amounts:
        found[currency] = found.get(currency, Decimal(0)) + amount
    return found


# -- fees -------------------------------------------------------------------------------------------------------------


def history(ledger: Ledger, asked: Question) -> dict[str, Any]:
    pages = list(fee_pages(ledger, asked))
    lines = [line for page in pages for line in page.lines]
    return {
        "lines": [
            (line.fill_ref.exec_id, line.kind, Decimal(line.fee_amount), line.fee_currency, line.basis.tier)
            for line in lines
        ],
        "totals": [
            {
                one.currency: (*map(Decimal, (one.charges, one.rebates, one.credits or "0", one.net)), one.lines)
                for one in page.totals
            }
            for page in pages
        ],
    }


def fee_pages(ledger: Ledger, asked: Question) -> Iterator[pb.ListFeeHistoryResponse]:
    request = pb.ListFeeHistoryRequest(
        account_id=asked.account_id,
        at=asked.at,
        from_time=at(asked.from_ns),
        until_time=at(asked.until_ns),
        page_size=asked.page_size,
    )
    while True:
        page = ledger.queries.ListFeeHistory(request)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def noted_history(book: Notebook, asked: Question) -> dict[str, Any]:
    span = (asked.from_ns, min(asked.until_ns, asked.as_of_ns + 1), asked.known)
    lines, fees = book.history(*span), [noted.fee_at(asked.known) for noted in book.inside(*span)]
    credits_ = summed(
        (credit.currency, amount)
        for credit in book.credited(*span[:2])
        for position, _, amount in credit.entries()
        if position <= asked.known
    )
    sums = {}
    for currency in {fee.currency for fee in fees} | {name for name, amount in credits_.items() if amount}:
        amounts = [fee.amount for fee in fees if fee.currency == currency]
        charges, rebates = (sum((pick(amount, Decimal(0)) for amount in amounts), Decimal(0)) for pick in (max, min))
        back = credits_.get(currency, Decimal(0))
        sums[currency] = (charges, rebates, back, charges + rebates + back, len(amounts))
    pages = max(-(-len(lines) // asked.page_size), 1)
    return {"lines": lines, "totals": [sums] * pages}


# -- what was answered stays so ---------------------------------------------------------------------------------------


def test_a_thousand_appends_leave_answers_at_closed_known_at_as_they_were_to_the_byte(ledger: Ledger) -> None:
    lives = Lives(ledger, SEED, accounts=25)
    lives.prepare()
    lives.live(7)
    questions = [question(lives, name) for name in list(lives.notebooks) * 4]
    assert len(questions) == 100
    first = [answers(ledger, lives.notebooks[asked.account_id], asked) for asked in questions]
    head = ledger.log.head().position
    lives.live(9)
    assert not lives.due_ns, "an evaluation that adjusts fees is among what comes later"
    while ledger.log.head().position < head + 1_000:
        lives.trade(list(lives.notebooks) * 2)
    again = [answers(ledger, lives.notebooks[asked.account_id], asked) for asked in questions]
    assert again == first, f"seed {SEED}"


def answers(ledger: Ledger, book: Notebook, asked: Question) -> list[bytes]:
    """State, rates, all pages of the fees, and the first fill that was known: the very bytes."""
    queries, name = ledger.queries, asked.account_id
    found: list[Message] = [
        queries.GetVipState(pb.GetVipStateRequest(account_id=name, at=asked.at)),
        queries.GetRates(pb.GetRatesRequest(account_id=name, at=asked.at)),
        *fee_pages(ledger, asked),
    ]
    for noted in book.inside(0, FOR_EVER, asked.known)[:1]:
        day = at(noted.trade.at_ns).ToJsonString()[:10]
        ref = fill_pb2.FillRef(account_id=name, day=day, exec_id=noted.trade.exec_id)
        found.append(queries.GetFill(pb.GetFillRequest(fill_ref=ref, at=asked.at)))
    return [message.SerializeToString(deterministic=True) for message in found]


def ns(time: Timestamp) -> int:
    return time.seconds * 10**9 + time.nanos


def _end(message: Any, name: str) -> int:
    return ns(getattr(message, name)) if message.HasField(name) else FOR_EVER


def _percent(rate: str) -> str:
    return f"{(Decimal(rate) / 100).normalize():f}"


def _volume(volume: pb.VolumeSum) -> tuple[str, Decimal, int]:
    return volume.quote_currency, Decimal(volume.notional), volume.lines
