"""Daily closes, and the streams of evaluations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Unpack

from ledger.client.generated import Generated
from ledger.client.plain import Amount, Time, amount, member, timestamp, utc_day
from ledger.client.requests import At, Command
from ledger.v1 import evaluation_service_pb2 as pb


class Evaluations(Generated):
    """Methods about EvaluationService that take other values than the contract has, or yield a stream."""

    def record_daily_close(
        self,
        asset: str,
        day: date | str,
        price: Amount,
        *,
        source: str,
        source_sha256: bytes,
        currency: str = "",
        restates: int = 0,
        **command: Unpack[Command],
    ) -> pb.RecordDailyCloseResponse:
        """Record the close of a UTC day; `restates` is the position of the close it replaces, and takes two persons."""
        request = pb.RecordDailyCloseRequest(
            asset=asset,
            day=utc_day(day, "day"),
            price=amount(price, "price"),
            currency=currency,
            source=source,
            source_sha256=source_sha256,
            restates=restates,
        )
        return self._command(self._evaluation_service.RecordDailyClose, request, **command)

    def plan_evaluation(
        self,
        *,
        programme_id: str = "",
        kind: str | int = 0,
        instant: Time | None = None,
        timeout_s: float | None = None,
        **at: Unpack[At],
    ) -> Iterator[pb.PlanEvaluationResponse]:
        """Yield what an evaluation would give: first what it is, then accounts, last the counts. as_of is not used."""
        request = pb.PlanEvaluationRequest(
            programme_id=programme_id,
            kind=member(pb.EvaluationKind, kind, "kind"),
            instant=timestamp(instant, "instant"),
            at=self._at(**at),
        )
        return self._call.messages(self._evaluation_service.PlanEvaluation, request, timeout_s, resumed=False)

    def run_evaluation(
        self,
        *,
        programme_id: str = "",
        kind: str | int = 0,
        instant: Time | None = None,
        read_position: int = 0,
        complete_sources: Sequence[str] = (),
        request_id: str = "",
        validate_only: bool = False,
        timeout_s: float | None = None,
        **authority: str,
    ) -> Iterator[pb.RunEvaluationResponse]:
        """Evaluate volume: how far it is, and last the counts. A run that breaks off is gone on with.

        It takes an actor and another approver where the programme says so. With `validate_only` none begins: the one
        message says whether it would.
        """
        request = pb.RunEvaluationRequest(
            programme_id=programme_id,
            kind=member(pb.EvaluationKind, kind, "kind"),
            instant=timestamp(instant, "instant"),
            read_position=read_position,
            complete_sources=complete_sources,
        )
        self._sign(request, request_id, authority, validate_only=validate_only)
        if validate_only:
            self._ask_for_previews(timeout_s)
        for message in self._call.messages(self._evaluation_service.RunEvaluation, request, timeout_s, resumed=True):
            self._wrote(max(message.receipt.position, message.position))
            yield message
