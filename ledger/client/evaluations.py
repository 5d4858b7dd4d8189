"""Daily closes and evaluations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import chain
from typing import Final, Unpack

import grpc

from ledger.client.calls import Calls
from ledger.client.commanding import Command, Commanding
from ledger.client.plain import Amount, Time, amount, member, timestamp, utc_day
from ledger.client.reads import At
from ledger.v1 import evaluation_service_pb2 as pb
from ledger.v1 import evaluation_service_pb2_grpc


class Evaluations(Commanding):
    """The half of the client that is about EvaluationService."""

    def __init__(
        self, channel: grpc.Channel, call: Calls, *, authority: Mapping[str, str], read_your_writes: bool
    ) -> None:
        super().__init__(channel, call, authority=authority, read_your_writes=read_your_writes)
        self._evaluations: Final = evaluation_service_pb2_grpc.EvaluationServiceStub(channel)

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
        return self._command(self._evaluations.RecordDailyClose, request, **command)

    def close_pages(
        self,
        asset: str = "",
        *,
        from_day: date | str = "",
        until_day: date | str = "",
        include_restated: bool = False,
        page_size: int = 0,
        timeout_s: float | None = None,
        **at: Unpack[At],
    ) -> Iterator[pb.ListClosesResponse]:
        """Pages of closes; until_day is not included."""
        request = pb.ListClosesRequest(
            asset=asset,
            from_day=utc_day(from_day, "from_day"),
            until_day=utc_day(until_day, "until_day"),
            include_restated=include_restated,
            page_size=page_size,
            at=self._at(**at),
        )
        return self._pages(self._evaluations.ListCloses, request, timeout_s)

    def list_closes(
        self,
        asset: str = "",
        *,
        from_day: date | str = "",
        until_day: date | str = "",
        include_restated: bool = False,
        page_size: int = 0,
        timeout_s: float | None = None,
        **at: Unpack[At],
    ) -> Iterator[pb.Close]:
        """Closes that were known, by asset, day and currency; until_day is not included."""
        pages = self.close_pages(
            asset,
            from_day=from_day,
            until_day=until_day,
            include_restated=include_restated,
            page_size=page_size,
            timeout_s=timeout_s,
            **at,
        )
        return chain.from_iterable(page.closes for page in pages)

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
        return self._call.messages(self._evaluations.PlanEvaluation, request, timeout_s, resumed=False)

    def run_evaluation(
        self,
        *,
        programme_id: str = "",
        kind: str | int = 0,
        instant: Time | None = None,
        read_position: int = 0,
        complete_sources: Sequence[str] = (),
        request_id: str = "",
        timeout_s: float | None = None,
        **authority: str,
    ) -> Iterator[pb.RunEvaluationResponse]:
        """Evaluate volume: how far it is, and last the counts. A run that breaks off is gone on with.

        It takes an actor and another approver where the programme says so.
        """
        request = pb.RunEvaluationRequest(
            programme_id=programme_id,
            kind=member(pb.EvaluationKind, kind, "kind"),
            instant=timestamp(instant, "instant"),
            read_position=read_position,
            complete_sources=complete_sources,
        )
        self._sign(request, request_id, authority)
        for message in self._call.messages(self._evaluations.RunEvaluation, request, timeout_s, resumed=True):
            self._wrote(max(message.receipt.position, message.position))
            yield message

    def get_evaluation(
        self,
        *,
        programme_id: str = "",
        kind: str | int = 0,
        instant: Time | None = None,
        timeout_s: float | None = None,
        **at: Unpack[At],
    ) -> pb.GetEvaluationResponse:
        """An evaluation and its runs."""
        request = pb.GetEvaluationRequest(
            programme_id=programme_id,
            kind=member(pb.EvaluationKind, kind, "kind"),
            instant=timestamp(instant, "instant"),
            at=self._at(**at),
        )
        return self._call(self._evaluations.GetEvaluation, request, timeout_s)
