"""Sending the fills of a tape to a ledger: in order, numbered by a source, so that none is lost or recorded twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, TypeVar

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from ledger.tools.import_trades.fills import ACTOR, Tape
from ledger.v1 import fill_pb2
from ledger.v1.command_service_pb2_grpc import CommandServiceStub
from ledger.v1.fill_service_pb2 import GetSourcePositionRequest, RecordFillsRequest, RecordFillsResponse
from ledger.v1.fill_service_pb2_grpc import FillServiceStub
from ledger.v1.refusal_pb2 import REASON_PRICE_TOO_FINE, REASON_QUANTITY_TOO_FINE, Reason

FIRST_ANSWER_S_MAX: Final = 5  # a ledger that has not answered yet is hardly being restarted
CALL_S_MAX: Final = 30
PAUSE_S_MAX: Final = 2.0
SHOWN_MAX: Final = 5
RETRIED: Final = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)
# By default a channel looks for a restarted service less and less often, up to every two minutes.
CHANNEL_OPTIONS: Final = [(f"grpc.{name}_reconnect_backoff_ms", ms) for name, ms in (("initial", 100), ("max", 1_000))]

Request = TypeVar("Request")
Response = TypeVar("Response")


@dataclass
class Outcome:
    """What became of the fills so far."""

    total: int = 0
    before: int = 0  # taken by an earlier run
    recorded: int = 0
    replayed: int = 0
    refused: int = 0
    too_fine: bool = False
    ledger_id: str = ""
    position: int = 0
    shown: list[str] = field(default_factory=list)

    @property
    def done(self) -> int:
        """The fills that the ledger has taken, recorded or not."""
        return self.before + self.recorded + self.replayed + self.refused

    def add(self, response: RecordFillsResponse, batch: Sequence[fill_pb2.Fill]) -> None:
        """Count the answer to a batch.

        Fills that were refused in an answer that got lost have no refusal in the next one; they just have no fee.
        """
        refused = {refusal.index: refusal for refusal in response.refusals}
        lost = [place for place, fee in enumerate(response.fees) if not fee.fee_currency and place not in refused]
        self.recorded += response.recorded
        self.replayed += response.replayed - len(lost)
        self.refused += len(refused) + len(lost)
        self.position = response.position
        for place in sorted([*refused, *lost])[: SHOWN_MAX - len(self.shown)]:
            why = "the reason was lost with the first answer"
            if place in refused:
                why = f"{Reason.Name(refused[place].reason).removeprefix('REASON_')}: {refused[place].message}"
            self.shown.append(f"refused {batch[place].exec_id}: {why}")
        self.too_fine |= any(
            refusal.reason in (REASON_PRICE_TOO_FINE, REASON_QUANTITY_TOO_FINE) for refusal in response.refusals
        )


def _answer(
    method: Callable[..., Response], request: Request, patience_s: float, tell: Callable[[str], None]
) -> Response:
    """Return the answer to a request that may safely be sent twice: it is, while the service cannot answer."""
    until_s, pause_s = time.monotonic() + patience_s, 0.1
    while True:
        try:
            return method(request, timeout=CALL_S_MAX)
        except grpc.RpcError as error:
            if error.code() not in RETRIED or time.monotonic() + pause_s > until_s:
                raise
            tell(f"no answer ({reason_of(error)[1]}): trying again for up to {patience_s} s")
        tell = _silent
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, PAUSE_S_MAX)


def reason_of(error: Any) -> tuple[str, str]:
    """Return the ledger's reason, or "" if something else answered, and one line for a person."""
    status = rpc_status.from_call(error)
    info = ErrorInfo()
    for detail in status.details if status else ():
        if detail.Unpack(info):
            return info.reason, " ".join(status.message.split())
    return "", f"{error.code().name}: {' '.join((error.details() or '').split())}"


def _silent(_: str) -> None:
    """Tell nobody."""


def connect(address: str) -> grpc.Channel:
    """Return a channel that soon finds a restarted service again."""
    return grpc.insecure_channel(address, CHANNEL_OPTIONS)


def register(channel: grpc.Channel, tape: Tape, patience_s: float) -> bool:
    """Register the symbol; return False if it is registered already, on whatever terms. Raises grpc.RpcError."""
    try:
        _answer(
            CommandServiceStub(channel).RegisterSymbol,
            tape.symbol_request(),
            min(patience_s, FIRST_ANSWER_S_MAX),
            _silent,
        )
    except grpc.RpcError as error:
        if reason_of(error)[0] != "SYMBOL_ALREADY_REGISTERED":
            raise
        return False
    return True


def ask_position(
    channel: grpc.Channel, tape: Tape, outcome: Outcome, patience_s: float, tell: Callable[[str], None]
) -> None:
    """Ask how many fills of the tape the ledger has taken before, and write it into `outcome`. Raises grpc.RpcError."""
    request = GetSourcePositionRequest(source=tape.source)
    found = _answer(FillServiceStub(channel).GetSourcePosition, request, patience_s, tell)
    outcome.before, outcome.ledger_id, outcome.position = found.last_sequence, found.ledger_id, found.position


def record(
    channel: grpc.Channel,
    tape: Tape,
    outcome: Outcome,
    *,
    batch_max: int,
    patience_s: float,
    show: Callable[[], None],
    tell: Callable[[str], None],
) -> None:
    """Send what the ledger had not taken before, and `show` after each batch; `outcome` is current throughout.

    Raises grpc.RpcError where the ledger refuses a batch, or cannot take it within `patience_s`.
    """
    fills = FillServiceStub(channel)
    rest = islice(tape.fills(), outcome.before, None)
    while batch := list(islice(rest, batch_max)):
        request = RecordFillsRequest(
            venue=tape.venue,
            source=tape.source,
            first_sequence=outcome.done + 1,
            fills=batch,
            include_fees=True,  # tells refused fills from recorded ones where a batch is sent twice
            actor=ACTOR,
        )
        outcome.add(_answer(fills.RecordFills, request, patience_s, tell), batch)
        show()
