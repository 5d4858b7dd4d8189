"""The read half of EvaluationService."""

from __future__ import annotations

from ledger.v1 import evaluation_service_pb2 as pb
from projections.as_of import Reader
from projections.closes import list_closes


class EvaluationReads:
    """What EvaluationService answers to reads."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def closes(self, request: pb.ListClosesRequest) -> pb.ListClosesResponse:
        """One page of closes."""
        return list_closes(self._reader, request)
