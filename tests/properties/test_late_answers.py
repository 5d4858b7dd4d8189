"""What was answered at closed instants stays as it was, to the byte, however many facts come late."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from random import Random
from typing import Any, Final

from google.protobuf.message import Message

from ledger.v1 import control_service_pb2 as controls
from ledger.v1 import fill_pb2
from ledger.v1 import query_service_pb2 as pb
from ledger.v1.control_service_pb2_grpc import ControlServiceStub
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import Ledger, StartLedger, at
from tests.properties import late_shared as pairs
from tests.properties.late_facts import CAUSES, REVOCATIONS, LateAccount
from tests.properties.late_lives import LateLives, Order
from tests.properties.late_rulings import Rulings, begun
from tests.properties.notebook import DAY_NS

SEED: Final = 20_261_201
ACCOUNTS: Final = 50
QUESTIONS: Final = 100
FACTS: Final = 1_000
CALLERS: Final = 4
PAGE: Final = 5
QUOTED: Final = {
    "symbol": "XRP_USDT",
    "side": fill_pb2.SIDE_BUY,
    "liquidity": fill_pb2.LIQUIDITY_TAKER,
    "channel": fill_pb2.CHANNEL_API,
    "last_px": "0.5",
    "last_qty": "1000",
}
SWITCHES: Final = {**dict.fromkeys(CAUSES, "adjust"), REVOCATIONS: "propose"}


@dataclass(frozen=True)
class Question:
    """An account, its two clocks, and a fill of it."""

    account_id: str
    at: ReadAt
    fill: fill_pb2.FillRef


def test_a_thousand_late_facts_leave_a_hundred_answers_at_closed_known_at_as_they_were_to_the_byte(
    start_ledger: StartLedger,
) -> None:
    ledger, rulings = start_ledger(read_wait_ms_max=20_000), Rulings(Random(SEED))
    lives = begun(ledger, SEED, [f"late{number:02}" for number in range(ACCOUNTS)], SWITCHES)
    lives.live(pairs.share, lambda lives: rulings.rule_some(lives, 0.2), rounds=5)
    traded = [account for account in lives.reckoner.accounts.values() if account.trades]
    asking = (question(lives, account) for account in cycle(traded))
    closed = list(islice((asked for asked in asking if asked is not None), QUESTIONS))
    first, cost = all_told(ledger, closed), [costs(ledger, account) for account in traded]
    facts, ruled = 0, rulings.ruled
    while facts < FACTS:
        facts += sum(lives.order(list(orders(lives))))
        rulings.rule_some(lives, 0.1)
    assert rulings.ruled > ruled
    assert all_told(ledger, closed) == first, f"seed {SEED}"
    changed = sum(costs(ledger, account) != was for account, was in zip(traded, cost, strict=True))
    assert changed > len(traded) // 2, "the facts were about these lines"


def orders(lives: LateLives) -> Iterator[tuple[LateAccount, Order]]:
    """One more decision about each account, of a time of which lines are recorded."""
    for account in lives.reckoner.accounts.values():
        if (order := lives.any_order(account)) is not None:
            yield account, order


def question(lives: LateLives, account: LateAccount) -> Question | None:
    """Any instant of the account's life, known at a position or a time, both over; None: it had no fill by then."""
    random, name = lives.random, account.account_id
    read_at = ReadAt(
        as_of=at(lives.now_ns - random.randrange(30 * DAY_NS)), known_at_position=random.choice(lives.settled)
    )
    if random.random() < 0.3:
        read_at.known_at_time.CopyFrom(at(lives.now_ns - DAY_NS - random.randrange(15 * DAY_NS)))
    basis = lives.ledger.queries.GetVipState(pb.GetVipStateRequest(account_id=name, at=read_at)).basis
    assert not basis.known_at_open
    known = [noted.trade for noted in account.trades if noted.position <= basis.known_at_position]
    if not known:
        return None
    trade = random.choice(known)
    return Question(
        name, read_at, fill_pb2.FillRef(account_id=name, day=at(trade.at_ns).ToJsonString()[:10], exec_id=trade.exec_id)
    )


def all_told(ledger: Ledger, questions: Sequence[Question]) -> list[dict[str, list[bytes]]]:
    """The answers to all questions."""
    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(lambda asked: told(ledger, asked), questions))


def told(ledger: Ledger, asked: Question) -> dict[str, list[bytes]]:
    """State, rates, a quote, a fill, all pages of the fees and of what is withheld: the very bytes."""
    queries, asks = ledger.queries, {"account_id": asked.account_id, "at": asked.at}
    withheld = ControlServiceStub(ledger.channel).ListWithheld
    return {
        "state": [encoded(queries.GetVipState(pb.GetVipStateRequest(**asks)))],
        "rates": [encoded(queries.GetRates(pb.GetRatesRequest(**asks)))],
        "quote": [encoded(queries.QuoteFee(pb.QuoteFeeRequest(**asks, **QUOTED)))],
        "fill": [encoded(queries.GetFill(pb.GetFillRequest(fill_ref=asked.fill, at=asked.at)))],
        "fees": list(pages(queries.ListFeeHistory, pb.ListFeeHistoryRequest(**asks, page_size=PAGE))),
        "withheld": list(pages(withheld, controls.ListWithheldRequest(**asks, page_size=PAGE))),
    }


def costs(ledger: Ledger, account: LateAccount) -> list[str]:
    """What an account has paid, by all that is known now."""
    request = pb.ListFeeHistoryRequest(account_id=account.account_id)
    return [f"{total.currency} {total.net}" for total in ledger.queries.ListFeeHistory(request).totals]


def pages(call: Any, request: Any) -> Iterator[bytes]:
    """All pages of a list."""
    while True:
        page = call(request)
        yield encoded(page)
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def encoded(message: Message) -> bytes:
    """The bytes of an answer."""
    return message.SerializeToString(deterministic=True)
