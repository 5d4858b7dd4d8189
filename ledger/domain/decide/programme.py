"""Decisions on programmes: publishing a version (R1), classes of pairs (A19), rates of single pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sized
from typing import Final, assert_never

from ledger.domain.commands import AssignPairClass, ProgrammeCommand, PublishProgramme, SetPairRates
from ledger.domain.decide.decided import Decided
from ledger.domain.events import PairClassAssigned, PairRatesSet, ProgrammePublished
from ledger.domain.instants import NEVER_NS, SECOND_NS, given_or
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.rules.maker_rebate import least_net_ppm
from ledger.domain.state.programme import Programme
from ledger.domain.state.rulebook import Dated, Rulebook
from ledger.domain.streams import REGISTERS, programme_stream

PAST_NS_MAX: Final = 60 * SECOND_NS  # how far "from now on" may lie back when it is recorded: clocks differ

ProgrammeEvent = ProgrammePublished | PairClassAssigned | PairRatesSet


def decide_programme(book: Rulebook, command: ProgrammeCommand, now_ns: int) -> Decided | Refusal:
    """Decide a command on programmes. No rate changes under fills that were priced already."""
    match command:
        case PublishProgramme():
            event = _publish(book, command, given_or(command.valid_from_ns, now_ns), now_ns)
        case AssignPairClass():
            event = _assign(book, command, given_or(command.valid_from_ns, now_ns), now_ns)
        case SetPairRates():
            event = _set_rates(book, command, given_or(command.valid_from_ns, now_ns), now_ns)
        case _:
            assert_never(command)
    if isinstance(event, Refusal):
        return event
    return Decided(event.valid_from_ns, ((programme_stream(event.programme_id), event),))


def programme_stream_of(command: ProgrammeCommand) -> str:
    """Return the stream that tells of a refusal: that of the programme where the command must name one."""
    return programme_stream(command.programme.programme_id) if isinstance(command, PublishProgramme) else REGISTERS


def _publish(book: Rulebook, command: PublishProgramme, from_ns: int, now_ns: int) -> ProgrammeEvent | Refusal:
    """Publish a version. Its name stands for one content for ever, which may come into force again at another instant.

    A programme that is new to the ledger may start in the past: nothing was priced by it, and nothing else governed its
    venues.
    """
    programme, content_sha256 = command.programme, command.content_sha256
    name, version = programme.programme_id, programme.version
    known = book.contents.get((name, version))
    versions = book.programmes.get(name, ())
    if known not in (None, content_sha256):
        detail = f"{name} {version} was published with other content: give the file another version"
        return Refusal(Reason.PROGRAMME_VERSION_EXISTS, "content", detail)
    if known and any(start_ns == from_ns and found.version == version for start_ns, found in versions):
        detail = f"{name} {version} was published with this content, from this instant on"
        return Refusal(Reason.PROGRAMME_VERSION_EXISTS, "valid_from", detail)
    past = in_the_past(versions, from_ns, now_ns, f"{name} may have priced fills since then")
    if past is not None:
        return past
    unknown = sorted(programme.overrides.keys() - book.symbols.keys())
    if unknown:
        detail = f"overrides.{unknown[0]}: no such symbol is registered; register it first, or correct the file"
        return Refusal(Reason.SYMBOL_UNKNOWN, "content", detail)
    event = ProgrammePublished(name, version, from_ns, command.content, content_sha256)
    after = book.with_programme(event, programme)
    return _venue_refused(after, name, from_ns) or pump_refused(after, name, _pairs_of(after, name), from_ns) or event


def _assign(book: Rulebook, command: AssignPairClass, from_ns: int, now_ns: int) -> ProgrammeEvent | Refusal:
    """Assign a class to a pair: to one that never had a class for the past too, as RegisterSymbol does."""
    programme = _programme_of_pair(book, command, from_ns)
    if isinstance(programme, Refusal):
        return programme
    name = programme.programme_id
    if command.pair_class not in programme.pair_classes:
        known = ", ".join(programme.pair_classes)
        detail = f"{command.pair_class} is not a pair class of {name}: {known}"
        return Refusal(Reason.PAIR_CLASS_UNKNOWN, "pair_class", detail)
    event = PairClassAssigned(name, command.symbol, command.pair_class, from_ns)
    return class_refused(book, event, now_ns) or event


def _programme_of_pair(book: Rulebook, command: AssignPairClass | SetPairRates, from_ns: int) -> Programme | Refusal:
    programme = book.programme(command.programme_id, from_ns)
    if isinstance(programme, Programme) and command.symbol not in book.symbols:
        return Refusal(Reason.SYMBOL_UNKNOWN, "symbol", f"{command.symbol} is not registered")
    return programme


def _set_rates(book: Rulebook, command: SetPairRates, from_ns: int, now_ns: int) -> ProgrammeEvent | Refusal:
    programme = _programme_of_pair(book, command, from_ns)
    if isinstance(programme, Refusal):
        return programme
    name = programme.programme_id
    why = f"fills of {command.symbol} may have been priced since then"
    if (past := in_the_past((0,), from_ns, now_ns, why)) is not None:  # until then it had the table's
        return past
    event = PairRatesSet(name, command.symbol, command.maker_ppm, command.taker_ppm, from_ns)
    return pump_refused(book.with_pair_rates(event), name, [command.symbol], from_ns) or event


def in_the_past(known: Sized, from_ns: int, now_ns: int, why: str) -> Refusal | None:
    """Refuse a word on a programme, a class or a symbol that comes too late; the first one never does.

    The first word may be about the past: nothing was priced by another. `known` are the words so far.
    """
    if not known or from_ns >= now_ns - PAST_NS_MAX:
        return None
    return Refusal(Reason.PROGRAMME_IN_THE_PAST, "valid_from", f"{why}: let it start now or later")


def class_refused(book: Rulebook, event: PairClassAssigned, now_ns: int) -> Refusal | None:
    """Refuse a class to a pair, by whatever command."""
    name, symbol, from_ns = event.programme_id, event.symbol, event.valid_from_ns
    known = book.pair_classes.get((name, symbol), ())
    past = in_the_past(known, from_ns, now_ns, f"{symbol} has a class, which may have priced fills since then")
    return past or pump_refused(book.with_pair_class(event), name, [symbol], from_ns)


def _venue_refused(book: Rulebook, programme_id: str, from_ns: int) -> Refusal | None:
    """Refuse a second programme for a venue at any instant from one on."""
    mine = [span for span in _spans(book.programmes[programme_id]) if span[1] > from_ns]
    for other_id, versions in book.programmes.items():
        if other_id == programme_id:
            continue
        for start_ns, end_ns, other in _spans(versions):
            for my_start_ns, my_end_ns, version in mine:
                shared = sorted({*other.venues} & {*version.venues})
                if shared and max(start_ns, my_start_ns) < min(end_ns, my_end_ns):
                    detail = f"{shared[0]} is governed by {other_id} {other.version} then"
                    return Refusal(Reason.VENUE_ALREADY_GOVERNED, "content", detail)
    return None


def _spans(dated: Dated[Programme]) -> list[tuple[int, int, Programme]]:
    """Return (from, until, value) of values that each hold until the next."""
    starts = [start_ns for start_ns, _ in dated]
    return [(start, end, value) for (start, value), end in zip(dated, [*starts[1:], NEVER_NS], strict=True)]


def _pairs_of(book: Rulebook, programme_id: str) -> list[str]:
    """Return the symbols with rates of their own; those of classes alone were looked at when the file was read."""
    in_files = {symbol for _, version in book.programmes[programme_id] for symbol in version.overrides}
    return sorted(in_files | {symbol for name, symbol in book.pair_rates if name == programme_id})


def pump_refused(book: Rulebook, programme_id: str, symbols: Iterable[str], from_ns: int) -> Refusal | None:
    """Refuse a pair that would be a money pump at any instant from one on, as far as it is known."""
    instants = [from_ns, *(at_ns for at_ns in book.change_instants if at_ns > from_ns)]
    for symbol in symbols:
        for at_ns in instants:
            programme = book.programme(programme_id, at_ns)
            if isinstance(programme, Refusal):
                continue
            override = book.override(programme, symbol, at_ns)
            net_ppm = least_net_ppm(
                programme,
                pair_class=book.pair_class(programme_id, symbol, at_ns) or (override.pair_class if override else ""),
                override=override,
            )
            if net_ppm < 0:
                detail = f"maker and taker of {symbol} could together earn {-net_ppm} ppm of a trade"
                return Refusal(Reason.NEGATIVE_NET_PAIR, "symbol", detail)
    return None
