"""The cards on top of the page: the few numbers that most people come for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from ledger.domain.state.volume_cells import FEE_SCALE, NOTIONAL_SCALE
from ledger.tools.history.page.drawing import moment
from ledger.tools.history.page.words import decimals, many
from ledger.tools.history.totals import Totals
from ledger.v1.query_service_pb2 import GetVipStateResponse


def cards(state: GetVipStateResponse, totals: Totals, differences: Sequence[str]) -> str:
    """Tier, fills, volume, what was charged and paid back; and whether the sums are the ledger's."""
    told = [_tier(state), *(_sums(totals) if totals.fills else ()), _control(differences)]
    return f'<div class="cards">{"".join(told)}</div>'


def _card(name: str, value: str, more: str = "", css: str = "") -> str:
    below = f'<span class="more">{escape(more)}</span>' if more else ""
    return f'<div class="card"><span>{escape(name)}</span><b class="{css}">{escape(value)}</b>{below}</div>'


def _tier(state: GetVipStateResponse) -> str:
    has_tier = state.HasField("grant")
    until = f"until {moment(state.tier_until.ToNanoseconds())}" if has_tier and state.HasField("tier_until") else ""
    said = [until, "banned" if state.banned else "", "flagged" if state.flagged else ""]
    tier = state.tier if has_tier else "no tier"
    return _card("tier", tier, ", ".join(filter(None, said)))


def _sums(totals: Totals) -> Iterator[str]:
    yield _card("fills", f"{totals.fills:,}", many(totals.adjustments, "adjustment") if totals.adjustments else "")
    yield _amounts("volume", {currency: sums[0] for currency, sums in totals.volumes.items()}, NOTIONAL_SCALE)
    yield _amounts("charged", {currency: sums[0] for currency, sums in totals.fees.items()}, FEE_SCALE)
    yield _amounts("paid back", {currency: sums[1] for currency, sums in totals.fees.items()}, FEE_SCALE)


def _amounts(name: str, amounts: dict[str, int], scale: int) -> str:
    """The largest in front, the others below."""
    shown = sorted(((abs(amount), currency) for currency, amount in amounts.items() if amount), reverse=True)
    if not shown:
        return _card(name, "0")
    (_, first), *others = shown
    more = [f"{decimals(amounts[currency], scale)} {currency}" for _, currency in others]
    return _card(name, decimals(amounts[first], scale), " · ".join([first, *more]))


def _control(differences: Sequence[str]) -> str:
    if differences:
        return _card("control totals", "differ", "; ".join(differences), "bad")
    return _card("control totals", "equal", "to the ledger's running totals", "good")
