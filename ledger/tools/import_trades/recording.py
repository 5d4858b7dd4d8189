"""Sending the fills of a tape to a ledger: in order, numbered by a source, so that none is lost or recorded twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import Any, Final, TypeVar

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from ledger.tools.import_trades.fills import ACTOR, Leg, Tape
from ledger.v1.command_service_pb2_grpc import CommandServiceStub
from ledger.v1.fill_pb2 import Fill, FillRef
from ledger.v1.fill_service_pb2 import FillRefusal, GetSourcePositionRequest, RecordFillsRequest, RecordFillsResponse
from ledger.v1.fill_service_pb2_grpc import FillServiceStub
from ledger.v1.query_service_pb2 import FeeLine, GetFillRequest
from ledger.v1.query_service_pb2_grpc import QueryServiceStub
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
    """Counts of what became of the fills so far: each is recorded, replayed or refused."""

    total: int = 0
    before: int = 0  # sent by an earlier run
    recorded: int = 0
    replayed: int = 0  # in the ledger before this run, with the same content
    refused: int = 0  # not in the ledger
    too_fine: bool = False
    ledger_id: str = ""
    position: int = 0
    shown: list[str] = field(default_factory=list)

    @property
    def present(self) -> int:
        """The fills that the ledger is known to have."""
        return self.recorded + self.replayed

    @property
    def done(self) -> int:
        """The fills that the ledger has answered for."""
        return self.present + self.refused

    def add(self, response: RecordFillsResponse, legs: Sequence[Leg], refusals: Sequence[FillRefusal]) -> None:
        """Count the answer to a batch; `refusals` are those of fills that the ledger has from nobody else either."""
        self.recorded += response.recorded
        self.replayed += response.replayed + len(response.refusals) - len(refusals)
        self.refused += len(refusals)
        self.position = response.position
        for refusal in refusals[: SHOWN_MAX - len(self.shown)]:
            leg, reason = legs[refusal.index], Reason.Name(refusal.reason).removeprefix("REASON_")
            self.shown.append(f"refused {leg.place}, {leg.fill.exec_id}: {reason}: {refusal.message}")
        self.too_fine |= any(
            refusal.reason in (REASON_PRICE_TOO_FINE, REASON_QUANTITY_TOO_FINE) for refusal in refusals
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
    """Ask how many fills of the tape the ledger was sent before, and write it into `outcome`. Raises grpc.RpcError."""
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
    """Send every fill, and `show` after each batch; `outcome` is current throughout.

    What an earlier run sent is sent again, under the same numbers: the ledger compares it, records nothing twice, and
    says once more what it refused. Raises grpc.RpcError where the ledger refuses a batch, or cannot take it within
    `patience_s`.
    """
    fills, queries = FillServiceStub(channel), QueryServiceStub(channel)

    def is_recorded(fill: Fill) -> bool:
        """Look for a fill that was refused under its number: another attempt may have recorded it since."""
        return _is_recorded(lambda request: _answer(queries.GetFill, request, patience_s, tell), tape.venue, fill)

    rest = tape.legs()
    while legs := list(islice(rest, batch_max)):
        first = outcome.done + 1
        request = RecordFillsRequest(
            venue=tape.venue,
            source=tape.source,
            first_sequence=first,
            fills=[leg.fill for leg in legs],
            actor=ACTOR,
        )
        response = _answer(fills.RecordFills, request, patience_s, tell)
        refusals = [
            refusal
            for refusal in response.refusals
            if first + refusal.index > outcome.before or not is_recorded(legs[refusal.index].fill)
        ]
        outcome.add(response, legs, refusals)
        show()


def _is_recorded(ask: Callable[[GetFillRequest], Any], venue: str, fill: Fill) -> bool:
    """Return True if the ledger has this fill with this content, whoever sent it."""
    day = fill.transact_time.ToDatetime().date().isoformat()
    ref = FillRef(venue=venue, account_id=fill.account_id, day=day, exec_id=fill.exec_id)
    try:
        line = ask(GetFillRequest(fill_ref=ref)).line
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        return False
    return _content(line) == _content(fill)


def _content(of: Fill | FeeLine) -> tuple[Any, ...]:
    """Return what a leg of a tape says, amounts by their value."""
    amounts = (Decimal(of.last_px), Decimal(of.last_qty))
    names = (of.symbol, of.side, of.liquidity, of.channel, of.trade_id, of.counterparty_owner_id)
    return (*amounts, of.transact_time.ToNanoseconds(), *names)
