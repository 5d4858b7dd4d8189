"""GetProgramme, ListProgrammes, ListPairs: what was published, and what it says of single pairs, out of the log."""

from __future__ import annotations

from dataclasses import dataclass

from ledger import programmes
from ledger.domain.events import ProgrammePublished, Recorded
from ledger.domain.instants import BEGINNING_NS
from ledger.domain.money import rate_text
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.programme import Programme
from ledger.domain.state.rulebook import Rulebook, fold_rulebook
from ledger.v1 import programme_service_pb2 as pb
from ledger.wire.fields import Shape, optional_id
from ledger.wire.status import RefusedError, refuse, timestamp
from projections.as_of import Instant, Reader, check_times
from projections.page_token import number, text
from projections.paging import frozen, next_token, page_size, token_of


@dataclass(frozen=True, slots=True)
class _Published:
    """A version where it lies in the log, and until when it is in force as far as is known."""

    recorded: Recorded
    event: ProgrammePublished
    until_ns: int | None

    def at(self, as_of_ns: int) -> bool:
        """Return True if the version is in force at an instant."""
        return self.event.valid_from_ns <= as_of_ns and (self.until_ns is None or as_of_ns < self.until_ns)

    def message(self, as_of_ns: int) -> pb.ProgrammeVersion:
        """Return it as the contract shows it, without its content."""
        event, envelope = self.event, self.recorded.envelope
        message = pb.ProgrammeVersion(
            programme_id=event.programme_id,
            version=event.version,
            content_sha256=event.content_sha256.hex(),
            in_force=self.at(as_of_ns),
            actor=envelope.actor,
            approver=envelope.approver,
            position=self.recorded.position,
            recorded_time=timestamp(envelope.recorded_time_ns),
        )
        if event.valid_from_ns != BEGINNING_NS:
            message.valid_from.CopyFrom(timestamp(event.valid_from_ns))
        if self.until_ns is not None:
            message.valid_until.CopyFrom(timestamp(self.until_ns))
        return message


def get_programme(reader: Reader, request: pb.GetProgrammeRequest) -> pb.GetProgrammeResponse:
    """Answer with the version in force at as_of, or the one named: of several publications of it the last."""
    with Shape() as shape:
        programme_id = shape(optional_id, request.programme_id, "programme_id")
        version = shape(optional_id, request.version, "version")
        shape(check_times, request.at)
    instant = reader.instant(request.at)
    name, published = _published(reader, instant, programme_id)
    if version:
        found = [one for one in published if one.event.version == version]
    else:
        found = [one for one in published if one.at(instant.as_of_ns)]
    if not found:
        named = bool(version and published)
        field, what = ("version", f"{name} {version}") if named else ("programme_id", f"{name} at this instant")
        refuse(Reason.PROGRAMME_UNKNOWN, field, f"no programme {what}")
    message = found[-1].message(instant.as_of_ns)
    message.content = found[-1].event.content
    return pb.GetProgrammeResponse(basis=instant.basis(reader.ledger_id), programme=message)


def list_programmes(reader: Reader, request: pb.ListProgrammesRequest) -> pb.ListProgrammesResponse:
    """Answer with one page of versions, by programme and valid_from."""
    with Shape() as shape:
        programme_id = shape(optional_id, request.programme_id, "programme_id")
        size = shape(page_size, reader, request.page_size)
        shape(check_times, request.at)
        token = shape(token_of, reader, request)
    instant = frozen(reader, token) if token else reader.instant(request.at)
    versions = _versions(_events(reader, instant))
    if programme_id and programme_id not in versions:
        refuse(Reason.PROGRAMME_UNKNOWN, "programme_id", f"no programme {programme_id}")
    names = [programme_id] if programme_id else sorted(versions)
    found = [one for name in names for one in versions[name]]
    start = token.last(number) if token else 0
    response = pb.ListProgrammesResponse(
        basis=instant.basis(reader.ledger_id),
        programmes=[one.message(instant.as_of_ns) for one in found[start : start + size]],
    )
    if start + size < len(found):
        response.next_page_token = next_token(reader, instant, (start + size).to_bytes(8), request)
    return response


def list_pairs(reader: Reader, request: pb.ListPairsRequest) -> pb.ListPairsResponse:
    """Answer with one page of registered symbols, with their class and rates at as_of."""
    with Shape() as shape:
        shape(optional_id, request.programme_id, "programme_id")
        size = shape(page_size, reader, request.page_size)
        shape(check_times, request.at)
        token = shape(token_of, reader, request)
    instant = frozen(reader, token) if token else reader.instant(request.at)
    book = fold_rulebook(programmes.parse, _events(reader, instant))
    programme = book.programme(request.programme_id, instant.as_of_ns)
    if isinstance(programme, Refusal):
        raise RefusedError(programme)
    after = token.last(text) if token else ""
    symbols = sorted(symbol for symbol in book.symbols if symbol > after)
    response = pb.ListPairsResponse(
        basis=instant.basis(reader.ledger_id),
        pairs=[_pair(book, programme, symbol, instant.as_of_ns) for symbol in symbols[:size]],
    )
    if len(symbols) > size:
        response.next_page_token = next_token(reader, instant, symbols[size - 1].encode(), request)
    return response


def _published(reader: Reader, instant: Instant, programme_id: str) -> tuple[str, list[_Published]]:
    """Return the programme meant, and its versions by valid_from."""
    versions = _versions(_events(reader, instant))
    if not programme_id and len(versions) == 1:
        return next(iter(versions.items()))
    if not programme_id and versions:
        refuse(Reason.FIELD_REQUIRED, "programme_id", f"one of {', '.join(versions)}")
    return programme_id, versions.get(programme_id, [])


def _events(reader: Reader, instant: Instant) -> list[Recorded]:
    return reader.log.rulebook(instant.known.position)


def _versions(events: list[Recorded]) -> dict[str, list[_Published]]:
    """Return versions by programme and valid_from. Of two from the same instant on the first is never in force."""
    by_name: dict[str, list[tuple[int, Recorded, ProgrammePublished]]] = {}
    for recorded in events:
        event = recorded.event
        if isinstance(event, ProgrammePublished):
            by_name.setdefault(event.programme_id, []).append((event.valid_from_ns, recorded, event))
    found: dict[str, list[_Published]] = {}
    for name, published in by_name.items():
        published.sort(key=lambda entry: entry[0])  # it keeps the order of the log among equals
        ends = [*(start_ns for start_ns, _, _ in published[1:]), None]
        found[name] = [
            _Published(recorded, event, end) for (_, recorded, event), end in zip(published, ends, strict=True)
        ]
    return found


def _pair(book: Rulebook, programme: Programme, symbol: str, at_ns: int) -> pb.Pair:
    override = book.override(programme, symbol, at_ns)
    maker_ppm, taker_ppm = (override.maker_ppm, override.taker_ppm) if override else (None, None)
    return pb.Pair(
        symbol=symbol,
        pair_class=book.pair_class(programme.programme_id, symbol, at_ns),
        maker_rate="" if maker_ppm is None else rate_text(maker_ppm),
        taker_rate="" if taker_ppm is None else rate_text(taker_ppm),
    )
