"""Of several faults the one with the lowest number ends the request, and all are told."""

from __future__ import annotations

from itertools import combinations
from typing import Final

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest
from grpc_status import rpc_status

from ledger.domain.refusal import Reason
from tests.conftest import Ledger
from tests.samples import batch, fill
from tests.server.bad_rows import ALL_ROWS, FIELD_ROWS, FIELDS, Row
from tests.server.calls import expected, refused, said, send
from tests.server.good_requests import BATCH_MAX, full_fill, good
from tests.server.orders import ban

SAID_LATER: Final = {"days"}  # how many days a ban may have is for the programme to say


def of_one_kind_each(method: str) -> list[Row]:
    """One row of a method for each field and reason. Of the fields of a fill a few: `shape_fault` orders them alone."""
    some = ("fills.account_id", "fills.last_px", "fills.token_payment.price_source", "fills.transact_time")
    rows: dict[tuple[str, Reason], Row] = {}
    for row in filter(lambda row: row.method == method, ALL_ROWS):
        if row.path in some or not row.path.startswith("fills."):
            rows.setdefault((row.path, row.reason), row)
    return list(rows.values())


def fit_together(first: Row, second: Row) -> bool:
    """Whether two faults can be in one request at once, neither undoing nor explaining the other."""
    paths = {*first.values, *second.values}
    nested = any(other.startswith(f"{path}.") for path in paths for other in paths)
    clocks = {"at.known_at_position", "at.known_at_time"} <= paths  # a oneof
    sourced = "source" in paths and any(path.startswith("fills") for path in paths)  # then a fill is refused alone
    named = "source" in paths and any(row.field == "source" and "source" not in row.values for row in (first, second))
    later = any(row.path in SAID_LATER and row.reason < max(first.reason, second.reason) for row in (first, second))
    by_state = min(first.reason, second.reason) >= Reason.REQUEST_ID_REUSED  # no two of these in any order of ours
    return not (nested or clocks or sourced or named or later or by_state or set(first.values) & set(second.values))


@pytest.mark.parametrize("method", [method for method, fields in FIELDS.items() if fields])
def test_of_two_faults_in_a_request_the_one_with_the_lower_number_is_given(shared: Ledger, method: str) -> None:
    wrong: list[str] = []
    for pair in combinations(of_one_kind_each(method), 2):
        if pair[0].reason == pair[1].reason or not fit_together(*pair):
            continue
        lower, higher = sorted(pair, key=lambda row: row.reason)
        found = refused(shared, good(method, {**higher.values, **lower.values}))
        if said(found) != expected(lower.reason, lower.field):
            wrong.append(f"{lower.reason.name} of [{lower}] gave way to {found.reason} with [{higher}]")
    assert not wrong, "\n".join(wrong)


def test_of_two_bad_fills_the_one_with_the_lower_number_is_given(shared: Ledger) -> None:
    found = refused(shared, good("RecordFills", {"fills": [fill(last_px="1e5"), fill(), fill(exec_id="")]}))
    assert (found.reason, found.field) == ("FIELD_REQUIRED", "fills[2].exec_id")


def test_a_gap_is_said_before_an_unknown_venue(shared: Ledger) -> None:
    request = good("RecordFills", {"venue": "nowhere", "source": "nobody", "first_sequence": 2})
    assert refused(shared, request).reason == "SEQUENCE_GAP"


def test_a_product_without_rates_is_said_before_a_price_too_fine(shared: Ledger) -> None:
    answer = shared.fills.RecordFills(batch(fill(last_px="0.123456789", product=2)))
    assert [Reason(found.reason).name for found in answer.refusals] == ["PRODUCT_WITHOUT_RATES"]


def test_a_ban_out_of_range_is_said_before_a_request_id_used_for_something_else(shared: Ledger) -> None:
    first = ban("two-faults", days=1)
    send(shared, first)
    found = refused(shared, ban("two-faults", days=0, request_id=first.request_id))
    assert found.reason == "BAN_DAYS_OUT_OF_RANGE"


def violations(error: grpc.RpcError) -> list[tuple[str, str]]:
    """(field, reason) of everything a refusal says is wrong."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None, error
    told = BadRequest()
    assert status.details[1].Unpack(told)
    return [(violation.field, violation.reason) for violation in told.field_violations]


@pytest.mark.parametrize("method", [method for method, fields in FIELDS.items() if fields])
def test_everything_wrong_with_a_request_is_told_at_once(shared: Ledger, method: str) -> None:
    rows = {row.path: row for row in FIELD_ROWS if row.method == method and not row.path.startswith("fills.")}
    request = good(method, {path: row.values[path] for path, row in rows.items()})
    with pytest.raises(grpc.RpcError) as caught:
        send(shared, request)
    told = violations(caught.value)
    expected_at_least = {(row.field, row.reason.name) for row in rows.values() if row.path not in SAID_LATER}
    assert sorted(expected_at_least - set(told)) == []
    assert Reason[told[0][1]] == min(row.reason for row in rows.values())


HEADERS_BYTES_MAX: Final = 8_192  # gRPC's default: more may be dropped on the way, and with it the reason


WORST_IDS: Final = {"spaces": "ali ce" * 10, "NUL": "\x00" * 64, "emoji": "\U0001f600" * 64, "tags": "\U000e0001" * 64}


@pytest.mark.parametrize("value", WORST_IDS.values(), ids=list(WORST_IDS))
def test_however_much_is_wrong_with_a_batch_its_reason_arrives(shared: Ledger, value: str) -> None:
    request = batch(*(full_fill(counterparty_owner_id=value) for _ in range(BATCH_MAX)))
    with pytest.raises(grpc.RpcError) as caught:
        send(shared, request)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT, caught.value  # type: ignore[attr-defined]
    assert violations(caught.value)[0] == ("fills[0].counterparty_owner_id", "ID_MALFORMED")
    trailers = caught.value.trailing_metadata()  # type: ignore[attr-defined]
    sizes = [len(key) + len(value) * (4 / 3 if key.endswith("-bin") else 1) + 32 for key, value in trailers]
    assert sum(sizes) < HEADERS_BYTES_MAX
