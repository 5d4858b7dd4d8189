"""The typed client on a real server. Where answers get lost, an interceptor loses what the server did answer."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from ledger.client import Client, Conflict, InvalidRequest, LedgerError, Refused, Unavailable, calls, patience
from ledger.client.requests import Command, Requests
from ledger.domain.instants import DAY_NS
from ledger.domain.refusal import Reason
from ledger.v1 import fill_pb2
from ledger.v1.query_service_pb2 import GetLedgerInfoResponse
from tests.client.background import in_background
from tests.client.conftest import Connect
from tests.client.fills import Door
from tests.conftest import NOON_NS, Ledger, at
from tests.samples import fill
from tests.server.calls import await_tables

NOON = datetime(2024, 10, 4, 12, tzinfo=UTC)
PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text()
EXAMPLE = re.search(r"## From Python\n.*?```python\n(.*?)```", PAGE, re.DOTALL)


class FakeTime:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.pauses_s: list[float] = []

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, pause_s: float) -> None:
        self.pauses_s.append(pause_s)
        self.now_s += pause_s

    async def sleep_on_loop(self, pause_s: float) -> None:
        self.sleep(pause_s)


class Lost(grpc.aio.AioRpcError):  # type: ignore[misc]
    """An answer that did not arrive."""

    def __init__(self, code: grpc.StatusCode, retry_after_ms: int) -> None:
        details, trailers = "lost on its way", grpc.aio.Metadata()
        if retry_after_ms:
            retry = RetryInfo()
            retry.retry_delay.FromMilliseconds(retry_after_ms)
            status = Status(code=Code.Value(code.name), message=details)
            status.details.add().Pack(retry)
            trailers.add("grpc-status-details-bin", status.SerializeToString())
        super().__init__(code, grpc.aio.Metadata(), trailers, details)


class Wire(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]
    """Keeps every request, and loses the first answers after the server has given them."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.timeouts_s: list[float] = []
        self.lose = 0
        self.code = grpc.StatusCode.UNAVAILABLE
        self.retry_after_ms = 0

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        self._keep(details, request)
        answer = continuation(details._replace(timeout=30), request)
        answer.result()
        self._lose()
        return answer

    def _keep(self, details: Any, request: Any) -> None:
        self.requests.append(type(request).FromString(request.SerializeToString()))
        self.timeouts_s.append(details.timeout)

    def _lose(self) -> None:
        if self.lose:
            self.lose -= 1
            raise Lost(self.code, self.retry_after_ms)

    def both(self) -> tuple[Wire, WireOnLoop]:
        """Return it for either kind of client."""
        return self, WireOnLoop(self)


class WireOnLoop(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc]
    """Does what a Wire does, on an event loop."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        self._wire._keep(details, request)
        answer = await continuation(details._replace(timeout=30), request)
        await answer
        self._wire._lose()
        return answer


@pytest.fixture
def client(ledger: Ledger, connect: Connect) -> Iterator[Client]:
    """A client of a running ledger that has one symbol."""
    with connect(ledger.address, actor="ops-7") as client:
        client.register_symbol(
            "XRP_USDT", base_currency="XRP", quote_currency="USDT", price_scale=8, quantity_scale=4, pair_class="A"
        )
        yield client


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def wired(ledger: Ledger, client: Client, connect: Connect, wire: Wire) -> Client:
    """A client whose requests and answers pass `wire`, with nothing written yet."""
    return connect(ledger.address, through=wire.both(), actor="ops-8")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """The clock of the client's patience."""
    fake = FakeTime()
    monkeypatch.setattr(calls, "time", fake)
    monkeypatch.setattr(patience, "time", fake)
    monkeypatch.setattr(asyncio, "sleep", fake.sleep_on_loop)
    return fake


def sample(**changes: Any) -> dict[str, Any]:
    """A fill as a mapping of plain values."""
    values: dict[str, Any] = {
        "account_id": "alice",
        "exec_id": "E1",
        "symbol": "XRP_USDT",
        "side": "BUY",
        "liquidity": "MAKER",
        "last_px": Decimal("0.5"),
        "last_qty": 10,
        "transact_time": NOON,
        "channel": "API",
    }
    return {**values, **changes}


def topics(ledger: Ledger, stream: str) -> list[str]:
    with Client(ledger.address) as client:
        return [event.topic for event in client.list_events(stream)]


FOUR_EYES: Final = Command(actor="ops-1", approver="ops-2", reason="agreed")


