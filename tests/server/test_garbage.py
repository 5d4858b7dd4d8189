"""Bytes that are no request."""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping
from typing import Any, Final

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from ledger.v1.query_service_pb2 import GetVipStateRequest
from ledger.v1.query_service_pb2_grpc import QueryServiceStub
from tests.conftest import Ledger, StartLedger
from tests.samples import batch, fill, state, symbol
from tests.server.calls import CALL_S_MAX, head
from tests.server.good_requests import METHODS, path_of

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
GARBAGE: Final[Mapping[str, bytes]] = {
    "random bytes": random.Random(1).randbytes(65_536),
    "zeros": bytes(65_536),
    "an HTTP/1.1 request": b"POST /ledger.v1.FillService/RecordFills HTTP/1.1\r\nHost: ledger\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + random.Random(2).randbytes(501),
    "an HTTP/2 preface, then random bytes": PREFACE + random.Random(3).randbytes(65_536),
    "an HTTP/2 preface, then a frame of the greatest length": PREFACE + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
    "half an HTTP/2 preface": PREFACE[:11],
    "nothing": b"",
}


@pytest.mark.parametrize("sent", GARBAGE.values(), ids=list(GARBAGE))
def test_garbage_on_the_port_leaves_the_service_serving(shared: Ledger, sent: bytes) -> None:
    before = head(shared)
    host, _, port = shared.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=CALL_S_MAX) as connection:
        throw(connection, sent)
    with grpc.insecure_channel(shared.address) as channel:
        answer = HealthStub(channel).Check(HealthCheckRequest(), timeout=CALL_S_MAX)
        assert answer.status == HealthCheckResponse.SERVING
        query = GetVipStateRequest(account_id="alice")
        assert QueryServiceStub(channel).GetVipState(query, timeout=CALL_S_MAX).account_id == "alice"
    assert state(shared).account_id == "alice", "a connection from before is not hurt"
    assert head(shared) == before


def throw(connection: socket.socket, sent: bytes) -> None:
    """Send all there is, say that this was it, and read until the server has had enough."""
    try:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65_536):
            pass
    except TimeoutError:
        raise
    except OSError:  # the server hung up first, as it may
        pass


NO_MESSAGE: Final[Mapping[str, bytes]] = {
    "random bytes": random.Random(4).randbytes(4_096),
    "a length beyond the end": b"\x0a\xff\xff\xff\xff\x0f",
    "a varint without an end": b"\x08" + b"\xff" * 32,
    "groups without an end": b"\x0b" * 200,
    "a field with the number 0": b"\x00\x00",
}


@pytest.mark.parametrize("sent", NO_MESSAGE.values(), ids=list(NO_MESSAGE))
def test_bytes_that_are_no_message_get_an_error_and_leave_no_trace(shared: Ledger, sent: bytes) -> None:
    before = head(shared)
    for method in METHODS.values():
        assert answer_to(shared, method, sent) == not_parsed(method)
    assert head(shared) == before


def test_text_that_is_not_utf_8_gets_an_error_and_leaves_no_trace(shared: Ledger) -> None:
    before = head(shared)
    for method in METHODS.values():
        texts = (field for field in method.input_type.fields if field.type == FieldDescriptor.TYPE_STRING)
        for field in texts:
            sent = bytes([field.number << 3 | 2, 2, 0xFF, 0xFE])
            assert answer_to(shared, method, sent) == not_parsed(method)
    assert head(shared) == before


def test_however_many_bytes_are_no_message_the_log_has_a_line_of_them_now_and_then(
    start_ledger: StartLedger, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = start_ledger()
    for _ in range(20):
        answer_to(ledger, METHODS["GetVipState"], NO_MESSAGE["random bytes"])
    (told,) = caplog.records
    assert told.getMessage() == f"the bytes of a request were no {METHODS['GetVipState'].input_type.full_name}"
    assert told.exc_info is None


def test_bytes_that_are_no_message_are_told_in_words_of_grpc_reflection_too(shared: Ledger) -> None:
    call: Any = shared.channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", None, None
    )
    for sent in NO_MESSAGE.values():
        with pytest.raises(grpc.RpcError) as caught:
            list(call(iter([sent]), timeout=CALL_S_MAX))
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]


def not_parsed(method: MethodDescriptor) -> tuple[grpc.StatusCode, str]:
    return grpc.StatusCode.INVALID_ARGUMENT, f"MESSAGE_MALFORMED: the bytes are no {method.input_type.full_name}"


def answer_to(ledger: Ledger, method: MethodDescriptor, sent: bytes) -> tuple[grpc.StatusCode, str]:
    """The status of a call with raw bytes as its message."""
    call: Any = ledger.channel.unary_unary(path_of(method), request_serializer=None, response_deserializer=None)
    with pytest.raises(grpc.RpcError) as caught:
        call(sent, timeout=CALL_S_MAX)
    return caught.value.code(), caught.value.details()  # type: ignore[attr-defined]


def test_an_rpc_nobody_knows_is_unimplemented(shared: Ledger) -> None:
    for path in ("/ledger.v1.FillService/EraseFills", "/ledger.v2.FillService/RecordFills"):
        with pytest.raises(grpc.RpcError) as caught:
            shared.channel.unary_unary(path)(b"", timeout=CALL_S_MAX)
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED  # type: ignore[attr-defined]


def test_a_message_over_the_limit_is_refused_and_the_next_is_not(start_ledger: StartLedger) -> None:
    ledger = start_ledger(message_bytes_max=20_000)
    ledger.commands.RegisterSymbol(symbol())
    with pytest.raises(grpc.RpcError) as caught:
        ledger.fills.RecordFills(batch(*(fill() for _ in range(1_000))), timeout=CALL_S_MAX)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
    assert ledger.fills.RecordFills(batch(fill())).recorded == 1
