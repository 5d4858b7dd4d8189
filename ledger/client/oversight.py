"""Programmes, controls, and who did what alone: what those ask and order who watch over a ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Final, Unpack

import grpc

from ledger.client.calls import Calls
from ledger.client.commanding import Command, Commanding
from ledger.client.plain import Amount, Time, amount, timestamp
from ledger.client.reads import At
from ledger.v1 import control_service_pb2 as controls_pb
from ledger.v1 import control_service_pb2_grpc, programme_service_pb2_grpc
from ledger.v1 import programme_service_pb2 as programmes_pb


class Oversight(Commanding):
    """The half of the client that is about ProgrammeService and ControlService."""

    def __init__(
        self, channel: grpc.Channel, call: Calls, *, authority: Mapping[str, str], read_your_writes: bool
    ) -> None:
        super().__init__(channel, call, authority=authority, read_your_writes=read_your_writes)
        self._programmes: Final = programme_service_pb2_grpc.ProgrammeServiceStub(channel)
        self._controls: Final = control_service_pb2_grpc.ControlServiceStub(channel)

    def publish_programme(
        self, content: str, *, valid_from: Time | None = None, **command: Unpack[Command]
    ) -> programmes_pb.PublishProgrammeResponse:
        """Publish a version of a programme, from now on if not said. It needs an actor and another approver."""
        request = programmes_pb.PublishProgrammeRequest(content=content, valid_from=timestamp(valid_from, "valid_from"))
        return self._command(self._programmes.PublishProgramme, request, **command)

    def assign_pair_class(
        self,
        symbol: str,
        *,
        pair_class: str,
        valid_from: Time | None = None,
        programme_id: str = "",
        **command: Unpack[Command],
    ) -> programmes_pb.AssignPairClassResponse:
        """Give a pair a class, from now on if not said."""
        request = programmes_pb.AssignPairClassRequest(
            symbol=symbol,
            pair_class=pair_class,
            valid_from=timestamp(valid_from, "valid_from"),
            programme_id=programme_id,
        )
        return self._command(self._programmes.AssignPairClass, request, **command)

    def set_pair_rates(
        self,
        symbol: str,
        *,
        maker_rate: Amount | None = None,
        taker_rate: Amount | None = None,
        valid_from: Time | None = None,
        programme_id: str = "",
        **command: Unpack[Command],
    ) -> programmes_pb.SetPairRatesResponse:
        """Give a pair rates of its own, as decimal fractions, from now on if not said; without any, end them."""
        request = programmes_pb.SetPairRatesRequest(
            symbol=symbol,
            maker_rate="" if maker_rate is None else amount(maker_rate, "maker_rate"),
            taker_rate="" if taker_rate is None else amount(taker_rate, "taker_rate"),
            valid_from=timestamp(valid_from, "valid_from"),
            programme_id=programme_id,
        )
        return self._command(self._programmes.SetPairRates, request, **command)

    def get_programme(
        self, programme_id: str = "", *, version: str = "", timeout_s: float | None = None, **at: Unpack[At]
    ) -> programmes_pb.GetProgrammeResponse:
        """A version of a programme with its file: the one in force at as_of, or the one named."""
        request = programmes_pb.GetProgrammeRequest(programme_id=programme_id, version=version, at=self._at(**at))
        return self._call(self._programmes.GetProgramme, request, timeout_s)

    def programme_pages(
        self, programme_id: str = "", *, page_size: int = 0, timeout_s: float | None = None, **at: Unpack[At]
    ) -> Iterator[programmes_pb.ListProgrammesResponse]:
        """Pages of versions, by programme and valid_from."""
        request = programmes_pb.ListProgrammesRequest(programme_id=programme_id, page_size=page_size, at=self._at(**at))
        return self._pages(self._programmes.ListProgrammes, request, timeout_s)

    def list_programmes(
        self, programme_id: str = "", *, page_size: int = 0, timeout_s: float | None = None, **at: Unpack[At]
    ) -> Iterator[programmes_pb.ProgrammeVersion]:
        """Every version that was published, of one programme or of all, without their files."""
        pages = self.programme_pages(programme_id, page_size=page_size, timeout_s=timeout_s, **at)
        return chain.from_iterable(page.programmes for page in pages)

    def pair_pages(
        self, programme_id: str = "", *, page_size: int = 0, timeout_s: float | None = None, **at: Unpack[At]
    ) -> Iterator[programmes_pb.ListPairsResponse]:
        """Pages of registered symbols with their class and rates of their own at as_of."""
        request = programmes_pb.ListPairsRequest(programme_id=programme_id, page_size=page_size, at=self._at(**at))
        return self._pages(self._programmes.ListPairs, request, timeout_s)

    def list_pairs(
        self, programme_id: str = "", *, page_size: int = 0, timeout_s: float | None = None, **at: Unpack[At]
    ) -> Iterator[programmes_pb.Pair]:
        """Class and rates of each pair at as_of, by symbol."""
        pages = self.pair_pages(programme_id, page_size=page_size, timeout_s=timeout_s, **at)
        return chain.from_iterable(page.pairs for page in pages)

    def list_controls(self, *, timeout_s: float | None = None) -> list[controls_pb.Control]:
        """The controls there are."""
        found = self._call(self._controls.ListControls, controls_pb.ListControlsRequest(), timeout_s)
        return list(found.controls)

    def finding_pages(
        self,
        control: str = "",
        *,
        as_of: Time | None = None,
        within_days: int = 0,
        programme_id: str = "",
        min_position: int = 0,
        page_size: int = 0,
        timeout_s: float | None = None,
    ) -> Iterator[controls_pb.ListFindingsResponse]:
        """Pages of what a control finds, or all of them; within_days 0 is 30."""
        request = controls_pb.ListFindingsRequest(
            control=control,
            as_of=timestamp(as_of, "as_of"),
            within_days=within_days,
            programme_id=programme_id,
            min_position=self._at_least(min_position),
            page_size=page_size,
        )
        return self._pages(self._controls.ListFindings, request, timeout_s)

    def list_findings(
        self,
        control: str = "",
        *,
        as_of: Time | None = None,
        within_days: int = 0,
        programme_id: str = "",
        min_position: int = 0,
        page_size: int = 0,
        timeout_s: float | None = None,
    ) -> Iterator[controls_pb.Finding]:
        """Yield what a control finds, or all of them, by control and finding_id; within_days 0 is 30."""
        pages = self.finding_pages(
            control,
            as_of=as_of,
            within_days=within_days,
            programme_id=programme_id,
            min_position=min_position,
            page_size=page_size,
            timeout_s=timeout_s,
        )
        return chain.from_iterable(page.findings for page in pages)

    def solo_action_pages(
        self,
        actor: str = "",
        *,
        from_time: Time | None = None,
        until_time: Time | None = None,
        page_size: int = 0,
        timeout_s: float | None = None,
        **at: Unpack[At],
    ) -> Iterator[controls_pb.ListSoloActionsResponse]:
        """Pages of what one person, or anybody, did alone; the period is of when it was recorded."""
        request = controls_pb.ListSoloActionsRequest(
            actor=actor,
            from_time=timestamp(from_time, "from_time"),
            until_time=timestamp(until_time, "until_time"),
            page_size=page_size,
            at=self._at(**at),
        )
        return self._pages(self._controls.ListSoloActions, request, timeout_s)

    def list_solo_actions(
        self,
        actor: str = "",
        *,
        from_time: Time | None = None,
        until_time: Time | None = None,
        page_size: int = 0,
        timeout_s: float | None = None,
        **at: Unpack[At],
    ) -> Iterator[controls_pb.SoloAction]:
        """Yield what one person, or anybody, did alone, in position order."""
        pages = self.solo_action_pages(
            actor, from_time=from_time, until_time=until_time, page_size=page_size, timeout_s=timeout_s, **at
        )
        return chain.from_iterable(page.actions for page in pages)