# --- commands, fills and reads ----------------------------------------------------------------------------------------


def test_a_command_may_be_previewed_and_then_sent_under_the_same_name(ledger: Ledger, client: Client) -> None:
    before = client.position
    asked: Any = {"tier": "VIP4", "request_id": "r1", **FOUR_EYES}
    receipt = client.change_tier("alice", **asked, validate_only=True).receipt
    assert ([event.topic for event in receipt.preview.events], client.position) == (["TierChanged"], before)
    assert topics(ledger, "account/alice") == []
    with pytest.raises(Refused, match="APPROVER_REQUIRED"):
        client.change_tier("alice", tier="VIP4", validate_only=True)
    assert client.change_tier("alice", **asked).receipt.position == receipt.preview.known_at_position + 1


def test_nothing_is_sent_to_be_previewed_by_an_older_ledger_which_would_record_it() -> None:
    with pytest.raises(LedgerError, match="knows no previews, and would record the command: nothing was sent"):
        Requests(authority={}, read_your_writes=True)._check_previews(GetLedgerInfoResponse(ledger_id="older"))


def test_every_command_is_a_method_with_plain_values(client: Client) -> None:
    assert client.register_account("alice-2", owner_id="alice", registered_time=NOON).owner_id == "alice"
    assert client.register_currency("USDT", decimals=6).receipt.position
    trial = client.start_trial("alice", start_time=NOON - timedelta(days=31))
    assert (trial.grant.tier, trial.grant.valid_until) == ("VIP3", at(NOON_NS - DAY_NS))
    granted = client.change_tier(
        "alice", tier="VIP4", valid_from=NOON_NS - 5, valid_until=NOON + timedelta(days=1), **FOUR_EYES
    )
    assert granted.grant.valid_from == at(NOON_NS - 5)
    revoked = client.revoke_tier("alice", grant_id=granted.grant.grant_id, revoke_time=NOON, **FOUR_EYES)
    assert revoked.revoked_time == at(NOON_NS)
    ban = client.ban_account("alice", days=3, reason_code="ORDER_SPAM", start_time=NOON_NS).ban
    assert ban.end_time == at(NOON_NS + 3 * DAY_NS)
    assert client.lift_ban("alice", lift_time=NOON, **FOUR_EYES).lifted_time == at(NOON_NS)


def test_every_command_about_members_is_a_method_with_plain_values(ledger: Ledger, connect: Connect) -> None:
    with connect(ledger.address, actor="ops-7", approver="ops-8") as client:
        flagged = client.flag_account("fake", kind="ROBOT", flag_time=NOON - timedelta(days=2))
        assert (flagged.flag.flag_id, flagged.flag.flagged_time) == ("f1", at(NOON_NS - 2 * DAY_NS))
        assert client.unflag_account("fake", unflag_time=NOON).unflagged_time == at(NOON_NS)
        claim = {
            "venues": ["okx"],
            "external_tier": "VIP2",
            "period_from": NOON - timedelta(days=30),
            "period_until": NOON,
            "request_time": NOON,
            "spot_volume": Decimal("400000.5"),
            "futures_volume": 100_000,
            "evidence_sha256": b"\1" * 32,
        }
        asked = client.request_match("carol", actor="ops-1", **claim)  # type: ignore[arg-type]
        assert (asked.eligible, asked.tier) == (True, "VIP2")
        match = client.approve_match("carol", match_id=asked.match_id, approve_time=NOON).grant
        assert (match.source, match.evidence, match.valid_until) == ("MATCH", "m1", at(NOON_NS + 30 * DAY_NS))
        other = client.request_match("dave", actor="ops-1", **claim)  # type: ignore[arg-type]
        client.reject_match("dave", match_id=other.match_id, reason_code="EVIDENCE_FALSE")
        applied = client.submit_application("erin", received_time=NOON, community_joined=True)
        client.verify_api_identity("erin", verified_time=NOON)
        client.settle_application("erin", application_id=applied.application_id, outcome="GRANTED")
        client.assign_key_account_manager("carol", manager_id="kam-1", assign_time=NOON)
        metric = client.record_behaviour_metric(
            "bob",
            code="LOW_FILL_RATIO",
            value=Decimal("0.001"),
            window_from=NOON - timedelta(days=1),
            window_until=NOON,
        )
        client.ban_account("bob", days=1, reason_code="ORDER_SPAM", evidence_positions=[metric.receipt.position])
        membership = client.get_membership("carol")
        assert [(found.status, found.requested_by) for found in membership.matches] == [("APPROVED", "ops-1")]
        assert client.check_match_eligibility("carol", spot_volume=500_000).refused_because == "VIP_IN_PAST_90_DAYS"
        assert client.get_entitlements("carol", as_of=NOON).manager_id == "kam-1"
        assert list(client.list_applications()) == []
        assert [found.account_id for found in client.list_accounts(flagged=True, as_of=NOON_NS - 1)] == ["fake"]


