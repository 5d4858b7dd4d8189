"""Compares what was recorded with what is decided now, and says in words where the two differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from google.protobuf.message import DecodeError

from ledger.domain.decide.decided import Decided
from ledger.domain.events import AccountLinked, CellTotals, CommandRefused, Event, KnownLine, Recorded, VolumeRecorded
from ledger.domain.money import decimal_text
from ledger.domain.refusal import Refusal
from ledger.fills.lines import known_lines

# Bytes that the ledger did not write may raise these, wherever the rules stumble over them.
UNDECIDABLE: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    DecodeError,
    LookupError,
    TypeError,
    ValueError,
)
_NOT_RULED: Final = ("totals", "time_max_so_far_ns")  # they follow from the lines


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that comes out otherwise: as it is recorded, and as it was expected. Empty text: there is none.

    `ruled`: a rule decides it, so other rules may have decided otherwise. Fields that hold whatever the rules say are
    not ruled: positions, streams, times of commits, running totals of the lines as they are recorded.
    `worded`: it is a sentence for a person, which another release may have worded otherwise.
    """

    field: str
    recorded: str = ""
    expected: str = ""
    ruled: bool = False
    worded: bool = False

    def __str__(self) -> str:
        if not self.recorded and not self.expected:
            return self.field
        return f"{self.field} is {self.recorded or 'nothing'}, expected {self.expected or 'nothing'}"


@dataclass(frozen=True, slots=True)
class Deviation:
    """A decision that comes out otherwise now: where it lies, and the fields that differ."""

    position: int
    stream: str
    differs: tuple[Difference, ...]

    def __str__(self) -> str:
        return f"position {self.position}, {self.stream}: {'; '.join(map(str, self.differs))}"


class Placed(Protocol):
    """An event, or what stands for it: where it lies."""

    @property
    def position(self) -> int:
        """The position in the log."""

    @property
    def stream(self) -> str:
        """The stream."""


def said(recorded: Placed, what: str, *, ruled: bool = False) -> Deviation:
    """Return a deviation that one sentence says."""
    return Deviation(recorded.position, recorded.stream, (Difference(what, ruled=ruled),))


def compared(recorded: Recorded, expected: Event, effective_ns: int, *, ruled: bool = True) -> list[Deviation]:
    """Compare an event field by field. `ruled`: rules decide it, but for fields that follow from earlier events."""
    names = getattr(type(recorded.event), "__dataclass_fields__", {})
    sentence = "detail" if isinstance(recorded.event, CommandRefused) else ""
    differs = [
        Difference(name, repr(was), repr(now), ruled and name not in _NOT_RULED, worded=name == sentence)
        for name in names
        if (was := getattr(recorded.event, name)) != (now := getattr(expected, name))
    ]
    at_ns = recorded.envelope.effective_time_ns
    if at_ns != effective_ns:
        differs.append(Difference("effective_time_ns", str(at_ns), str(effective_ns), ruled))
    return [Deviation(recorded.position, recorded.stream, tuple(differs))] if differs else []


def compared_with_decision(recorded: Recorded, decided: Decided | Refusal) -> list[Deviation]:
    """Compare an event with the decision. One that a term begins with has no request: it takes effect when recorded."""
    if isinstance(decided, Refusal):
        return [said(recorded, f"refused now: {decided.reason.name}, {decided.detail}", ruled=True)]
    envelope = recorded.envelope
    effective_ns = decided.effective_time_ns if envelope.request_id else envelope.recorded_time_ns
    expected = {type(event): (stream, event) for stream, event in decided.events}.get(type(recorded.event))
    if expected is None:
        return [said(recorded, f"expected {type(decided.events[0][1]).__name__}", ruled=True)]
    stream, event = expected
    if stream != recorded.stream:
        return [said(recorded, f"expected in stream {stream}")]
    return compared(recorded, event, effective_ns)


def linked(decided: Decided | Refusal) -> tuple[str, Event] | None:
    """Return the event of an owner's stream that goes with a registration."""
    events = () if isinstance(decided, Refusal) else decided.events
    return next((entry for entry in events if isinstance(entry[1], AccountLinked)), None)


def differing(event: VolumeRecorded, expected: VolumeRecorded) -> Iterator[Difference]:
    """Yield how a run of fills differs, its totals left aside. How its values are packed and numbered says nothing."""
    for name in ("venue", "sources", "time_min_ns", "time_max_ns", "time_max_so_far_ns"):
        was, now = getattr(event, name), getattr(expected, name)
        if was != now:
            yield Difference(name, repr(was), repr(now))
    for number, (was, now) in enumerate(zip(known_lines(event), known_lines(expected), strict=True)):
        line = f"line {number} ({was.line.exec_id}): "
        if was.line.fee != now.line.fee:
            yield Difference(f"{line}fee", _fee(was), _fee(now), ruled=True)
        for name, one, other in (("terms", was.terms, now.terms), ("basis", was.basis, now.basis)):
            if one != other:
                yield _of_tuple(line + name, one, other)
        if _content(was) != _content(now):
            yield _of_tuple(f"{line}line", was.line, now.line)


def differing_totals(recorded: Sequence[CellTotals], expected: Sequence[CellTotals]) -> Iterator[Difference]:
    """Yield how running totals differ, cell by cell."""
    if recorded == expected:
        return
    was, now = ({cell.key: cell for cell in cells} for cells in (recorded, expected))
    found = [key for key in sorted({*was, *now}) if was.get(key) != now.get(key)]
    for key in found:
        named = ", ".join(f"{field} {value}" for field, value in key._asdict().items())
        one, other = (_sums(cells[key]) if key in cells else "" for cells in (was, now))
        yield Difference(f"totals of ({named})", one, other)
    if not found:
        yield Difference("totals", "in another order, or twice", "each cell once, in order")


def _sums(cell: CellTotals) -> str:
    fees = (f"{fee.charges} charged and {fee.rebates} rebated in {fee.currency} on {fee.lines}" for fee in cell.fees)
    return f"notional {cell.notional} on {cell.lines}, {', '.join(fees)}"


def _of_tuple(name: str, was: tuple[object, ...], now: tuple[object, ...]) -> Difference:
    """Return a difference that names only the fields that are not the same."""
    names = [field for field, one, other in zip(was._fields, now, was, strict=True) if one != other]  # type: ignore[attr-defined]
    parts = ((f"{field}={getattr(each, field)!r}" for field in names) for each in (was, now))
    recorded, expected = (", ".join(part) for part in parts)
    return Difference(name, recorded, expected, ruled=True)


def _content(known: KnownLine) -> tuple[object, ...]:
    """Return a line without its fee, and without the places of its terms and basis in their lists."""
    return tuple(known.line._replace(symbol_index=0, basis_index=0, fee=0))


def _fee(known: KnownLine) -> str:
    return f"{decimal_text(known.line.fee, known.basis.fee_decimals)} {known.basis.fee_currency}"
