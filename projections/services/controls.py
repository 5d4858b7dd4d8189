"""ControlService: what those who watch over the ledger ask. What each RPC answers lies in a module of its own."""

from __future__ import annotations

from typing import Any

from ledger.v1 import control_service_pb2 as pb
from ledger.v1 import control_service_pb2_grpc as pb_grpc
from ledger.wire.status import refusals
from projections.answers.findings import Findings, list_controls
from projections.answers.solo_actions import list_solo_actions
from projections.as_of import Reader


class ControlService(pb_grpc.ControlServiceServicer):
    """Handlers of the RPCs of controls."""

    def __init__(self, reader: Reader, schema: str) -> None:
        self._reader = reader
        self._findings = Findings(reader, schema)

    def ListControls(self, request: pb.ListControlsRequest, context: Any) -> pb.ListControlsResponse:
        with refusals(context):
            return list_controls(request)
        raise AssertionError("refusals end the call")

    def ListFindings(self, request: pb.ListFindingsRequest, context: Any) -> pb.ListFindingsResponse:
        with refusals(context):
            return self._findings.page(request)
        raise AssertionError("refusals end the call")

    def ListSoloActions(self, request: pb.ListSoloActionsRequest, context: Any) -> pb.ListSoloActionsResponse:
        with refusals(context):
            return list_solo_actions(self._reader, request)
        raise AssertionError("refusals end the call")