def test_rewards_are_methods_with_plain_values(ledger: Ledger, connect: Connect) -> None:
    with connect(ledger.address, actor="ops-7", approver="ops-8", reason="asked") as client:
        client.change_tier("alice", tier="VIP1", valid_from=NOON - timedelta(days=9))
        report = client.report_feedback("alice", kind="BUG", channel="EMAIL", report_time=NOON - timedelta(days=7))
        assert (report.week, report.report_id) == ("2024-W39", "r1")
        assert client.award_bounty(report.week, report_id="r1", bounty=Decimal("50.50"), currency="USDT").tier == "VIP1"
        client.close_bounty_round(report.week)
        (found,) = client.list_bounty_rounds().rounds
        assert (found.week, found.reports, found.awarded, found.HasField("closed_time")) == ("2024-W39", 1, 1, True)
        client.announce_promotion(
            "october", promotion_type="NET_BUY", start_time=NOON, end_time=NOON + timedelta(days=1)
        )
        assert client.check_promotion_eligibility("alice", "NET_BUY").refused_because == "PROMOTION_NOT_ELIGIBLE"
        assert client.award_bonus("alice", promotion_id="october", bonus=5, currency="USDT", override=True).overridden
        assert list(client.list_months_without_promotion(from_time=NOON - timedelta(days=40)).months) == [
            "2024-08",
            "2024-09",
        ]


def test_closes_are_methods_with_plain_values(ledger: Ledger, connect: Connect) -> None:
    with connect(ledger.address, actor="ops-7", approver="ops-8") as client:
        evidence = {"source": "binance-1d", "source_sha256": b"\1" * 32}
        first = client.record_daily_close("BTC", date(2024, 10, 3), Decimal("60000.50"), **evidence)  # type: ignore[arg-type]
        client.record_daily_close("BTC", "2024-10-03", 61_000, restates=first.close.position, **evidence)  # type: ignore[arg-type]
        assert [close.price for close in client.list_closes("BTC", from_day="2024-10-03")] == ["61000"]
        assert [close.price for close in client.list_closes(include_restated=True)] == ["60000.5", "61000"]


def test_authority_is_the_clients_unless_the_call_says_otherwise(ledger: Ledger, connect: Connect) -> None:
    with connect(ledger.address, actor="ops-7", approver="ops-1", ticket="T-1", reason="asked in writing") as client:
        client.change_tier("alice", tier="VIP1")
        client.change_tier("alice", tier="VIP2", actor="ops-9", reason="asked by phone", request_id="mine")
        first, second = client.list_events("account/alice")
    assert (first.actor, second.actor, second.request_id) == ("ops-7", "ops-9", "mine")
    assert len(first.request_id) == 32
    assert first.request_id != second.request_id


def test_fills_are_messages_or_mappings_and_both_are_priced(client: Client) -> None:
    mapping = sample(
        side="SIDE_SELL",
        liquidity=fill_pb2.LIQUIDITY_TAKER,
        order_time=NOON_NS - 1,
        trade_id=None,
        token_payment={"token": "BMX", "price": Decimal("0.25")},
        charged_fee={"amount": Decimal("-0.00"), "currency": "USDT", "rate": "0.0025"},
    )
    answer = client.record_fills([mapping, fill(exec_id="E2")], source="engine", first_sequence=1, include_fees=True)
    assert (answer.recorded, answer.source_sequence, len(answer.fees)) == (2, 2, 2)
    assert client.get_source_position("engine").last_sequence == 2
    line = client.get_fill("alice", date(2024, 10, 4), "E1").line
    assert (line.side, line.last_qty, line.order_time) == (fill_pb2.SIDE_SELL, "10", at(NOON_NS - 1))
    assert (line.token_payment.price, line.charged_fee.amount) == ("0.25", "0")
    assert client.get_fill("alice", "2024-10-04", "E2").line.fill_ref.exec_id == "E2"


