"""The op about a fill that comes twice: decided as every batch of fills is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ledger.domain.events import (
    Envelope,
    Event,
    PairClassAssigned,
    ProgrammePublished,
    Recorded,
    SymbolRegistered,
    VolumeRecorded,
)
from ledger.domain.fills import COLUMNS, AccountDay, BatchOutcome, FillBatch, Recording, by_account_day
from ledger.domain.instants import DAY_NS
from ledger.domain.money import SCALE_MAX
from ledger.domain.programme import PRODUCTS, Programme
from ledger.domain.refusal import Reason
from ledger.domain.rulebook import Rulebook, fold_rulebook
from ledger.domain.state import AccountState
from rule_cases.fields import Fields

_NOON_NS: Final = 20_000 * DAY_NS + DAY_NS // 2
_TAKEN: Final = {"account_id": "main", "symbol": "S", "side": 1, "liquidity": 2, "channel": 1}


def ingest_fill(given: Fields, when: Fields, programme: Programme) -> dict[str, Any]:
    """Known and the same: a duplicate. Known and not the same: a conflict. Otherwise recorded, once."""
    known, fill = [_fill(row) for row in given.rows("ingested", [])], _fill(when.fields("fill"))
    book, day = _book(programme), AccountDay()
    if known:
        _, events = _record(known, book, day)
        day = AccountDay()
        day.load([exec_id for exec_id, _, _ in known], None)
        for event in events:
            day.remember(event)
    outcome, events = _record([fill], book, day)
    if outcome.refused:
        ((_, refusal),) = outcome.refused
        assert refusal.reason == Reason.FILL_CONFLICT, refusal
        return {"error": "EXEC_ID_CONFLICT", "events_appended": len(events)}
    return {"result": "DUPLICATE" if outcome.replayed else "RECORDED", "events_appended": len(events)}


def _fill(row: Fields) -> tuple[str, str, str]:
    """(exec_id, price, quantity)."""
    found = row.text("exec_id"), row.amount("price"), row.amount("qty")
    row.end()
    return found


def _book(programme: Programme) -> Rulebook:
    """One programme and one symbol."""
    events: Sequence[Event] = (
        ProgrammePublished(programme.programme_id, programme.version, 0, "", b""),
        SymbolRegistered("S", "BASE", programme.volume_currency, PRODUCTS["SPOT"], SCALE_MAX, SCALE_MAX),
        PairClassAssigned(programme.programme_id, "S", programme.pair_classes[0]),
    )
    recorded = (Recorded(place, "book", place, Envelope(0, 0, 1), event) for place, event in enumerate(events, 1))
    return fold_rulebook(lambda _: programme, recorded)


def _record(
    fills: Sequence[tuple[str, str, str]], book: Rulebook, day: AccountDay
) -> tuple[BatchOutcome, list[VolumeRecorded]]:
    """A commit of one batch: its outcome, and the events it appends."""
    columns: dict[str, list[Any]] = {name: [_TAKEN.get(name, "")] * len(fills) for name in COLUMNS}
    for name in ("sequence", "product", "order_time_ns"):
        columns[name] = [0] * len(fills)
    columns["index"], columns["transact_time_ns"] = list(range(len(fills))), [_NOON_NS] * len(fills)
    for place, name in enumerate(("exec_id", "price", "quantity")):
        columns[name] = [fill[place] for fill in fills]
    batch = FillBatch(book.venues[0], "", **columns)
    groups = by_account_day(batch)
    days = dict.fromkeys(groups, day)
    recording = Recording()
    outcome = recording.take(batch, groups, {"main": AccountState("main")}, days, book, with_fees=False)
    return outcome, [event for _, event in recording.close_all(days)]
