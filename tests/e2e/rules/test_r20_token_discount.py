"""R20 over gRPC: a member has no discount for paying in BMX; everybody else has 25 %."""

from __future__ import annotations

import pytest

from ledger.domain.events import VolumeRecorded
from ledger.domain.instants import DAY_NS
from ledger.v1 import fill_pb2
from ledger.v1.query_service_pb2 import QuoteFeeRequest
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at
from tests.samples import batch, fill, history, symbol
from tests.server.calls import refused, send
from tests.server.orders import trial

IN_BMX = fill_pb2.TokenPayment(token="BMX")
END_NS = NOON_NS + 30 * DAY_NS


@pytest.fixture(autouse=True)
def _symbol(ledger: Ledger) -> None:
    send(ledger, symbol())


def discount(ledger: Ledger, as_of_ns: int, token: str = "BMX") -> tuple[str, str]:
    found = send(ledger, QuoteFeeRequest(
        account_id="alice", symbol="XRP_USDT", side=1, liquidity=2, last_px="0.5", last_qty="2000",
        token_payment=fill_pb2.TokenPayment(token=token), at=ReadAt(as_of=at(as_of_ns)),
    ))  # fmt: skip
    return found.fee_basis.discount, found.fee_amount


def test_the_discount_ends_when_the_trial_starts_and_is_back_when_it_is_over(ledger: Ledger) -> None:
    send(ledger, trial("alice", start_time=at(NOON_NS)))
    assert discount(ledger, NOON_NS - 1) == ("0.25", "1.875")
    assert discount(ledger, NOON_NS) == ("0", "0.3")
    assert discount(ledger, END_NS) == ("0.25", "1.875")


def test_the_event_says_which_discount_a_fee_rests_on(ledger: Ledger) -> None:
    position = ledger.fills.RecordFills(batch(fill(token_payment=IN_BMX, last_qty="2000"))).position
    run = ledger.log.at(position).event
    assert isinstance(run, VolumeRecorded)
    assert [basis.discount_ppm for basis in run.bases] == [250_000]
    send(ledger, trial("alice"))
    ledger.clock.now_ns += DAY_NS
    later = at(NOON_NS + DAY_NS)
    ledger.fills.RecordFills(batch(fill(token_payment=IN_BMX, last_qty="2000", transact_time=later)))
    assert [line.basis.discount for line in history(ledger)] == ["0.25", "0"]
    assert len(history(ledger, as_of=at(NOON_NS))) == 1


def test_another_token_gives_no_discount(ledger: Ledger) -> None:
    assert discount(ledger, NOON_NS, token="DOGE") == ("0", "2.5")


def test_a_second_trial_to_get_out_of_it_is_refused(ledger: Ledger) -> None:
    send(ledger, trial("alice"))
    assert refused(ledger, trial("alice")).reason == "TRIAL_ALREADY_USED"