def test_more_fills_than_one_call_may_carry_are_not_split(client: Client) -> None:
    with pytest.raises(ValueError, match="10,001 fills in one call, at most 10,000"):
        client.record_fills([fill_pb2.Fill()] * 10_001)


def test_reads_take_both_clocks(client: Client) -> None:
    before = client.position
    client.start_trial("alice", start_time=NOON - timedelta(hours=1))
    microsecond = timedelta(microseconds=1)
    assert client.get_vip_state("alice").tier == "VIP3"
    assert client.get_vip_state("alice", as_of=NOON - timedelta(hours=1) - microsecond).tier == "NONE"
    assert client.get_vip_state("alice", known_at_position=before).tier == "NONE"
    assert client.get_vip_state("alice", known_at_time=NOON_NS).tier == "NONE"
    assert client.get_rates("alice", as_of=NOON).tier == "VIP3"
    quote = {"side": "BUY", "liquidity": "MAKER", "last_px": "0.6", "last_qty": 1000}
    assert client.quote_fee("alice", "XRP_USDT", **quote).fee_amount == "-0.006"  # type: ignore[arg-type]
    late = client.quote_fee("alice", "XRP_USDT", as_of=NOON + timedelta(days=30), **quote)  # type: ignore[arg-type]
    assert late.fee_amount == "1.5"
    with pytest.raises(ValueError, match="not both"):
        client.get_vip_state("alice", known_at_position=1, known_at_time=NOON)


def test_the_ledger_says_who_it_is(ledger: Ledger, client: Client) -> None:
    info = client.get_ledger_info()
    assert (info.ledger_id, info.position) == (ledger.ledger_id, ledger.log.head().position)


# --- plain values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"last_px": 0.5}, "fills[0].last_px"),
        ({"last_qty": 10.0}, "fills[0].last_qty"),
        ({"transact_time": 1728043200.5}, "fills[0].transact_time"),
        ({"token_payment": {"token": "BMX", "price": 0.25}}, "fills[0].token_payment.price"),
        ({"charged_fee": {"amount": -0.1}}, "fills[0].charged_fee.amount"),
        ({"trade_id": 7}, "fills[0].trade_id"),
        ({"side": 1.0}, "fills[0].side"),
        ({"last_qty": True}, "fills[0].last_qty"),
    ],
)
def test_a_float_or_another_wrong_type_is_refused_with_its_path(
    client: Client, changes: dict[str, Any], path: str
) -> None:
    with pytest.raises(TypeError, match=re.escape(path)):
        client.record_fills([sample(**changes)])
    assert list(client.list_fee_history("alice")) == []


