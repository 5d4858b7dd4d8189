"""Entries of a fee history as the scripts count and write them: what each adds to a sum, and its columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, TypeAlias

from google.protobuf.descriptor import Descriptor
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.state.volume_cells import FEE_SCALE, NOTIONAL_SCALE, exact
from ledger.v1.fill_pb2 import Channel, Liquidity, Product, Side
from ledger.v1.query_service_pb2 import FeeBasis, FeeLine


class Counted(NamedTuple):
    """A fee that a sum gains (sign 1) or loses (-1): at FEE_SCALE, with what it rests on."""

    sign: int
    currency: str
    fee: int
    basis: FeeBasis


def counted(line: FeeLine) -> Iterator[Counted]:
    """Yield what an entry adds to sums of fees as they are now.

    An adjustment takes the fee before away and adds the one after; where it changes the currency it has an entry in
    each, the old one first. A credit is no fee of a fill, and adds nothing.
    """
    adjustment = line.adjustment
    if line.HasField("credit"):
        return
    if line.kind == "FILL":
        yield Counted(1, line.fee_currency, exact(line.fee_amount, FEE_SCALE), line.basis)
        return
    if line.fee_currency == adjustment.fee_currency_before:
        before = exact(adjustment.fee_before, FEE_SCALE)
        yield Counted(-1, adjustment.fee_currency_before, before, adjustment.basis_before)
    if line.fee_currency == adjustment.fee_currency_after:
        yield Counted(1, adjustment.fee_currency_after, exact(adjustment.fee_after, FEE_SCALE), line.basis)


def credited(line: FeeLine) -> int:
    """Return what an entry adds to the credits by hand, at FEE_SCALE: a credit is negative, its withdrawal positive."""
    return exact(line.fee_amount, FEE_SCALE) if line.HasField("credit") else 0


def counted_volume(line: FeeLine) -> Iterator[tuple[int, bool, bool]]:
    """Yield (sign, whether it traded with itself, whether under a ban) of volume that an entry adds to sums, or takes.

    Of an adjustment that changes the currency the second entry would tell it.
    """
    adjustment = line.adjustment
    if line.kind == "FILL":
        yield 1, line.self_trade, line.banned
    elif line.fee_currency == adjustment.fee_currency_after:
        before, now = (adjustment.self_trade_before, adjustment.banned_before), (line.self_trade, line.banned)
        if before != now:
            yield -1, *before
            yield 1, *now


def notional(line: FeeLine) -> int:
    """Price x quantity at NOTIONAL_SCALE."""
    return exact(line.notional, NOTIONAL_SCALE)


Row: TypeAlias = tuple[str | int | bool | None, ...]  # the values of COLUMNS


class Column(NamedTuple):
    """A column of a file. `kind` is TEXT, DECIMAL, TIME, INTEGER or BOOLEAN; what an entry does not say is None."""

    name: str
    kind: str
    value: Callable[[FeeLine], str | int | bool | None]


def _field(path: str) -> Callable[[FeeLine], Any]:
    *parents, name = path.split(".")
    if not parents:
        return _own(name, FeeLine.DESCRIPTOR)
    inner: Any = FeeLine.DESCRIPTOR
    for parent in parents:
        inner = inner.fields_by_name[parent].message_type
    last = _own(name, inner)

    def value(line: FeeLine) -> Any:
        found: Any = line
        for parent in parents:
            if not found.HasField(parent):
                return None
            found = getattr(found, parent)
        return last(found)

    return value


def _own(name: str, kind: Descriptor) -> Callable[[Any], Any]:
    """A field of a message itself, looked at only if it is there."""
    if kind.fields_by_name[name].has_presence:
        return lambda message: _plain(getattr(message, name)) if message.HasField(name) else None
    return lambda message: _plain(getattr(message, name))


def _plain(value: Any) -> Any:
    if isinstance(value, Timestamp):
        return value.ToJsonString()
    return None if value == "" else value


def _name(enum: Any, field: str) -> Callable[[FeeLine], str | None]:
    """A member of an enum by its name without the prefix; unspecified is None."""
    prefix = enum.Name(0).removesuffix("UNSPECIFIED")
    return lambda line: enum.Name(getattr(line, field)).removeprefix(prefix) if getattr(line, field) else None


def _columns(kind: str, /, **paths: str) -> list[Column]:
    return [Column(name, kind, _field(path)) for name, path in paths.items()]


# Names are those of the contract; prices, amounts and rates are exact decimals, times UTC to the nanosecond.
COLUMNS: Final[tuple[Column, ...]] = (
    *_columns("TEXT", kind="kind", venue="fill_ref.venue", account_id="fill_ref.account_id", day="fill_ref.day"),
    *_columns("TEXT", exec_id="fill_ref.exec_id"),
    *_columns("INTEGER", position="line_ref.position", line="line_ref.line"),
    *_columns("TIME", transact_time="transact_time", recorded_time="recorded_time"),
    *_columns("TEXT", symbol="symbol"),
    Column("side", "TEXT", _name(Side, "side")),
    Column("liquidity", "TEXT", _name(Liquidity, "liquidity")),
    *_columns("DECIMAL", last_px="last_px", last_qty="last_qty", notional="notional"),
    *_columns("TEXT", quote_currency="quote_currency"),
    *_columns("DECIMAL", fee_amount="fee_amount"),
    *_columns("TEXT", fee_currency="fee_currency", fee_type="fee_type"),
    *_columns("DECIMAL", rate="basis.rate", discount="basis.discount"),
    *_columns("TEXT", rate_source="basis.rate_source", tier="basis.tier", grant_id="basis.grant_id"),
    *_columns("TEXT", grant_source="basis.grant_source", pair_class="basis.pair_class"),
    *_columns("TEXT", programme_id="basis.programme_id", programme_version="basis.programme_version"),
    *_columns("BOOLEAN", self_trade="self_trade", banned="banned"),
    Column("channel", "TEXT", _name(Channel, "channel")),
    Column("product", "TEXT", _name(Product, "product")),
    *_columns("TEXT", trade_id="trade_id", order_id="order_id", cl_ord_id="cl_ord_id"),
    *_columns("TIME", order_time="order_time"),
    *_columns("TEXT", owner_id="owner_id", counterparty_owner_id="counterparty_owner_id"),
    *_columns("TEXT", token="token_payment.token"),  # noqa: S106 - no password
    *_columns("DECIMAL", token_price="token_payment.price"),  # noqa: S106
    *_columns("TEXT", token_price_source="token_payment.price_source"),  # noqa: S106
    *_columns("DECIMAL", charged_amount="charged_fee.amount"),
    *_columns("TEXT", charged_currency="charged_fee.currency"),
    *_columns("DECIMAL", charged_rate="charged_fee.rate"),
    *_columns("TEXT", source="source"),
    *_columns("INTEGER", sequence="sequence"),
    *_columns("TEXT", adjusted_because="adjustment.cause"),
    *_columns("INTEGER", cause_position="adjustment.cause_position"),
    *_columns("INTEGER", adjusted_position="adjustment.line_ref.position", adjusted_line="adjustment.line_ref.line"),
    *_columns("DECIMAL", fee_before="adjustment.fee_before"),
    *_columns("TEXT", fee_currency_before="adjustment.fee_currency_before"),
    *_columns("TEXT", tier_before="adjustment.basis_before.tier"),
    *_columns("DECIMAL", rate_before="adjustment.basis_before.rate", fee_after="adjustment.fee_after"),
    *_columns("TEXT", fee_currency_after="adjustment.fee_currency_after"),
    *_columns("INTEGER", credit_position="credit.credit_position"),
    *_columns("TEXT", credit_reason="credit.reason_code", credit_asked_by="credit.asked_by"),
    *_columns("TEXT", credit_approved_by="credit.approved_by"),
)


def row(line: FeeLine) -> Row:
    """The values of all columns."""
    return tuple(column.value(line) for column in COLUMNS)
