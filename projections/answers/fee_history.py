"""Fee history of an account: every line as the log holds it, and totals, whole days of them from running totals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, groupby, repeat
from typing import Final, NamedTuple

import numpy as np

from ledger.arrays.columns import Ints, text_column
from ledger.domain.events import (
    Basis,
    CellTotals,
    CreditEvent,
    CreditWithdrawn,
    FeeAdjusted,
    FeeCredited,
    FeeEvent,
    KnownLine,
    Line,
    Recorded,
    VolumeRecorded,
)
from ledger.domain.instants import DAY_NS, day_number, day_text
from ledger.domain.money import decimal_text, rate_text
from ledger.domain.state.volume_cells import (
    CREDITS,
    FEE_SCALE,
    NOTIONAL_SCALE,
    CellSums,
    add_sums,
    add_totals,
    amount_of,
    subtract,
)
from ledger.domain.traits import TRAIT_BANNED, TRAIT_SELF_TRADE, channel_of, liquidity_of, side_of
from ledger.fills.adjust import FeeDifference, differences, lines_now, lines_of_differences
from ledger.fills.adjusted_lines import AdjustedLines
from ledger.fills.lines import line_times_ns, lines_at, texts
from ledger.fills.partial_sums import add_event
from ledger.store.log import Log
from ledger.v1 import fill_pb2, query_service_pb2
from ledger.wire.enums import set_words
from ledger.wire.status import timestamp

_EVENTS_PER_READ: Final = (2, 16, 64)  # a page is mostly found in one or two runs, and then in very many short ones
_LINES_PER_STEP: Final = 128  # of a run are unpacked at once: a page may need no more of it


@dataclass(frozen=True, slots=True)
class AccountSpan:
    """Fills of an account with transact_time in [from_ns, until_ns), as known after a position of the log."""

    account_id: str
    from_ns: int
    until_ns: int
    known: int

    def holds(self, time_ns: int) -> bool:
        """Return True if an instant lies in the span."""
        return self.from_ns <= time_ns < self.until_ns

    def holding(self, times_ns: Ints) -> Ints:
        """Return True where an instant lies in the span, as a column; an adjustment lies where its line does."""
        found: Ints = (times_ns >= self.from_ns) & (times_ns < self.until_ns)
        return found


class Place(NamedTuple):
    """A line in the order of a history: UTC day, position of its run, line in it."""

    day: int
    position: int
    line: int


FIRST_PLACE: Final = Place(0, 0, -1)  # before every line


class Entry(NamedTuple):
    """One entry of a history where it lies: a fill as recorded, the difference that an adjustment makes, a credit."""

    place: Place
    recorded: Recorded
    line: Line | FeeDifference | CreditEvent


def entries_after(log: Log, span: AccountSpan, after: Place) -> Iterator[Entry]:
    """Yield the entries of a span after a place, in the order (day, position, line), read as they are taken."""
    # The event of `after` is read once more: only part of it may have been taken.
    for recorded in _events_of(log, span, (after.day, after.position - 1)):
        event = fee_event(recorded)
        first = Place(event.time_min_ns // DAY_NS, recorded.position, 0)
        seen = after.line + 1 if first[:2] == after[:2] else 0
        if isinstance(event, CreditEvent):
            if not seen and span.holds(event.time_min_ns):
                yield Entry(first, recorded, event)
            continue
        entries = _adjustments if isinstance(event, FeeAdjusted) else _fills
        yield from entries(recorded, first, span, seen)


def entries_naming(log: Log, account_id: str, day: int, exec_id: str, known: int) -> Iterator[Entry]:
    """Yield entries of a UTC day about fills of an exec_id, of whatever venue: only the runs that hold it are read."""
    for recorded in log.fees_naming(account_id, day, exec_id, known):
        event, first = fee_event(recorded), Place(day, recorded.position, 0)
        if isinstance(event, FeeAdjusted):
            named = np.flatnonzero(AdjustedLines.of(event.lines).exec_id == exec_id.encode())
            numbers = np.flatnonzero(np.isin(lines_of_differences(event), named))
            for number, difference in zip(numbers.tolist(), differences(event, numbers), strict=True):
                yield Entry(first._replace(line=number), recorded, difference)
        elif isinstance(event, VolumeRecorded):
            places = [number for number, name in enumerate(texts(event, "exec_id")) if name == exec_id]
            for number, line in zip(places, lines_at(event, np.array(places, dtype=np.int64)), strict=True):
                yield Entry(first._replace(line=number), recorded, line)


def with_cl_ord_ids(log: Log, entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries of a page with the ids of clients' orders that were not erased: one query for all of them."""
    wanted = (entry.recorded for entry in entries if isinstance(entry.line, Line))
    runs = {each.position: each for each in wanted if each.envelope.erasable_sha256}
    columns = {each.position: run_of(each).columns for each in log.with_erasable(runs.values())}
    ids = {
        position: text_column(found.cl_ord_id, len(found.traits))
        for position, found in columns.items()
        if found.cl_ord_id
    }
    return [
        entry._replace(line=entry.line._replace(cl_ord_id=ids[entry.place.position][entry.place.line].decode()))
        if isinstance(entry.line, Line) and entry.place.position in ids
        else entry
        for entry in entries
    ]