def test_a_quote_takes_no_float_either(client: Client) -> None:
    with pytest.raises(TypeError, match=r"last_px is 0\.6, a float: amounts are exact"):
        client.quote_fee("alice", "XRP_USDT", side="BUY", liquidity="MAKER", last_px=0.6, last_qty=1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"side": "LEFT"}, r"fills\[0\].side is 'LEFT': give one of BUY, SELL"),
        ({"price": "0.5"}, r"fills\[0\].price: a Fill has no such field, only account_id, "),
        ({"last_px": Decimal("NaN")}, "NaN, not an amount"),
        ({"last_px": Decimal("1E+999999")}, "not an amount"),
        ({"transact_time": datetime(2024, 10, 4)}, "no time zone: give tzinfo=UTC"),  # noqa: DTZ001
    ],
)
def test_a_value_that_cannot_be_right_is_not_sent(client: Client, changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        client.record_fills([sample(**changes)])


def test_a_naive_datetime_is_refused_wherever_a_time_is_asked_for(client: Client) -> None:
    naive: Any = datetime(2024, 10, 4)  # noqa: DTZ001
    for call in (
        lambda: client.start_trial("alice", start_time=naive),
        lambda: client.get_vip_state("alice", as_of=naive),
        lambda: client.get_vip_state("alice", known_at_time=naive),
        lambda: client.list_fee_history("alice", from_time=naive),
        lambda: client.list_accounts(ending_before=naive),
    ):
        with pytest.raises(ValueError, match="has no time zone"):
            call()
    with pytest.raises(TypeError, match="give an aware datetime"):
        client.start_trial("alice", start_time=date(2024, 10, 4))  # type: ignore[arg-type]


def test_times_keep_every_digit_and_any_zone(client: Client) -> None:
    there = timezone(timedelta(hours=5, minutes=30))
    client.record_fills([
        sample(exec_id="ns", transact_time=NOON_NS - 1),
        sample(exec_id="us", transact_time=datetime(2024, 10, 4, 17, 29, 59, 999999, tzinfo=there)),
    ])  # fmt: skip
    times = {line.fill_ref.exec_id: line.transact_time for line in client.list_fee_history("alice")}
    assert times == {"ns": at(NOON_NS - 1), "us": at(NOON_NS - 1_000)}


def test_a_decimal_with_an_exponent_is_written_out(client: Client) -> None:
    client.record_fills([sample(last_px=Decimal("1E-7"), last_qty=Decimal("1E+3"))])
    (line,) = client.list_fee_history("alice")
    assert (line.last_px, line.last_qty) == ("0.0000001", "1000")


def test_a_keyword_that_no_call_knows_is_refused(client: Client) -> None:
    for call in (
        lambda: client.start_trial("alice", actr="ops"),  # type: ignore[call-arg]
        lambda: client.get_vip_state("alice", as_off=NOON),  # type: ignore[call-arg]
        lambda: client.list_accounts(teir="VIP1"),  # type: ignore[call-arg]
    ):
        with pytest.raises((TypeError, ValueError)):
            call()


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_malformed_request_tells_everything_that_is_wrong(client: Client) -> None:
    with pytest.raises(InvalidRequest) as caught:
        client.ban_account("a b", days=3, reason_code="ORDER_SPAM", start_time=0)
    error = caught.value
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, Reason.ID_MALFORMED)
    assert error.field == "account_id"
    assert str(error).startswith("ID_MALFORMED: 'a b' does not match")
    assert [(fault.field, fault.reason) for fault in error.violations] == [
        ("account_id", Reason.ID_MALFORMED),
        ("start_time", Reason.TIME_OUT_OF_RANGE),
    ]
    assert error.violations[1].description == "before 2009-01-01 or after 2200-01-01"


def test_the_same_name_for_something_else_is_a_conflict(client: Client) -> None:
    client.start_trial("alice", request_id="r1")
    with pytest.raises(Conflict) as caught:
        client.start_trial("bob", request_id="r1")
    assert (caught.value.reason, caught.value.request_id) == (Reason.REQUEST_ID_REUSED, "r1")
    assert client.start_trial("alice", request_id="r1").receipt.replayed


@pytest.mark.parametrize(
    ("call", "reason", "code"),
    [
        (lambda client: client.revoke_tier("alice", grant_id="g9"), Reason.GRANT_UNKNOWN, "NOT_FOUND"),
        (lambda client: client.lift_ban("alice"), Reason.NOT_BANNED, "FAILED_PRECONDITION"),
        (lambda client: client.get_vip_state("alice", known_at_position=999), Reason.POSITION_AHEAD, "OUT_OF_RANGE"),
    ],
    ids=["NOT_FOUND", "FAILED_PRECONDITION", "OUT_OF_RANGE"],
)
def test_what_the_state_does_not_allow_is_refused(
    client: Client, call: Callable[[Client], object], reason: Reason, code: str
) -> None:
    with pytest.raises(Refused) as caught:
        call(client)
    assert (caught.value.reason, caught.value.code.name, caught.value.violations) == (reason, code, [])


def test_a_gap_of_a_source_tells_the_number_to_go_on_with(client: Client) -> None:
    with pytest.raises(Refused) as caught:
        client.record_fills([fill()], source="engine", first_sequence=5)
    assert caught.value.reason is Reason.SEQUENCE_GAP
    assert caught.value.metadata["expected_sequence"] == "1"


def test_a_server_that_gives_no_details_still_gives_a_typed_error(connect: Connect) -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with connect(f"127.0.0.1:{port}") as client, pytest.raises(LedgerError) as caught:
            client.get_ledger_info()
    finally:
        server.stop(None).wait()
    error = caught.value
    assert (type(error), error.code, error.reason) == (LedgerError, grpc.StatusCode.UNIMPLEMENTED, None)
    assert (error.field, error.violations, error.metadata) == ("", [], {})
    assert str(error).startswith("UNIMPLEMENTED: ")


def test_a_ledger_that_is_not_there_is_unavailable(clock: FakeTime, connect: Connect) -> None:
    with connect("127.0.0.1:1", timeout_s=30, connect_timeout_s=1) as client, pytest.raises(Unavailable) as caught:
        client.start_trial("alice")
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.UNAVAILABLE, None)
    assert len(caught.value.request_id) == 32
    assert clock.now_s < 1


