"""QuoteFee: what a fill would cost, by the code that would record it."""

from __future__ import annotations

from ledger.domain.fill_batch import canonical
from ledger.domain.money import decimal_text
from ledger.domain.quote import Offer, quote
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
    found = quote(_offer(request, venue), view.account, view.book, view.instant.as_of_ns)
    if isinstance(found, Refusal):
        raise RefusedError(found)
    return pb.QuoteFeeResponse(
        basis=view.instant.basis(reader.ledger_id),
        notional=decimal_text(found.notional, found.notional_scale),
        fee_amount=decimal_text(found.fee, found.basis.fee_decimals),
        fee_currency=found.basis.fee_currency,
        fee_type=fee_type(found.fee),
        fee_basis=fee_basis(found.basis),
        banned=found.banned,
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


def _offer(request: pb.QuoteFeeRequest, venue: str) -> Offer:
    return Offer(
        venue,
        request.symbol,
        request.product,
        request.side,
        request.liquidity,
        request.channel,
        request.last_px,
        request.last_qty,
        request.token_payment.token,
        canonical(request.token_payment.price),
    )
