"""Sending calls to a running ledger, and judging how each was answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from ledger.domain.refusal import Reason
from ledger.v1.query_service_pb2 import GetLedgerInfoRequest
from ledger.v1.query_service_pb2_grpc import QueryServiceStub
from tests.fuzz.known import Known
from tests.fuzz.requests import EVERY_RPC, Call, calls
from tests.server.good_requests import METHODS, good, path_of

CALL_S_MAX: Final = 300  # a call without an answer by then hangs; the machine may have better things to do
AT_ONCE: Final = 64  # calls that are under way together
_EXAMPLES: Final = 10  # of one seed: after these Hypothesis would send most calls several times, nearly as they were
_FEW_RPCS: Final = AT_ONCE // 8  # no more are in the simplest example, which always comes first

_NEVER: Final = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DEADLINE_EXCEEDED}
# No field can be named of bytes that are no message, nor of a message that has too many.
_WITHOUT_FIELD: Final = {Reason.MESSAGE_MALFORMED.name, Reason.LIST_TOO_LONG.name}
_LEDGER: Final = "ledger.v1."


@dataclass
class Fuzzing:
    """One run: what was sent, how it was answered, and what should not have been answered so."""

    channel: grpc.Channel
    known: Known = field(default_factory=Known)
    answered: Counter[tuple[str, str]] = field(default_factory=Counter)  # by method and status
    findings: list[str] = field(default_factory=list)

    def run(self, count: int, number: int) -> None:
        """Send as many calls, the same ones for the same seed, as far as the ledger answers them alike."""
        self.known.ledger_id = QueryServiceStub(self.channel).GetLedgerInfo(GetLedgerInfoRequest()).ledger_id
        for method in METHODS.values():  # one after the other: a ledger in which there is something of everything
            self.send([Call(method, [good(method.name).SerializeToString()])])
        while self.sent < count:
            self._run(number)
            number += 1

    def _run(self, number: int) -> None:
        @seed(number)
        @settings(
            max_examples=_EXAMPLES,
            phases=[Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(calls(self.known), min_size=AT_ONCE, max_size=AT_ONCE))
        def send_all(together: Sequence[Call]) -> None:
            if len({call.method for call in together}) > _FEW_RPCS:
                self.send(together)

        send_all()

    def send(self, together: Sequence[Call]) -> None:
        """Send calls at the same time, and judge the answer of each."""
        under_way = [(call, self._start(call)) for call in together]
        for call, answers in under_way:
            self._end(call, answers)

    def _start(self, call: Call) -> Any:
        """Begin a call. On the wire a single message is a stream of one."""
        answers = self.channel.stream_stream(path_of(call.method), None, None)(iter(call.sent), timeout=CALL_S_MAX)
        if call.is_left or call.method.name == "Watch":  # which does not end by itself
            answers.cancel()
        return answers

    def _end(self, call: Call, answers: Any) -> None:
        try:
            found = [GetMessageClass(call.method.output_type).FromString(data) for data in answers]
        except grpc.RpcError:
            self.answered[call.method.name, answers.code().name] += 1
            if fault := _fault(call, answers):
                self.findings.append(f"{fault}: {call}")
            return
        self.answered[call.method.name, "OK"] += 1
        for message in (*_readable(call), *found):
            self.known.learn(message)

    @property
    def sent(self) -> int:
        """How many calls were answered, or left."""
        return self.answered.total()

    def table(self) -> Iterator[str]:
        """Lines for people: how many calls of each RPC ended with each status."""
        for name in sorted({name for name, _ in self.answered}):
            told = {status: count for (method, status), count in self.answered.items() if method == name}
            yield f"{name:<28}" + ", ".join(
                f"{status} {told[status]}" for status in sorted(told, key=lambda s: -told[s])
            )

    @property
    def untried(self) -> set[str]:
        """RPCs that were not called."""
        return {method.name for method in EVERY_RPC} - {name for name, _ in self.answered}


def _readable(call: Call) -> list[Any]:
    found = []
    for data in call.sent:
        try:
            found.append(GetMessageClass(call.method.input_type).FromString(data))
        except DecodeError:
            continue
    return found


def _fault(call: Call, failed: Any) -> str:
    """What is wrong with how a call was refused; empty: nothing."""
    code = failed.code()
    if code == grpc.StatusCode.CANCELLED:
        return "" if call.is_left or call.method.name == "Watch" else "it was cancelled"
    told = f"{code.name} {str(failed.details())[:300]!r}"
    if code in _NEVER:
        return told
    if not call.method.full_name.startswith(_LEDGER):  # a contract of gRPC, which has no reasons
        return ""
    return _fault_of(rpc_status.from_call(failed), told)


def _fault_of(status: Status | None, told: str) -> str:
    info, bad = ErrorInfo(), BadRequest()
    if status is None or not status.details or not status.details[0].Unpack(info):
        return f"{told} without a reason"
    if info.domain != "ledger.v1" or info.reason not in Reason.__members__:
        return f"{told} with the reason {info.domain} {info.reason}"
    if status.code != grpc.StatusCode.INVALID_ARGUMENT.value[0] or info.reason in _WITHOUT_FIELD:
        return ""
    named = status.details[1].Unpack(bad) and all(each.field and each.reason for each in bad.field_violations)
    return "" if named and info.metadata["field"] else f"{told} without a field"