def test_a_call_under_way_ends_with_an_error_when_its_client_is_closed(
    trading: Ledger, door: Door, connect: Connect
) -> None:
    client = connect(trading.address)
    call, found = in_background(lambda: client.start_trial("alice", request_id="r1"))
    call.join(0.2)  # the command waits at the door
    client.close()
    call.join(20)
    (error,) = found
    assert (type(error), error.code, error.request_id) == (LedgerError, grpc.StatusCode.CANCELLED, "r1")


def test_a_message_over_the_limit_is_not_tried_again(client: Client, clock: FakeTime) -> None:
    huge = sample(token_payment={"token": "BMX", "price_source": "x" * 17_000_000})
    with pytest.raises(InvalidRequest, match="larger than max"):
        client.record_fills([huge])
    assert clock.pauses_s == []


# --- retries ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "CANCELLED"])
def test_a_command_whose_answers_were_lost_is_one_command(
    ledger: Ledger, wired: Client, wire: Wire, clock: FakeTime, code: str
) -> None:
    wire.lose, wire.code = 2, grpc.StatusCode[code]
    answer = wired.change_tier("alice", tier="VIP2", **FOUR_EYES)
    assert answer.receipt.replayed
    assert topics(ledger, "account/alice") == ["TierChanged"]
    assert len(wire.requests) == 3
    assert len({request.SerializeToString(deterministic=True) for request in wire.requests}) == 1
    first_s, second_s = clock.pauses_s
    assert 0.025 <= first_s <= 0.05 <= second_s <= 0.1


def test_fills_whose_answer_was_lost_are_recorded_once(wired: Client, wire: Wire, clock: FakeTime) -> None:
    wire.lose = 1
    answer = wired.record_fills([sample()])
    assert (answer.recorded, answer.replayed) == (0, 1)
    assert len(list(wired.list_fee_history("alice"))) == 1


def test_the_pause_is_never_shorter_than_the_ledger_asks_for(wired: Client, wire: Wire, clock: FakeTime) -> None:
    wire.lose, wire.retry_after_ms = 2, 1_500
    wired.get_vip_state("alice")
    assert clock.pauses_s == [1.5, 1.5]


def test_pauses_grow_to_a_limit_and_the_deadline_ends_them(wired: Client, wire: Wire, clock: FakeTime) -> None:
    wire.lose = 1_000
    with pytest.raises(Unavailable, match="UNAVAILABLE: lost on its way") as caught:
        wired.start_trial("alice", request_id="r1", timeout_s=60)
    assert caught.value.request_id == "r1"
    assert 50 < clock.now_s < 60
    assert max(clock.pauses_s) <= 2
    assert max(wire.timeouts_s) <= 60


def test_each_attempt_has_more_time_than_the_one_before(wired: Client, wire: Wire, clock: FakeTime) -> None:
    wire.lose = 3
    wired.get_vip_state("alice", timeout_s=100)
    assert [round(timeout_s) for timeout_s in wire.timeouts_s] == [10, 20, 40, 80]


def test_what_is_refused_is_not_tried_again(wired: Client, wire: Wire, clock: FakeTime) -> None:
    with pytest.raises(Refused):
        wired.lift_ban("alice")
    assert (len(wire.requests), clock.pauses_s) == (1, [])


# --- positions and pages ----------------------------------------------------------------------------------------------


def test_reads_wait_for_what_the_client_has_written(wired: Client, wire: Wire) -> None:
    wired.get_vip_state("alice")
    first = wired.start_trial("alice").receipt.position
    second = wired.record_fills([sample()]).position
    wired.get_vip_state("alice")
    list(wired.list_accounts())
    list(wired.list_fee_history("alice", min_position=1))
    assert first < second == wired.position
    asked = [request for request, _ in groupby(wire.requests)]  # a read that waits too long is sent again
    assert asked[0].at.min_position == 0
    assert asked[3].at.min_position == second
    assert asked[4].min_position == second
    assert asked[5].at.min_position == second


def test_an_account_just_registered_is_in_the_list(client: Client) -> None:
    for number in range(5):
        client.register_account(f"acct-{number}", owner_id="acme")
        assert len(list(client.list_accounts(owner_id="acme"))) == number + 1
    client.ban_account("acct-3", days=1, reason_code="ORDER_SPAM", start_time=NOON)
    assert [one.account_id for one in client.list_accounts(owner_id="acme", banned=True)] == ["acct-3"]


