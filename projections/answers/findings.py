"""ListControls and ListFindings: which controls there are, and what they find."""

from __future__ import annotations

from threading import Lock
from typing import Final, NamedTuple

from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.held import Held
from ledger.v1 import control_service_pb2 as pb
from ledger.wire.fields import Shape, optional_id, read_ns
from ledger.wire.status import RefusedError, refuse, timestamp
from projections.as_of import Reader
from projections.controls import CONTROLS
from projections.controls.scope import Finding, Scope
from projections.page_token import PageToken, encode_token
from projections.paging import page_size, token_of
from projections.tables.position import wait_for_tables

WITHIN_DAYS: Final = 30  # unless the request says
WITHIN_DAYS_MAX: Final = 366
_SEARCHES_MAX: Final = 4  # page sequences that are remembered; another one is searched again for each page


class _Search(NamedTuple):
    """The things that findings depend on."""

    control: str
    as_of_ns: int
    within_days: int
    programme_id: str
    position: int  # of the tables


def list_controls(_: pb.ListControlsRequest) -> pb.ListControlsResponse:
    """Answer with all controls, by name."""
    controls = [pb.Control(name=name, description=CONTROLS[name].description) for name in sorted(CONTROLS)]
    return pb.ListControlsResponse(controls=controls)


class Findings:
    """Runs controls, and remembers what the last ones found, so that a page sequence is one search."""

    def __init__(self, reader: Reader, schema: str) -> None:
        self._reader = reader
        self._schema = schema
        self._remembered: Held[_Search, list[tuple[str, Finding]]] = Held()
        self._mutex = Lock()

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
        search = _Search(request.control, as_of_ns, within_days, request.programme_id, position)
        after = token.last(bytes.decode) if token else ""
        left = [entry for entry in self._search(search) if _place(*entry) > after]
        response = pb.ListFindingsResponse(
            ledger_id=self._reader.ledger_id,
            as_of=timestamp(as_of_ns),
            position=position,
            findings=[_message(*entry) for entry in left[:size]],
        )
        if len(left) > size:
            key = _place(*left[size - 1]).encode()
            response.next_page_token = encode_token(PageToken(as_of_ns, position, key), self._reader.ledger_id, request)
        return response

    def _search(self, search: _Search) -> list[tuple[str, Finding]]:
        with self._mutex:
            if search in self._remembered:
                return self._remembered.hold(search, self._remembered[search])
        found = self._found(search)
        with self._mutex:
            self._remembered.hold(search, found)
            self._remembered.shrink(_SEARCHES_MAX)
        return found

    def _found(self, search: _Search) -> list[tuple[str, Finding]]:
        book = self._reader.book()
        programme = book.programme(search.programme_id, search.as_of_ns)
        if isinstance(programme, Refusal):
            raise RefusedError(programme)
        scope = Scope(
            self._reader.log, self._schema, book, programme, search.as_of_ns, search.within_days, self._reader.now_ns()
        )
        names = [search.control] if search.control else list(CONTROLS)
        found = [(name, finding) for name in names for finding in CONTROLS[name].find(scope)]
        return sorted(found, key=lambda entry: _place(*entry))


def _place(name: str, finding: Finding) -> str:
    """Return where a finding stands in the list, as text that sorts so."""
    time_ns = finding.time_ns if CONTROLS[name].oldest_first else None
    return f"{name}\0{time_ns or 0:020}\0{finding.subject}"


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
