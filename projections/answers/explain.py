"""Why a fee is what it is: what the log knew when it was worked out, handed to the domain, which says it in words."""

from __future__ import annotations

from collections.abc import Sequence

from ledger import programmes
from ledger.domain.events import (
    POSITION_MAX,
    AdjustedLine,
    Basis,
    FeeAdjusted,
    KnownLine,
    Line,
    ProgrammePublished,
    Recorded,
)
from ledger.domain.explanation import Facts, Sentence, explain
from ledger.domain.state.programme import Programme
from ledger.domain.state.repricings import Repricings
from ledger.domain.streams import account_stream, programme_stream
from ledger.fills.account_day import adjusted
from ledger.fills.adjust import FeeDifference
from ledger.store.log import Log
from ledger.v1 import query_service_pb2 as pb
from ledger.wire.enums import set_words
from projections.answers.fee_history import Entry, run_of


def explanation(
    log: Log, account_id: str, entries: Sequence[Entry], known: int, repricings: Repricings
) -> list[pb.Sentence]:
    """Return the fee of a fill as it is after all its entries: the fill itself, then its adjustments, oldest first.

    Facts that are withheld from it are told up to the position `known`. `repricings` are the open ones of its account,
    which may change it yet.
    """
    recorded, adjustments = entries[0].recorded, _adjustments(entries[1:])
    priced_at = adjustments[-1][0].position if adjustments else recorded.position
    as_is = _known(entries[0], adjustments)
    # By releases of the software that compared grants it was priced anew, as `lines_now` says.
    anew = [each for each in adjustments if not _is_released(each[0])]
    # All of it: a version that a basis names was published before.
    of_programme = log.streams([programme_stream(as_is.basis.programme_id)], POSITION_MAX)
    facts = Facts(
        account_id=account_id,
        venue=run_of(recorded).venue,
        known=as_is,
        known_at=anew[-1][0].position if anew else recorded.position,
        priced_at=priced_at,
        programme=_programme(of_programme, as_is.basis),
        decisions=log.streams([account_stream(account_id)], known),
        currency=_known(entries[0], anew).basis.fee_currency,
        of_programme=[each for each in of_programme if each.position <= known],
    )
    return [_message(sentence) for sentence in explain(facts, adjustments, repricings)]


def _message(sentence: Sentence) -> pb.Sentence:
    parameters = [pb.Parameter(name=name, value=value) for name, value in sentence.parameters]
    message = pb.Sentence(text=sentence.text, clause=sentence.clause, parameters=parameters)
    set_words(message, code=sentence.code)
    return message


def _adjustments(entries: Sequence[Entry]) -> list[tuple[Recorded, AdjustedLine]]:
    """Return each adjustment once: one that changes the currency has two entries."""
    found = {
        entry.recorded.position: (entry.recorded, entry.line.line)
        for entry in entries
        if isinstance(entry.line, FeeDifference)
    }
    return list(found.values())


def _is_released(recorded: Recorded) -> bool:
    return isinstance(recorded.event, FeeAdjusted) and bool(recorded.event.release_position)


def _known(entry: Entry, adjustments: Sequence[tuple[Recorded, AdjustedLine]]) -> KnownLine:
    """Return the line with its fee as it is now."""
    run, line = run_of(entry.recorded), entry.line
    assert isinstance(line, Line), entry
    known = KnownLine(line, run.symbols[line.symbol_index], run.bases[line.basis_index])
    for recorded, restated in adjustments:
        assert isinstance(recorded.event, FeeAdjusted), recorded
        known = adjusted(known, recorded.event, restated)
    return known


def _programme(versions: Sequence[Recorded], basis: Basis) -> Programme:
    """Return the version that a basis names, which the log has for ever."""
    published = (recorded.event for recorded in versions if isinstance(recorded.event, ProgrammePublished))
    return programmes.parse(next(event.content for event in published if event.version == basis.programme_version))
