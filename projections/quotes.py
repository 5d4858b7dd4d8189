"""QuoteFee: what a fill would cost, by the code that would record it."""

from __future__ import annotations

from ledger.domain.fills import FillBatch, canonical
from ledger.domain.money import decimal_text
from ledger.domain.quote import quote
from ledger.domain.refusal import Refusal
from ledger.shape import Shape, number, optional_id, payment, positive, required_id
from ledger.v1 import query_service_pb2 as pb
from ledger.wire import RefusedError
from projections.as_of import Reader, check_times
from projections.fee_history import fee_basis, fee_type


def quote_fee(reader: Reader, request: pb.QuoteFeeRequest) -> pb.QuoteFeeResponse:
    """The fee of a fill at as_of; nothing is recorded."""
    _check(request)
    view = reader.view(request.at, request.account_id)
    venue = view.book.venue(request.venue)
    if isinstance(venue, Refusal):
        raise RefusedError(venue)
    known = quote(_batch(request, venue, view.instant.as_of_ns), view.account, view.book)
    if isinstance(known, Refusal):
        raise RefusedError(known)
    line, terms, basis = known
    return pb.QuoteFeeResponse(
        basis=view.instant.basis(reader.ledger_id),
        notional=decimal_text(line.price * line.quantity, terms.price_scale + terms.quantity_scale),
        fee_amount=decimal_text(line.fee, basis.fee_decimals),
        fee_currency=basis.fee_currency,
        fee_type=fee_type(line.fee),
        fee_basis=fee_basis(basis),
        banned=line.banned,
    )


def _check(request: pb.QuoteFeeRequest) -> None:
    """The shape of a quote is that of a fill."""
    with Shape() as shape:
        shape(required_id, request.account_id, "account_id")
        shape(required_id, request.symbol, "symbol")
        shape(optional_id, request.venue, "venue")
        shape(number, request.side, (1, 2), "side")
        shape(number, request.liquidity, (1, 2), "liquidity")
        shape(number, request.channel, (0, 1, 2, 3), "channel")
        shape(number, request.product, (0, 1, 2), "product")
        shape(positive, request.last_px, "last_px")
        shape(positive, request.last_qty, "last_qty")
        if request.HasField("token_payment"):
            shape(payment, request.token_payment, "token_payment")
        shape(check_times, request.at)


def _batch(request: pb.QuoteFeeRequest, venue: str, at_ns: int) -> FillBatch:
    nothing = ("",)
    return FillBatch(
        venue=venue,
        actor="",
        index=(0,),
        source=nothing,
        sequence=(0,),
        account_id=(request.account_id,),
        exec_id=nothing,
        symbol=(request.symbol,),
        side=(request.side,),
        liquidity=(request.liquidity,),
        price=(request.last_px,),
        quantity=(request.last_qty,),
        transact_time_ns=(at_ns,),
        channel=(request.channel,),
        product=(request.product,),
        trade_id=nothing,
        order_id=nothing,
        cl_ord_id=nothing,
        order_time_ns=(0,),
        owner_id=nothing,
        counterparty_owner_id=nothing,
        token=(request.token_payment.token,),
        token_price=(canonical(request.token_payment.price),),
        token_price_source=nothing,
        charged_amount=nothing,
        charged_currency=nothing,
        charged_rate=nothing,
    )
