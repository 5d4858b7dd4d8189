"""VolumeRecorded to bytes and back: columns, not rows. The layout is described in proto/ledger/v1/events.proto."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from ledger.domain.events import Basis, CellKey, CellTotals, Columns, FeeSum, SymbolTerms, VolumeRecorded
from ledger.domain.fill_batch import numbered
from ledger.v1 import events_pb2

_INT64_MAX: Final = 2**63 - 1

# Columns of text and numbers that stand as they are; the rest is treated by name below.
_PLAIN_COLUMNS: Final = (
    "cl_ord_id",
    "order_time_ns",
    "owner_id",
    "counterparty_owner_id",
    "token",
    "token_price",
    "token_price_source",
    "charged_amount",
    "charged_currency",
    "charged_rate",
)


def encode_volume(envelope: events_pb2.Envelope, event: VolumeRecorded) -> bytes:
    """The bytes of a run of fills."""
    earliest, columns = event.time_min_ns, event.columns
    message = events_pb2.VolumeRecorded(
        envelope=envelope,
        venue=event.venue,
        time_max_ns=event.time_max_ns,
        time_max_so_far_ns=event.time_max_so_far_ns,
        symbols=[_symbol_message(terms) for terms in event.symbols],
        bases=[_basis_message(basis) for basis in event.bases],
        totals=[_totals_message(totals) for totals in event.totals],
        exec_id=columns.exec_id,
        time_offset_ns=[time_ns - earliest for time_ns in columns.transact_time_ns],
        traits=columns.traits,
        basis_index=columns.basis_index,
        symbol_index=columns.symbol_index,
    )
    assert envelope.effective_time_ns == earliest, (envelope.effective_time_ns, earliest)
    _encode_amounts(message, columns)
    _encode_sources(message, event.sources, columns)
    _encode_ids(message, "trade", columns.trade_id)
    _encode_ids(message, "order", columns.order_id)
    for name in _PLAIN_COLUMNS:
        column = getattr(columns, name)
        if any(column):
            getattr(message, name).extend(column)
    return message.SerializeToString(deterministic=True)


def decode_volume(state: bytes, stream: str) -> tuple[events_pb2.Envelope, VolumeRecorded]:
    """The envelope and the run of fills that bytes of `stream` hold."""
    message = events_pb2.VolumeRecorded.FromString(state)
    earliest = message.envelope.effective_time_ns
    prices, quantities, fees = _amounts(message)
    columns = Columns(
        exec_id=message.exec_id,
        transact_time_ns=[earliest + offset for offset in message.time_offset_ns],
        symbol_index=message.symbol_index,
        traits=message.traits,
        price=prices,
        quantity=quantities,
        fee=fees,
        basis_index=message.basis_index,
        source_index=message.source_index,
        sequence=_sequences(message),
        trade_id=message.trade_id or message.trade_number,
        order_id=message.order_id or message.order_number,
        **{name: getattr(message, name) for name in _PLAIN_COLUMNS},
    )
    event = VolumeRecorded(
        venue=message.venue,
        sources=tuple(message.source),
        time_min_ns=earliest,
        time_max_ns=message.time_max_ns,
        time_max_so_far_ns=message.time_max_so_far_ns,
        symbols=tuple(_symbol(terms) for terms in message.symbols),
        bases=tuple(_basis(basis) for basis in message.bases),
        columns=columns,
        totals=tuple(_totals(totals) for totals in message.totals),
    )
    assert all(len(column) in (0, len(columns.exec_id)) for column in columns), (stream, len(columns.exec_id))
    return message.envelope, event


def decode_totals(state: bytes) -> tuple[CellTotals, ...]:
    """Only the running totals of a stored VolumeRecorded."""
    return tuple(_totals(totals) for totals in events_pb2.VolumeRecorded.FromString(state).totals)


def exec_ids(state: bytes) -> Sequence[str]:
    """Only the exec_ids of a stored VolumeRecorded."""
    return events_pb2.VolumeRecorded.FromString(state).exec_id


def _encode_amounts(message: events_pb2.VolumeRecorded, columns: Columns) -> None:
    amounts = (columns.price, columns.quantity, columns.fee)
    if max(map(max, amounts)) <= _INT64_MAX and min(columns.fee) >= -_INT64_MAX:
        message.price.extend(columns.price)
        message.quantity.extend(columns.quantity)
        message.fee.extend(columns.fee)
    else:
        for line in zip(*amounts, strict=True):
            message.wide.extend(map(str, line))


def _amounts(message: events_pb2.VolumeRecorded) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    if message.wide:
        wide = list(map(int, message.wide))
        return wide[0::3], wide[1::3], wide[2::3]
    return message.price, message.quantity, message.fee


def _encode_sources(message: events_pb2.VolumeRecorded, sources: Sequence[str], columns: Columns) -> None:
    """Numbers are stored relative to the lowest of their source, which makes them short."""
    message.source.extend(sources)
    sequences, indexes = columns.sequence, columns.source_index
    if len(sources) > 1:
        message.source_index.extend(indexes)
    if not any(sequences):
        return
    if len(sources) == 1:
        first = min(sequences)
        message.first_sequence.append(first)
        message.last_sequence.append(max(sequences))
        message.sequence_offset.extend([sequence - first for sequence in sequences])
        return
    firsts, lasts = [_INT64_MAX] * len(sources), [0] * len(sources)
    for index, sequence in zip(indexes, sequences, strict=True):
        firsts[index] = min(firsts[index], sequence)
        lasts[index] = max(lasts[index], sequence)
    message.first_sequence.extend(firsts)
    message.last_sequence.extend(lasts)
    pairs = zip(indexes, sequences, strict=True)
    message.sequence_offset.extend([sequence - firsts[index] for index, sequence in pairs])


def _sequences(message: events_pb2.VolumeRecorded) -> Sequence[int]:
    firsts, offsets = message.first_sequence, message.sequence_offset
    if not offsets:
        return ()
    if len(firsts) == 1:
        first = firsts[0]
        return [first + offset for offset in offsets]
    return [firsts[index] + offset for index, offset in zip(message.source_index, offsets, strict=True)]


def _encode_ids(message: events_pb2.VolumeRecorded, kind: str, ids: Any) -> None:
    """As numbers where all of them are, otherwise as text."""
    if any(ids) and isinstance(ids[0], str):
        ids = numbered(ids)
    if len(ids):
        getattr(message, f"{kind}_id" if isinstance(ids[0], str) else f"{kind}_number").extend(ids)


@lru_cache(maxsize=65_536)
def _symbol_message(terms: SymbolTerms) -> events_pb2.SymbolTerms:
    return events_pb2.SymbolTerms(
        symbol=terms.symbol,
        quote_currency=terms.quote_currency,
        product=terms.product,
        price_scale=terms.price_scale,
        quantity_scale=terms.quantity_scale,
    )


def _symbol(message: events_pb2.SymbolTerms) -> SymbolTerms:
    return SymbolTerms(
        message.symbol, message.quote_currency, message.product, message.price_scale, message.quantity_scale
    )


@lru_cache(maxsize=65_536)
def _basis_message(basis: Basis) -> events_pb2.Basis:
    return events_pb2.Basis(
        rate_ppm=basis.rate_ppm,
        discount_ppm=basis.discount_ppm,
        tier=basis.tier,
        grant_id=basis.grant_id,
        grant_source=basis.grant_source,
        programme_id=basis.programme_id,
        programme_version=basis.programme_version,
        pair_class=basis.pair_class,
        rate_source=basis.rate_source,
        fee_currency=basis.fee_currency,
        fee_decimals=basis.fee_decimals,
    )


def _basis(message: events_pb2.Basis) -> Basis:
    return Basis(
        rate_ppm=message.rate_ppm,
        discount_ppm=message.discount_ppm,
        tier=message.tier,
        grant_id=message.grant_id,
        grant_source=message.grant_source,
        programme_id=message.programme_id,
        programme_version=message.programme_version,
        pair_class=message.pair_class,
        rate_source=message.rate_source,
        fee_currency=message.fee_currency,
        fee_decimals=message.fee_decimals,
    )


def _totals_message(totals: CellTotals) -> events_pb2.CellTotals:
    return events_pb2.CellTotals(
        quote_currency=totals.key.quote_currency,
        product=totals.key.product,
        channel=totals.key.channel,
        self_trade=totals.key.self_trade,
        banned=totals.key.banned,
        zero_fee=totals.key.zero_fee,
        notional=totals.notional,
        lines=totals.lines,
        fees=[
            events_pb2.FeeSum(currency=fee.currency, charges=fee.charges, rebates=fee.rebates, lines=fee.lines)
            for fee in totals.fees
        ],
    )


def _totals(message: events_pb2.CellTotals) -> CellTotals:
    key = CellKey(*(getattr(message, name) for name in CellKey._fields))
    fees = (FeeSum(fee.currency, fee.charges, fee.rebates, fee.lines) for fee in message.fees)
    return CellTotals(key, message.notional, message.lines, tuple(fees))
