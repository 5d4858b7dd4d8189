"""ListControls and ListFindings: which controls there are, and what they find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ledger.domain.refusal import Reason
from ledger.v1 import control_service_pb2 as pb
from ledger.wire.fields import Shape, optional_id, read_ns
from ledger.wire.status import refuse, timestamp
from projections.as_of import Reader
from projections.controls import CONTROLS
from projections.controls.scope import Finding
from projections.page_token import PageToken, encode_token
from projections.paging import page_size, token_of
from projections.searches import Found, Page, Search
from projections.tables.position import wait_for_tables

WITHIN_DAYS: Final = 30  # unless the request says
WITHIN_DAYS_MAX: Final = 366


def list_controls(_: pb.ListControlsRequest) -> pb.ListControlsResponse:
    """Answer with all controls, by name."""
    controls = [pb.Control(name=name, description=CONTROLS[name].description) for name in sorted(CONTROLS)]
    return pb.ListControlsResponse(controls=controls)


class Findings:
    """Answers with findings; `pages` gives them, one search after the other."""

    def __init__(self, reader: Reader, schema: str, pages: Callable[[Page], list[Found]]) -> None:
        self._reader = reader
        self._schema = schema
        self._pages = pages

    def page(self, request: pb.ListFindingsRequest) -> pb.ListFindingsResponse:
        """Answer with one page of findings, by control, then by time where they wait to be done, then by subject."""
        with Shape() as shape:
            shape(optional_id, request.programme_id, "programme_id")
            shape(_control, request.control)
            within_days = shape(_within_days, request.within_days)
            if request.HasField("as_of"):
                shape(read_ns, request.as_of, "as_of")
            size = shape(page_size, self._reader, request.page_size)
            token = shape(token_of, self._reader, request)
        given_ns = read_ns(request.as_of, "as_of") if request.HasField("as_of") else None
        least = max(request.min_position, token.known_position if token else 0)
        position = wait_for_tables(self._reader, self._schema, least, any_version=True)
        if token:
            as_of_ns, position = token.as_of_ns, token.known_position
        else:
            as_of_ns = self._reader.now_ns() if given_ns is None else given_ns
        search = Search(request.control, as_of_ns, within_days, request.programme_id, position)
        after = token.last(_read_place) if token else ""
        found = self._pages(Page(search, after, size + 1, self._reader.now_ns()))
        response = pb.ListFindingsResponse(
            ledger_id=self._reader.ledger_id,
            as_of=timestamp(as_of_ns),
            position=position,
            findings=[_message(*one) for one in found[:size]],
        )
        if len(found) > size:
            key = found[size - 1].place.encode()
            response.next_page_token = encode_token(PageToken(as_of_ns, position, key), self._reader.ledger_id, request)
        return response


def _read_place(key: bytes) -> str:
    """Return the place that a key is. Raises ValueError."""
    place = key.decode()
    if place.count("\0") != 2:
        raise ValueError("it has not three parts")
    return place


def _control(name: str) -> None:
    optional_id(name, "control")
    if name and name not in CONTROLS:
        refuse(Reason.CONTROL_UNKNOWN, "control", f"no control {name}: {', '.join(sorted(CONTROLS))}")


def _within_days(days: int) -> int:
    if days > WITHIN_DAYS_MAX:
        refuse(Reason.WITHIN_DAYS_OUT_OF_RANGE, "within_days", f"{days} days, at most {WITHIN_DAYS_MAX}")
    return days or WITHIN_DAYS


def _message(control: str, finding: Finding) -> pb.Finding:
    message = pb.Finding(
        control=control,
        finding_id=f"{control}/{finding.subject}",
        account_id=finding.account_id,
        message=finding.message,
        details=finding.details,
    )
    if finding.time_ns is not None:
        message.time.CopyFrom(timestamp(finding.time_ns))
    return message
