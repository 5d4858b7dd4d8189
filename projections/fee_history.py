"""Fee history of an account: every line as the log holds it, and totals, whole days of them from running totals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import Final, NamedTuple

from ledger.domain.adjustment import Difference, differences, lines_now
from ledger.domain.events import AdjustedLine, Basis, FeeAdjusted, FeeEvent, KnownLine, Line, Recorded, VolumeRecorded
from ledger.domain.instants import DAY_NS, day_text
from ledger.domain.money import decimal_text, rate_text
from ledger.domain.totals import FEE_SCALE, NOTIONAL_SCALE, CellSum, Sums, add_totals, cell_key, exact, restate
from ledger.store.log import Log
from ledger.v1 import fill_pb2, query_service_pb2
from ledger.wire import timestamp

_EVENTS_PER_READ = 64


@dataclass(frozen=True, slots=True)
class Span:
    """Fills of an account with transact_time in [from_ns, until_ns), as known after a position of the log."""

    account_id: str
    from_ns: int
    until_ns: int
    known: int

    def holds(self, line: Line | Difference | AdjustedLine) -> bool:
        """Whether a line belongs; an adjustment belongs where its line does."""
        time_ns = line.line.transact_time_ns if isinstance(line, Difference) else line.transact_time_ns
        return self.from_ns <= time_ns < self.until_ns


class Place(NamedTuple):
    """A line in the order of a history: UTC day, position of its run, line in it."""

    day: int
    position: int
    line: int


FIRST_PLACE: Final = Place(0, 0, -1)  # before every line


class Entry(NamedTuple):
    """One entry of a history where it lies: a fill as it was recorded, or the difference that an adjustment makes."""

    place: Place
    recorded: Recorded
    line: Line | Difference


def entries_after(log: Log, span: Span, after: Place) -> Iterator[Entry]:
    """Entries of a span behind a place, in the order (day, position, line), read as they are taken."""
    # The event of `after` is read once more: only part of it may have been taken.
    for recorded in _events_of(log, span, (after.day, after.position - 1)):
        for entry in _entries(recorded):
            if entry.place > after and span.holds(entry.line):
                yield entry


def fills_now(log: Log, span: Span) -> Iterator[KnownLine]:
    """The fills of a span with their fees as they are now, day by day."""
    for _, events in groupby(_events_of(log, span), key=lambda recorded: fee_event(recorded).time_min_ns // DAY_NS):
        for placed in lines_now(events).values():
            if span.holds(placed.known.line):
                yield placed.known


def cell_sums(log: Log, span: Span) -> Sums:
    """Sums of a span by volume cell."""
    return merged_sums(day_sums(log, span).values())


def day_sums(log: Log, span: Span) -> dict[int, Sums]:
    """The same by UTC day: whole days from running totals, only days that the span cuts line by line."""
    days: dict[int, Sums] = {}
    whole_from, whole_until = -(-span.from_ns // DAY_NS), span.until_ns // DAY_NS
    if whole_from >= whole_until:
        _add_lines(days, log, span)
        return days
    for recorded in log.last_of_days(span.account_id, whole_from, whole_until, span.known):
        event = fee_event(recorded)
        add_totals(days.setdefault(event.time_min_ns // DAY_NS, {}), event.totals)
    _add_lines(days, log, replace(span, until_ns=whole_from * DAY_NS))
    _add_lines(days, log, replace(span, from_ns=whole_until * DAY_NS))
    return days


def merged_sums(days: Iterable[Sums]) -> Sums:
    """Sums of several days together."""
    found: Sums = {}
    for sums in days:
        for key, cell in sums.items():
            known = found.setdefault(key, CellSum())
            known.notional += cell.notional
            known.lines += cell.lines
            for currency, amounts in cell.fees.items():
                known.add_fees(currency, *amounts)
    return found


def totals(sums: Sums) -> list[query_service_pb2.FeeTotal]:
    """Fees of all cells together, by currency."""
    fees: dict[str, list[int]] = {}
    for cell in sums.values():
        for currency, amounts in cell.fees.items():
            known = fees.get(currency, [0, 0, 0])
            fees[currency] = [mine + more for mine, more in zip(known, amounts, strict=True)]
    return [
        query_service_pb2.FeeTotal(
            currency=currency,
            charges=decimal_text(charges, FEE_SCALE),
            rebates=decimal_text(rebates, FEE_SCALE),
            net=decimal_text(charges + rebates, FEE_SCALE),
            lines=lines,
        )
        for currency, (charges, rebates, lines) in sorted(fees.items())
    ]


def volumes(sums: Sums) -> list[query_service_pb2.VolumeSum]:
    """Volume of all cells together, by quote currency; those without a fill are left out."""
    found: dict[str, tuple[int, int]] = {}
    for key, cell in sums.items():
        notional, lines = found.get(key.quote_currency, (0, 0))
        found[key.quote_currency] = (notional + cell.notional, lines + cell.lines)
    return [
        query_service_pb2.VolumeSum(
            quote_currency=currency, notional=decimal_text(notional, NOTIONAL_SCALE), lines=lines
        )
        for currency, (notional, lines) in sorted(found.items())
        if lines
    ]


def fee_type(fee: int) -> str:
    """CHARGE, REBATE or ZERO: the sign of a rounded fee."""
    return "CHARGE" if fee > 0 else "REBATE" if fee < 0 else "ZERO"


@lru_cache(maxsize=4_096)
def fee_basis(basis: Basis) -> query_service_pb2.FeeBasis:
    """What a fee rests on, as the contract shows it."""
    return query_service_pb2.FeeBasis(
        rate=rate_text(basis.rate_ppm),
        discount=rate_text(basis.discount_ppm),
        tier=basis.tier,
        grant_id=basis.grant_id,
        grant_source=basis.grant_source,
        programme_id=basis.programme_id,
        programme_version=basis.programme_version,
        pair_class=basis.pair_class,
        rate_source=basis.rate_source,
    )


def fee_line(account_id: str, entry: Entry) -> query_service_pb2.FeeLine:
    """One entry with what it rests on, as the contract shows it."""
    place, recorded, line = entry
    if isinstance(line, Difference):
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
        fee_type=fee_type(line.fee),
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
        kind="FILL",
    )
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
    account_id: str, place: Place, recorded: Recorded, difference: Difference
) -> query_service_pb2.FeeLine:
    event, line = recorded.event, difference.line
    assert isinstance(event, FeeAdjusted), recorded
    terms, before, after = (
        event.symbols[line.symbol_index],
        event.bases[line.basis_before],
        event.bases[line.basis_after],
    )
    traits = Line(line.exec_id, line.transact_time_ns, line.symbol_index, line.traits, 0, 0, 0, line.basis_after)
    return query_service_pb2.FeeLine(
        fill_ref=fill_pb2.FillRef(
            venue=line.venue, account_id=account_id, day=day_text(place.day), exec_id=line.exec_id
        ),
        line_ref=fill_pb2.LineRef(position=place.position, line=place.line),
        transact_time=timestamp(line.transact_time_ns),
        recorded_time=timestamp(recorded.envelope.recorded_time_ns),
        symbol=terms.symbol,
        side=traits.side,  # type: ignore[arg-type]
        liquidity=traits.liquidity,  # type: ignore[arg-type]
        last_px=line.price,
        last_qty=line.quantity,
        notional=decimal_text(exact(line.price, FEE_SCALE) * exact(line.quantity, FEE_SCALE), NOTIONAL_SCALE),
        quote_currency=terms.quote_currency,
        fee_amount=decimal_text(difference.amount, FEE_SCALE),
        fee_currency=difference.currency,
        fee_type=fee_type(difference.amount),
        basis=fee_basis(after),
        self_trade=traits.self_trade,
        banned=traits.banned,
        channel=traits.channel,  # type: ignore[arg-type]
        product=terms.product,  # type: ignore[arg-type]
        kind="ADJUSTMENT",
        adjustment=query_service_pb2.FeeAdjustment(
            cause=event.cause,
            cause_position=event.cause_position,
            line_ref=fill_pb2.LineRef(position=line.position, line=line.line),
            fee_before=line.fee_before,
            fee_currency_before=before.fee_currency,
            basis_before=fee_basis(before),
            fee_after=line.fee_after,
            fee_currency_after=after.fee_currency,
        ),
    )


def run_of(recorded: Recorded) -> VolumeRecorded:
    """The run of fills that an event of a fee stream is."""
    assert isinstance(recorded.event, VolumeRecorded), recorded
    return recorded.event


def fee_event(recorded: Recorded) -> FeeEvent:
    """The event of a fee stream."""
    assert isinstance(recorded.event, FeeEvent), recorded
    return recorded.event


def _events_of(log: Log, span: Span, seen: tuple[int, int] = (0, 0)) -> Iterator[Recorded]:
    """Events of fee streams with a line in a span, behind a (day, position), read as they are taken."""
    while span.from_ns < span.until_ns:
        events = log.fees(
            span.account_id,
            after=seen,
            from_ns=span.from_ns,
            as_of_ns=span.until_ns - 1,
            until=span.known,
            limit=_EVENTS_PER_READ,
        )
        yield from events
        if len(events) < _EVENTS_PER_READ:
            return
        seen = (fee_event(events[-1]).time_min_ns // DAY_NS, events[-1].position)


def _entries(recorded: Recorded) -> Iterator[Entry]:
    event = fee_event(recorded)
    day = event.time_min_ns // DAY_NS
    lines: Sequence[Line | Difference] = differences(event) if isinstance(event, FeeAdjusted) else event.lines
    for number, line in enumerate(lines):
        yield Entry(Place(day, recorded.position, number), recorded, line)


def _add_lines(days: dict[int, Sums], log: Log, span: Span) -> None:
    """Add lines with their fees as they are now: those of the days that a span cuts."""
    for recorded in _events_of(log, span):
        event = fee_event(recorded)
        sums = days.setdefault(event.time_min_ns // DAY_NS, {})
        if isinstance(event, FeeAdjusted):
            for adjusted in filter(span.holds, event.lines):
                restate(sums, event, adjusted)
            continue
        for line in filter(span.holds, event.lines):
            terms, basis = event.symbols[line.symbol_index], event.bases[line.basis_index]
            cell = sums.setdefault(cell_key(terms, line.traits, basis), CellSum())
            cell.lines += 1
            notional_scale = terms.price_scale + terms.quantity_scale
            cell.notional += line.price * line.quantity * 10 ** (NOTIONAL_SCALE - notional_scale)
            fee = line.fee * 10 ** (FEE_SCALE - basis.fee_decimals)
            cell.add_fees(basis.fee_currency, max(fee, 0), min(fee, 0), 1)
