"""The service config of the contract: gRPC itself takes it, and it says of every RPC what the Python client does."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from ledger.client import AsyncClient, Client, Unavailable
from ledger.client.errors import error_of
from ledger.client.patience import Pauses
from ledger.contract import RPCS, SERVICES
from ledger.v1 import evaluation_service_pb2 as evaluations_pb
from ledger.v1 import query_service_pb2 as pb
from ledger.v1.evaluation_service_pb2_grpc import EvaluationServiceStub
from ledger.v1.query_service_pb2_grpc import QueryServiceStub

FILE: Final = Path(__file__).parents[2] / "proto" / "ledger" / "v1" / "service_config.json"
CONFIG: Final[dict[str, Any]] = json.loads(FILE.read_text())
REPEATED, STREAMED = CONFIG["methodConfig"]
POLICY: Final[dict[str, Any]] = REPEATED["retryPolicy"]


def test_every_rpc_is_sent_again_but_for_those_that_stream() -> None:
    assert REPEATED["name"] == [{"service": name} for name in sorted(service.full_name for service in SERVICES)]
    streams = [rpc for rpc in RPCS.values() if rpc.client_streaming or rpc.server_streaming]
    named = [(one["service"], one["method"]) for one in STREAMED["name"]]
    assert named == sorted((rpc.containing_service.full_name, rpc.name) for rpc in streams)
    assert list(STREAMED) == ["name"], "neither a timeout nor a policy"


def test_the_python_clients_have_its_time_and_its_pauses_and_send_again_after_its_codes() -> None:
    for kind in (Client, AsyncClient):
        assert f"{inspect.signature(kind).parameters['timeout_s'].default:g}s" == REPEATED["timeout"]
    for code in POLICY["retryableStatusCodes"]:
        no = grpc.aio.AioRpcError(grpc.StatusCode[code], grpc.aio.Metadata(), grpc.aio.Metadata())
        assert isinstance(error_of(no), Unavailable)
    pauses, failure = Pauses(), error_of(no)
    first_s, *_, last_s = [pauses.next_s(failure) for _ in range(12)]
    for pause_s, at_most in ((first_s, POLICY["initialBackoff"]), (last_s, POLICY["maxBackoff"])):
        at_most_s = float(at_most.removesuffix("s"))
        assert at_most_s / 2 <= pause_s <= at_most_s


class Failing(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers every call after some failures."""

    def __init__(self) -> None:
        self.calls = 0
        self.failures = 0
        self.code = grpc.StatusCode.UNAVAILABLE

    def service(self, handler_call_details: Any) -> Any:
        if handler_call_details.method.endswith("PlanEvaluation"):
            return grpc.unary_stream_rpc_method_handler(lambda _, context: iter([self._answer(context)]))
        return grpc.unary_unary_rpc_method_handler(lambda _, context: self._answer(context))

    def _answer(self, context: Any) -> bytes:
        self.calls += 1
        if self.calls <= self.failures:
            context.abort(self.code, "not now")
        return b""


@pytest.fixture
def failing() -> Failing:
    return Failing()


@pytest.fixture
def channel(failing: Failing) -> Iterator[grpc.Channel]:
    """A channel of gRPC's own, with the service config, to a server that fails."""
    server = grpc.server(ThreadPoolExecutor(1), handlers=[failing])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.service_config", FILE.read_text())]) as channel:
        yield channel
    server.stop(None).wait()


def code_of(call: Any, request: Any) -> grpc.StatusCode:
    """Return the code of a call, which has no deadline of its own."""
    try:
        answer = call(request)
        if hasattr(answer, "__next__"):
            list(answer)
    except grpc.RpcError as error:
        return error.code()  # type: ignore[attr-defined, no-any-return]
    return grpc.StatusCode.OK


@pytest.mark.parametrize(("failures", "code"), [(4, "OK"), (5, "UNAVAILABLE")])
def test_grpc_itself_sends_a_call_again_up_to_five_times(
    failing: Failing, channel: grpc.Channel, failures: int, code: str
) -> None:
    failing.failures = failures
    assert code_of(QueryServiceStub(channel).GetLedgerInfo, pb.GetLedgerInfoRequest()).name == code
    assert failing.calls == POLICY["maxAttempts"] == 5


@pytest.mark.parametrize("code", ["RESOURCE_EXHAUSTED", "INTERNAL", "FAILED_PRECONDITION"])
def test_grpc_sends_no_other_no_again(failing: Failing, channel: grpc.Channel, code: str) -> None:
    failing.failures, failing.code = 1, grpc.StatusCode[code]
    assert code_of(QueryServiceStub(channel).GetLedgerInfo, pb.GetLedgerInfoRequest()).name == code
    assert failing.calls == 1


def test_grpc_sends_no_stream_again(failing: Failing, channel: grpc.Channel) -> None:
    failing.failures = 1
    call = EvaluationServiceStub(channel).PlanEvaluation
    assert code_of(call, evaluations_pb.PlanEvaluationRequest()) is grpc.StatusCode.UNAVAILABLE
    assert failing.calls == 1