def fills_now(log: Log, span: AccountSpan, traits: int = 0) -> Iterator[KnownLine]:
    """Yield the fills of a span that have some traits, with their fees as they are now, day by day."""
    for _, events in groupby(_events_of(log, span), key=lambda recorded: fee_event(recorded).time_min_ns // DAY_NS):
        for placed in lines_now(events, traits).values():
            if span.holds(placed.known.line.transact_time_ns):
                yield placed.known


def cell_sums(log: Log, span: AccountSpan) -> CellSums:
    """Return sums of a span by volume cell."""
    return merged_sums(day_sums(log, span).values())


def day_sums(log: Log, span: AccountSpan) -> dict[int, CellSums]:
    """Return the same by UTC day: running totals, and line by line only what the span cuts of single runs."""
    if span.from_ns >= span.until_ns:
        return {}
    first_day, last_day = span.from_ns // DAY_NS, span.until_ns // DAY_NS
    days: dict[int, CellSums] = {}
    for found in log.totals_of_account(span.account_id, first_day, last_day, span.known):
        add_totals(days.setdefault(day_number(found.day), {}), found.totals)
    if span.until_ns % DAY_NS:
        days[last_day] = _sums_before(log, span, span.until_ns)
    if span.from_ns % DAY_NS and days.get(first_day):
        subtract(days[first_day], _sums_before(log, span, span.from_ns))
    return {day: sums for day, sums in days.items() if sums}


def merged_sums(days: Iterable[CellSums]) -> CellSums:
    """Return sums of several days together."""
    found: CellSums = {}
    for sums in days:
        add_sums(found, sums)
    return found


def totals(sums: CellSums) -> list[query_service_pb2.FeeTotal]:
    """Return fees of all cells together, with credits, by currency."""
    fees: dict[str, list[int]] = {}
    for key, cell in sums.items():
        for currency, (charges, rebates, lines) in cell.fees.items():
            more = (0, 0, rebates, 0) if key == CREDITS else (charges, rebates, 0, lines)
            known = fees.get(currency, [0, 0, 0, 0])
            fees[currency] = [mine + other for mine, other in zip(known, more, strict=True)]
    return [
        query_service_pb2.FeeTotal(
            currency=currency,
            charges=decimal_text(charges, FEE_SCALE),
            rebates=decimal_text(rebates, FEE_SCALE),
            credits=decimal_text(credits_, FEE_SCALE) if credits_ else "",
            net=decimal_text(charges + rebates + credits_, FEE_SCALE),
            lines=lines,
        )
        for currency, (charges, rebates, credits_, lines) in sorted(fees.items())
    ]


def volumes(sums: CellSums) -> list[query_service_pb2.VolumeSum]:
    """Return the volume of all cells together, by quote currency; cells from which all lines have moved say nothing."""
    found: dict[str, tuple[int, int]] = {}
    for key, cell in sums.items():
        if cell.lines:
            notional, lines = found.get(key.quote_currency, (0, 0))
            found[key.quote_currency] = (notional + cell.notional, lines + cell.lines)
    return [
        query_service_pb2.VolumeSum(
            quote_currency=currency, notional=decimal_text(notional, NOTIONAL_SCALE), lines=lines
        )
        for currency, (notional, lines) in sorted(found.items())
    ]


def fee_type(fee: int) -> str:
    """Return CHARGE, REBATE or ZERO: the sign of a rounded fee."""
    return "CHARGE" if fee > 0 else "REBATE" if fee < 0 else "ZERO"


@lru_cache(maxsize=4_096)
def fee_basis(basis: Basis) -> query_service_pb2.FeeBasis:
    """Return the basis of a fee as the contract shows it."""
    message = query_service_pb2.FeeBasis(
        rate=rate_text(basis.rate_ppm),
        discount=rate_text(basis.discount_ppm),
        tier=basis.tier,
        grant_id=basis.grant_id,
        programme_id=basis.programme_id,
        programme_version=basis.programme_version,
        pair_class=basis.pair_class,
    )
    set_words(message, grant_source=basis.grant_source, rate_source=basis.rate_source)
    return message


def fee_line(account_id: str, entry: Entry) -> query_service_pb2.FeeLine:
    """Return one entry with what it rests on, as the contract shows it."""
    place, recorded, line = entry
    if isinstance(line, CreditEvent):
        return _credit_line(account_id, place, recorded, line)
    if isinstance(line, FeeDifference):
        return _adjustment_line(account_id, place, recorded, line)
    run = run_of(recorded)
    terms, basis = run.symbols[line.symbol_index], run.bases[line.basis_index]
    message = query_service_pb2.FeeLine(
        fill_ref=fill_pb2.FillRef(
            venue=run.venue, account_id=account_id, day=day_text(place.day), exec_id=line.exec_id
        ),
        line_ref=fill_pb2.LineRef(position=place.position, line=place.line),
        transact_time=timestamp(line.transact_time_ns),
        recorded_time=timestamp(recorded.envelope.recorded_time_ns),
        symbol=terms.symbol,
        side=line.side,  # type: ignore[arg-type]
        liquidity=line.liquidity,  # type: ignore[arg-type]
        last_px=decimal_text(line.price, terms.price_scale),
        last_qty=decimal_text(line.quantity, terms.quantity_scale),
        notional=decimal_text(line.price * line.quantity, terms.price_scale + terms.quantity_scale),
        quote_currency=terms.quote_currency,
        fee_amount=decimal_text(line.fee, basis.fee_decimals),
        fee_currency=basis.fee_currency,
        basis=fee_basis(basis),
        self_trade=line.self_trade,
        banned=line.banned,
        channel=line.channel,  # type: ignore[arg-type]
        product=terms.product,  # type: ignore[arg-type]
        trade_id=line.trade_id,
        order_id=line.order_id,
        cl_ord_id=line.cl_ord_id,
        owner_id=line.owner_id,
        counterparty_owner_id=line.counterparty_owner_id,
        source=run.sources[line.source_index].source,
        sequence=line.sequence,
    )
    set_words(message, fee_type=fee_type(line.fee), kind="FILL")
    if line.order_time_ns:
        message.order_time.CopyFrom(timestamp(line.order_time_ns))
    if line.token:
        payment = fill_pb2.TokenPayment(token=line.token, price=line.token_price, price_source=line.token_price_source)
        message.token_payment.CopyFrom(payment)
    if line.charged_currency:
        charged = fill_pb2.ChargedFee(
            amount=line.charged_amount, currency=line.charged_currency, rate=line.charged_rate
        )
        message.charged_fee.CopyFrom(charged)
    return message


def _adjustment_line(
    account_id: str, place: Place, recorded: Recorded, difference: FeeDifference
) -> query_service_pb2.FeeLine:
    event, line = recorded.event, difference.line
    assert isinstance(event, FeeAdjusted), recorded
    now = line.after
    terms, before, after = event.symbols[now.symbol_index], *(event.bases[at.basis_index] for at in (line.before, now))
    message = query_service_pb2.FeeLine(
        fill_ref=fill_pb2.FillRef(
            venue=line.venue, account_id=account_id, day=day_text(place.day), exec_id=line.exec_id
        ),
        line_ref=fill_pb2.LineRef(position=place.position, line=place.line),
        transact_time=timestamp(line.transact_time_ns),
        recorded_time=timestamp(recorded.envelope.recorded_time_ns),
        symbol=terms.symbol,
        side=side_of(now.traits),  # type: ignore[arg-type]
        liquidity=liquidity_of(now.traits),  # type: ignore[arg-type]
        last_px=decimal_text(now.price, terms.price_scale),
        last_qty=decimal_text(now.quantity, terms.quantity_scale),
        notional=decimal_text(now.price * now.quantity, terms.price_scale + terms.quantity_scale),
        quote_currency=terms.quote_currency,
        fee_amount=decimal_text(difference.amount, FEE_SCALE),
        fee_currency=difference.currency,
        basis=fee_basis(after),
        self_trade=bool(now.traits & TRAIT_SELF_TRADE),
        banned=bool(now.traits & TRAIT_BANNED),
        channel=channel_of(now.traits),  # type: ignore[arg-type]
        product=terms.product,  # type: ignore[arg-type]
        adjustment=query_service_pb2.FeeAdjustment(
            cause_position=event.cause_position,
            line_ref=fill_pb2.LineRef(position=line.position, line=line.line),
            fee_before=decimal_text(line.before.fee, before.fee_decimals),
            fee_currency_before=before.fee_currency,
            basis_before=fee_basis(before),
            fee_after=decimal_text(now.fee, after.fee_decimals),
            fee_currency_after=after.fee_currency,
            release_position=event.release_position,
            banned_before=bool(line.before.traits & TRAIT_BANNED),
            self_trade_before=bool(line.before.traits & TRAIT_SELF_TRADE),
        ),
    )
    if event.release_position:
        message.adjustment.released_by, message.adjustment.approved_by = (
            recorded.envelope.actor,
            recorded.envelope.approver,
        )
    set_words(message, fee_type=fee_type(difference.amount), kind="ADJUSTMENT")
    set_words(message.adjustment, cause=event.cause)
    return message


def _credit_line(account_id: str, place: Place, recorded: Recorded, event: CreditEvent) -> query_service_pb2.FeeLine:
    envelope, withdrawn = recorded.envelope, isinstance(event, CreditWithdrawn)
    amount = amount_of(event)
    message = query_service_pb2.FeeLine(
        fill_ref=fill_pb2.FillRef(account_id=account_id, day=day_text(place.day)),
        line_ref=fill_pb2.LineRef(position=place.position),
        transact_time=timestamp(event.time_min_ns),
        recorded_time=timestamp(envelope.recorded_time_ns),
        fee_amount=decimal_text(amount, FEE_SCALE),
        fee_currency=event.currency,
        credit=query_service_pb2.FeeCredit(
            credit_position=recorded.position if isinstance(event, FeeCredited) else event.credit_position,
            reason_code=event.reason_code,
            asked_by=envelope.actor,
            approved_by=envelope.approver,
        ),
    )
    set_words(message, fee_type=fee_type(amount), kind="CREDIT_WITHDRAWN" if withdrawn else "CREDIT")
    return message


def run_of(recorded: Recorded) -> VolumeRecorded:
    """Return the fill run that an event of a fee stream is."""
    assert isinstance(recorded.event, VolumeRecorded), recorded
    return recorded.event


def fee_event(recorded: Recorded) -> FeeEvent:
    """Return the event of a fee stream."""
    assert isinstance(recorded.event, FeeEvent), recorded
    return recorded.event


def _events_of(log: Log, span: AccountSpan, seen: tuple[int, int] = (0, 0)) -> Iterator[Recorded]:
    """Yield events of fee streams with a line in a span, after a (day, position), read as they are taken."""
    if span.from_ns >= span.until_ns:
        return
    for limit in chain(_EVENTS_PER_READ, repeat(_EVENTS_PER_READ[-1])):
        events = log.fees(
            span.account_id,
            after=seen,
            from_ns=span.from_ns,
            as_of_ns=span.until_ns - 1,
            until=span.known,
            limit=limit,
        )
        yield from events
        if len(events) < limit:
            return
        seen = (fee_event(events[-1]).time_min_ns // DAY_NS, events[-1].position)


def _adjustments(recorded: Recorded, first: Place, span: AccountSpan, seen: int) -> Iterator[Entry]:
    """Yield the differences of an adjustment after the first `seen`, unpacked in steps as they are taken."""
    event = recorded.event
    assert isinstance(event, FeeAdjusted), recorded
    inside = span.holding(AdjustedLines.of(event.lines).transact_time_ns)
    for step in _steps(np.flatnonzero(inside[lines_of_differences(event)]), seen):
        for number, difference in zip(step.tolist(), differences(event, step), strict=True):
            yield Entry(first._replace(line=number), recorded, difference)


def _fills(recorded: Recorded, first: Place, span: AccountSpan, seen: int) -> Iterator[Entry]:
    """Yield the fills of a run after the first `seen`, unpacked in steps as they are taken."""
    run = run_of(recorded)
    for step in _steps(np.flatnonzero(span.holding(line_times_ns(run))), seen):
        for number, line in zip(step.tolist(), lines_at(run, step), strict=True):
            yield Entry(first._replace(line=number), recorded, line)


def _steps(places: Ints, seen: int) -> Iterator[Ints]:
    """Yield ascending places from `seen` on, some in a step."""
    places = places[np.searchsorted(places, seen) :]
    for start in range(0, len(places), _LINES_PER_STEP):
        yield places[start : start + _LINES_PER_STEP]


def _sums_before(log: Log, span: AccountSpan, instant_ns: int) -> CellSums:
    """Return sums of the UTC day in which an instant lies, up to it: fees as they are now."""
    cut = log.day_cut(span.account_id, instant_ns, span.known)
    sums: CellSums = {}
    add_totals(sums, cut.totals)
    for before, after in cut.moved:
        add_sums(sums, _moved(before, after))
    for recorded in cut.events:
        add_event(sums, fee_event(recorded), instant_ns)
    return sums


def _moved(before: Iterable[CellTotals], after: Iterable[CellTotals]) -> CellSums:
    """Return what an adjustment adds to the cells that it changes: totals after it less those before it."""
    found: CellSums = {}
    less: CellSums = {}
    add_totals(found, after)
    add_totals(less, before)
    subtract(found, less)
    return found
