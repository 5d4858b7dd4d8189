"""GetRates: all that a market maker asks, in one answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ledger.domain.decide.standing import grant_in_effect
from ledger.domain.events import KnownLine
from ledger.domain.instants import DAY_NS
from ledger.domain.money import decimal_text
from ledger.domain.rules.ban import running_ban
from ledger.domain.rules.exclusive_fee_rate import fee_rate
from ledger.domain.rules.fake_accounts import flagged_at
from ledger.domain.rules.fee_amount import formula
from ledger.domain.state.programme import NO_TIER, Programme
from ledger.domain.traits import TRAIT_SELF_TRADE
from ledger.store.log import Log
from ledger.v1 import query_service_pb2 as pb
from ledger.wire.status import timestamp
from projections.answers.fee_history import AccountSpan, day_sums, fills_now, totals
from projections.answers.vip_state import asked, class_rates, own_rates, tier_until
from projections.answers.window_volume import Window, window_so_far
from projections.as_of import Reader, View
from projections.evaluation.pending import pending_evaluation_ns


def get_rates(reader: Reader, request: pb.GetRatesRequest) -> pb.GetRatesResponse:
    """Answer with rates now, how long they hold, and where the volume of the next evaluation's window stands."""
    view, programme = asked(reader, request)
    basis = view.instant.basis(reader.ledger_id)
    response = pb.GetRatesResponse(basis=basis, account_id=request.account_id, tier=NO_TIER)
    if programme is not None:
        _say_rates(response, view, programme)
        window = window_so_far(reader.log, view, programme)
        window.say(response, view, programme)
        _say_rebates(response, reader.log, view, window)
        pending_ns = pending_evaluation_ns(reader, view, programme)
        if pending_ns is not None:
            response.evaluation_pending = True
            response.pending_evaluation_time.CopyFrom(timestamp(pending_ns))
    response.reprice_in_progress = reader.is_repriced(view.instant, request.account_id)
    return response


def _say_rates(response: pb.GetRatesResponse, view: View, programme: Programme) -> None:
    at_ns = view.instant.as_of_ns
    grant = grant_in_effect(view.account, programme, at_ns)
    response.programme_id = programme.programme_id
    response.tier = grant.tier if grant else NO_TIER
    response.rates.extend(class_rates(programme, response.tier))
    response.own_rates.extend(own_rates(view.book, programme, response.tier, at_ns))
    response.banned = running_ban(view.account.bans, at_ns) is not None
    response.flagged = flagged_at(view.account.flags, at_ns) is not None
    if until := tier_until(view, programme):
        response.valid_until.CopyFrom(until)
    changes = [change for change in (*view.account.change_instants, *view.book.change_instants) if change > at_ns]
    if changes:
        response.rates_until.CopyFrom(timestamp(min(changes)))


def _say_rebates(response: pb.GetRatesResponse, log: Log, view: View, window: Window) -> None:
    sums, span = window.sums, window.span
    response.rebates_earned.extend(
        pb.RebateSum(currency=total.currency, amount=total.rebates) for total in totals(sums) if total.rebates != "0"
    )
    if any(key.self_trade and key.zero_fee for key in sums):
        response.rebates_suppressed.extend(_suppressed(log, span, view))


def _suppressed(log: Log, span: AccountSpan, view: View) -> Iterable[pb.RebateSum]:
    """Return the rebates that self-trades would have earned, by the rule that suppressed them.

    Only the days that have any are read, line by line."""
    sums: dict[str, tuple[int, int]] = {}
    for day, cells in day_sums(log, span).items():
        if not any(key.self_trade and key.zero_fee for key in cells):
            continue
        whole = replace(span, from_ns=max(span.from_ns, day * DAY_NS), until_ns=min(span.until_ns, (day + 1) * DAY_NS))
        for known in fills_now(log, whole, TRAIT_SELF_TRADE):
            if known.basis.rate_source == "REBATE_SUPPRESSED":
                currency, decimals = known.basis.fee_currency, known.basis.fee_decimals
                if currency == known.line.token:  # an adjusted fee stays in its token, a rebate never is in one
                    currency = known.terms.quote_currency
                    decimals = view.book.decimals(currency)
                _, amount = sums.get(currency, (0, 0))
                sums[currency] = (decimals, amount + _unearned(known, view, decimals))
    return [
        pb.RebateSum(currency=currency, amount=decimal_text(amount, decimals))
        for currency, (decimals, amount) in sorted(sums.items())
    ]


def _unearned(known: KnownLine, view: View, decimals: int) -> int:
    """Return the rebate a line would have earned, had it not been a self-trade, in units of some decimals."""
    line, terms, basis = known
    programme = view.book.programme(basis.programme_id, line.transact_time_ns)
    assert isinstance(programme, Programme), basis
    rate_ppm, _ = fee_rate(
        programme,
        tier=basis.tier,
        pair_class=basis.pair_class,
        liquidity=line.liquidity,
        channel=line.channel,
        override=view.book.override(programme, terms.symbol, line.transact_time_ns),
    )
    scale = terms.price_scale + terms.quantity_scale
    rule = formula(programme, rate_ppm=rate_ppm, discount_ppm=0, amount_scale=scale, fee_decimals=decimals)
    return rule.fee(line.price * line.quantity)
