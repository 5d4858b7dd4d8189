"""Every read over gRPC at a closed known_at says the same to the byte, whatever is recorded after it.

LEDGER_READS says how many reads of each kind are asked: 3 unless it is set, so that a run of the suite stays short.
"""

from __future__ import annotations

import os
from functools import partial
from random import Random
from typing import Any, Final

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from ledger.domain.instants import DAY_NS, SECOND_NS
from tests.conftest import Ledger, at
from tests.e2e.rules.evaluating import CALL_S_MAX, DUE_NS, run, trade
from tests.samples import batch, fill
from tests.server.calls import await_tables, calling, send
from tests.server.good_requests import METHODS, begun, good, path_of
from tests.server.orders import publish, register, trial

READS: Final = int(os.environ.get("LEDGER_READS", "3"))
SEED: Final = 20_261_129
LATER_NS: Final = DUE_NS + 40 * DAY_NS
RPCS: Final = [name for name, method in METHODS.items() if "at" in method.input_type.fields_by_name]


def sourced(ledger: Ledger, sequence: int, at_ns: int) -> None:
    """A fill of a source that was first heard of long before."""
    ledger.clock.now_ns = max(ledger.clock.now_ns, at_ns)
    record = fill(last_px="1", last_qty="7", transact_time=at(at_ns))
    ledger.fills.RecordFills(batch(record, source="eng", first_sequence=sequence))


def asked(ledger: Ledger, rpc: str, known: int) -> list[bytes] | str:
    """All messages of the answer to a good request, as known at a position; or how it is refused."""
    request = good(rpc)
    request.at.Clear()
    request.at.as_of.CopyFrom(at(LATER_NS))
    request.at.known_at_position = known
    if rpc == "PlanEvaluation":
        request.instant.CopyFrom(at(DUE_NS))
    method = METHODS[rpc]
    kind: Any = ledger.channel.unary_stream if method.server_streaming else ledger.channel.unary_unary
    call = kind(
        path_of(method),
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    try:
        answer = call(request, timeout=CALL_S_MAX)
        messages: list[Message] = list(answer) if method.server_streaming else [answer]
    except grpc.RpcError as error:
        return str(error.details())  # type: ignore[attr-defined]
    return [message.SerializeToString(deterministic=True) for message in messages]


@pytest.fixture
def lived(ledger: Ledger) -> Ledger:
    """A ledger that has answered the good request of every RPC, and on which two sources have sent fills."""
    for name in METHODS:
        values = begun(name, partial(send, ledger))
        await_tables(ledger)
        calling(ledger, name)(good(name, values))
    sourced(ledger, 1, DUE_NS - DAY_NS)
    ledger.clock.now_ns = DUE_NS + SECOND_NS
    trade(ledger, "90000", DUE_NS + SECOND_NS, "bob")
    return ledger


def test_every_read_at_a_closed_known_at_is_answered_as_before(lived: Ledger) -> None:
    random, head = Random(SEED), lived.log.head().position
    questions = [(rpc, random.randint(1, head)) for rpc in RPCS for _ in range(READS)]
    questions += [(rpc, head) for rpc in RPCS]
    await_tables(lived)
    first = [asked(lived, *question) for question in questions]
    assert sum(isinstance(answer, list) for answer in first) > len(questions) // 2
    sourced(lived, 2, DUE_NS - SECOND_NS)
    sourced(lived, 3, DUE_NS + 2 * SECOND_NS)
    lived.fills.RecordFills(batch(fill(transact_time=at(DUE_NS)), source="new", first_sequence=1))
    for name in ("alice", "bob", "carol"):
        trade(lived, "900000", DUE_NS - DAY_NS, name)
    send(lived, register("carol", "owner", parent_account_id="alice"))
    send(lived, trial("dave", start_time=at(DUE_NS - DAY_NS)))
    send(lived, publish("3.9", ("days_of_month = [8, 18, 28]", "days_of_month = [1]")))
    run(lived, instant=at(DUE_NS), complete_sources=["eng", "new", "engine", "streamed"])
    await_tables(lived)
    changed = [question for question, was in zip(questions, first, strict=True) if asked(lived, *question) != was]
    assert changed == []


def test_every_rpc_with_two_clocks_is_asked() -> None:
    assert {"GetVipState", "GetRates", "PlanEvaluation", "GetEvaluation", "ListFeeHistory", "GetFill"} <= {*RPCS}