def test_a_client_may_do_without_reading_its_writes(ledger: Ledger, connect: Connect, wire: Wire) -> None:
    careless = connect(ledger.address, through=wire.both(), read_your_writes=False)
    careless.start_trial("alice")
    careless.get_vip_state("alice")
    assert wire.requests[-1].at.min_position == 0


@pytest.mark.parametrize("page_size", [1, 7, 1_000])
def test_a_history_over_many_pages_is_one_read_though_fills_arrive_meanwhile(client: Client, page_size: int) -> None:
    client.record_fills([sample(exec_id=f"E{number:02}", transact_time=NOON_NS - number) for number in range(30)])
    found = []
    for number, line in enumerate(client.list_fee_history("alice", page_size=page_size)):
        client.record_fills([sample(exec_id=f"late-{number}", transact_time=NOON_NS - number)])
        found.append(line.fill_ref.exec_id)
    assert found == [f"E{number:02}" for number in range(30)]
    assert len(list(client.list_fee_history("alice"))) == 60


def test_pages_have_the_basis_and_totals_of_the_whole_read(client: Client) -> None:
    client.record_fills([sample(exec_id=f"E{number}") for number in range(5)])
    pages = list(client.fee_history_pages("alice", page_size=2, until_time=NOON_NS + 1))
    assert [len(page.lines) for page in pages] == [2, 2, 1]
    assert {page.totals[0].lines for page in pages} == {5}
    assert len({page.basis.known_at_position for page in pages}) == 1


def test_accounts_and_events_come_over_all_pages(client: Client) -> None:
    for number in range(7):
        client.register_account(f"acct-{number}")
    assert [len(page.accounts) for page in client.account_pages(page_size=3)] == [3, 3, 1]
    assert len(list(client.list_accounts(page_size=3))) == 7
    positions = [event.position for event in client.list_events(page_size=4)]
    assert positions == list(range(1, client.get_ledger_info().position + 1))
    assert [event.position for event in client.list_events(after_position=2, known_at_position=4)] == [3, 4]
    (page,) = client.event_pages("account/acct-0")
    assert [event.topic for event in page.events] == ["AccountRegistered"]


def test_the_python_example_of_the_page_prints_what_it_says(ledger: Ledger) -> None:
    assert EXAMPLE is not None
    program = EXAMPLE[1]
    expected = re.findall(r"  # prints (.*)", program)
    with redirect_stdout(io.StringIO()) as printed:
        exec(compile(program.replace("127.0.0.1:50051", ledger.address), "docs/python.md", "exec"), {})
    assert printed.getvalue().splitlines() == expected


def test_evaluations_are_methods_that_stream(ledger: Ledger, connect: Connect) -> None:
    due = NOON + timedelta(days=3, hours=12)
    with connect(ledger.address, actor="ops-7", approver="ops-8") as client:
        client.register_symbol(
            "XRP_USDT", base_currency="XRP", quote_currency="USDT", price_scale=8, quantity_scale=4, pair_class="A"
        )
        client.record_fills([sample(last_px="1", last_qty="500000")])
        await_tables(ledger)
        ledger.clock.now_ns = NOON_NS + 4 * DAY_NS
        await_tables(ledger)
        first, *_, last = client.plan_evaluation(instant=due)
        assert (first.instant, last.counts.gained) == (at(NOON_NS + 3 * DAY_NS + DAY_NS // 2), 1)
        *_, last = client.run_evaluation(instant=due, read_position=first.basis.known_at_position, ticket="T-1")
        assert (last.counts.gained, last.evaluation.read_position) == (1, first.basis.known_at_position)
        await_tables(ledger)
        assert last.position == client.position == ledger.log.head().position, "reads see all that it recorded"
        assert [one.account_id for one in client.list_accounts(tier="VIP2", as_of=due)] == ["alice"]
        found = client.get_evaluation(instant=due)
        assert (found.status, found.runs[0].actor, found.runs[0].approver) == ("COMPLETED", "ops-7", "ops-8")
        with pytest.raises(Conflict, match="EVALUATION_ALREADY_COMPLETED"):
            list(client.run_evaluation(kind="PERIODIC", instant=due))
        assert client.get_vip_state("alice", as_of=due).tier == "VIP2"
