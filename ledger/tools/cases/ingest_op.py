"""The op about a fill that comes twice: decided as every batch of fills is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from ledger.arrays.columns import column
from ledger.domain.events import Envelope, Event, PairClassAssigned, ProgrammePublished, Recorded, SymbolRegistered
from ledger.domain.instants import DAY_NS
from ledger.domain.money import SCALE_MAX
from ledger.domain.refusal import Reason
from ledger.domain.state.account import AccountState
from ledger.domain.state.programme import CHANNEL_API, PRODUCTS, SIDE_BUY, Programme
from ledger.domain.state.rulebook import Rulebook, fold_rulebook
from ledger.domain.streams import fee_stream
from ledger.domain.traits import packed_traits
from ledger.fills.account_day import AccountDay
from ledger.fills.batch import FillBatch, by_account_day
from ledger.fills.days import DayTable
from ledger.fills.decide import BatchOutcome, decide_fills
from ledger.fills.known import known_by_name
from ledger.tools.cases.fields import Fields, to_scale

_NOON_NS: Final = 20_000 * DAY_NS + DAY_NS // 2
_ACCOUNT: Final = "main"
_TODAY: Final = (_ACCOUNT, _NOON_NS // DAY_NS)
_LIQUIDITY_TAKER: Final = 2
_TRAITS: Final = packed_traits(SIDE_BUY, _LIQUIDITY_TAKER, CHANNEL_API)


def ingest_fill(given: Fields, when: Fields, programme: Programme) -> dict[str, Any]:
    """Known and the same: a duplicate. Known and not the same: a conflict. Otherwise recorded, once."""
    known, fill = [_fill(row) for row in given.rows("ingested", [])], _fill(when.fields("fill"))
    book, days = _book(programme), DayTable.holding({_TODAY: AccountDay()})
    before = _decide(known, book, days).runs if known else ()
    log = [Recorded(1, fee_stream(*key), 1, Envelope(_NOON_NS, _NOON_NS, 1), event) for key, event in before]
    outcome = _decide([fill], book, days, log)
    if outcome.refused:
        ((_, refusal),) = outcome.refused
        assert refusal.reason == Reason.FILL_CONFLICT, refusal
        return {"error": "EXEC_ID_CONFLICT", "events_appended": len(outcome.runs)}
    return {"result": "DUPLICATE" if outcome.replayed else "RECORDED", "events_appended": len(outcome.runs)}


def _fill(row: Fields) -> tuple[str, str, str]:
    """(exec_id, price, quantity)."""
    found = row.text("exec_id"), row.amount("price"), row.amount("qty")
    row.scaled("price", SCALE_MAX)
    row.scaled("qty", SCALE_MAX)
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


def _decide(
    fills: Sequence[tuple[str, str, str]], book: Rulebook, days: DayTable, log: Sequence[Recorded] = ()
) -> BatchOutcome:
    """A commit of one batch: takers' buys of one account, at one instant. `log` are the runs before it."""
    ids, prices, quantities = zip(*fills, strict=True)
    same = np.zeros(len(fills), dtype=np.int64)
    batch = FillBatch(
        book.venues[0],
        "",
        accounts=(_ACCOUNT,),
        symbols=("S",),
        sources=("",),
        index=np.arange(len(fills)),
        account=same,
        symbol=same,
        source=same,
        sequence=same,
        exec_id=np.array([exec_id.encode() for exec_id in ids], dtype=bytes),
        traits=same + _TRAITS,
        product=same,
        price=column([to_scale(price, SCALE_MAX) for price in prices]),
        price_decimals=same + SCALE_MAX,
        quantity=column([to_scale(quantity, SCALE_MAX) for quantity in quantities]),
        quantity_decimals=same + SCALE_MAX,
        transact_time_ns=same + _NOON_NS,
    )
    groups = by_account_day(batch)
    accounts = {_ACCOUNT: AccountState(_ACCOUNT)}
    known = known_by_name(batch, {_TODAY: np.arange(len(batch))}, log)
    return decide_fills(batch, groups, accounts, days.places(groups.keys), days, book, with_fees=False, known=known)
