"""Daily closes of an asset, and the one in force for each day (R17). A restatement names the close it replaces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ledger.domain.commands import RecordDailyClose
from ledger.domain.decide.decided import Decided
from ledger.domain.events import DailyCloseRecorded, Recorded
from ledger.domain.instants import DAY_NS, day_text
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.rules.end_day_close import CLOSE_SCALE
from ledger.domain.state.rulebook import Rulebook
from ledger.domain.state.volume_cells import exact
from ledger.domain.streams import closes_stream


@dataclass(frozen=True, slots=True)
class KnownClose:
    """A close in force: price with 18 decimals, and where it lies in the log."""

    price: int
    position: int


@dataclass(frozen=True, slots=True)
class Closes:
    """The fold of `closes/<asset>`: closes in force by (currency, UTC day since 1970)."""

    asset: str
    version: int = 0
    in_force: Mapping[tuple[str, int], KnownClose] = field(default_factory=dict)


def fold_closes(stream: Iterable[Recorded], state: Closes) -> Closes:
    """Return the closes after more events of their stream, oldest first."""
    in_force, version = dict(state.in_force), state.version
    for recorded in stream:
        event, version = recorded.event, recorded.version
        if isinstance(event, DailyCloseRecorded):
            in_force[event.currency, event.day] = KnownClose(exact(event.price, CLOSE_SCALE), recorded.position)
    return Closes(state.asset, version, in_force)


def decide_close(state: Closes, command: RecordDailyClose, book: Rulebook, now_ns: int) -> Decided | Refusal:
    """Decide a command. Refusals in order: CLOSE_ALREADY_RECORDED, CLOSE_DAY_NOT_OVER, CLOSE_UNKNOWN,
    VOLUME_CURRENCY_UNKNOWN.
    """
    currency = _currency(book, command.currency)
    if isinstance(currency, Refusal) and currency.reason < Reason.REQUEST_ID_REUSED:
        return currency
    known = None if isinstance(currency, Refusal) else state.in_force.get((currency, command.day))
    what = f"{command.asset} on {day_text(command.day)}"
    if known is not None and not command.restates:
        detail = f"{what} closed as position {known.position} says: restate that one"
        return Refusal(Reason.CLOSE_ALREADY_RECORDED, "day", detail)
    ends_ns = (command.day + 1) * DAY_NS
    if now_ns < ends_ns:
        return Refusal(Reason.CLOSE_DAY_NOT_OVER, "day", f"{day_text(command.day)} has not ended in UTC")
    if command.restates and (known is None or known.position != command.restates):
        return Refusal(Reason.CLOSE_UNKNOWN, "restates", f"position {command.restates} is not the close of {what}")
    if isinstance(currency, Refusal):
        return currency
    event = DailyCloseRecorded(
        asset=command.asset,
        currency=currency,
        day=command.day,
        price=command.price,
        source=command.source,
        source_sha256=command.source_sha256,
        restates=command.restates,
    )
    return Decided(ends_ns, ((closes_stream(command.asset), event),))


def _currency(book: Rulebook, asked: str) -> str | Refusal:
    """Return the currency of a price, in which some version of a programme counts volume; by default the only one."""
    versions = (programme for dated in book.programmes.values() for _, programme in dated)
    counted = sorted({programme.volume_currency for programme in versions})
    if asked in counted:
        return asked
    if asked:
        detail = f"no programme counts volume in {asked}, only in {', '.join(counted)}"
        return Refusal(Reason.VOLUME_CURRENCY_UNKNOWN, "currency", detail)
    if len(counted) == 1:
        return counted[0]
    return Refusal(Reason.FIELD_REQUIRED, "currency", f"one of {', '.join(counted)}")
