"""The cards on top of the page: the few numbers that most people come for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ledger.cli.screens import many
from ledger.domain.state.volume_cells import FEE_SCALE, NOTIONAL_SCALE
from ledger.tools.history.totals import Totals
from ledger.tools.pages.parts import Card
from ledger.tools.pages.words import decimals, moment
from ledger.v1.query_service_pb2 import GetVipStateResponse


def cards(state: GetVipStateResponse, when: str, totals: Totals, differences: Sequence[str]) -> list[Card]:
    """Return the tier `when` the state was asked, the sums of the entries, and whether the sums are the ledger's."""
    return [_tier(state, when), *(_sums(totals) if totals.fills or totals.credits else ()), _control(differences)]


def _tier(state: GetVipStateResponse, when: str) -> Card:
    has_tier = state.HasField("grant")
    until = f"until {moment(state.tier_until.ToNanoseconds())}" if has_tier and state.HasField("tier_until") else ""
    said = [until, "banned" if state.banned else "", "flagged" if state.flagged else ""]
    return Card(f"tier {when}", state.tier if has_tier else "no tier", ", ".join(filter(None, said)))


def _sums(totals: Totals) -> Iterator[Card]:
    yield Card("fills", f"{totals.fills:,}", many(totals.adjustments, "adjustment") if totals.adjustments else "")
    yield _amounts("volume", {currency: sums[0] for currency, sums in totals.volumes.items()}, NOTIONAL_SCALE)
    yield _amounts("charged", {currency: sums[0] for currency, sums in totals.fees.items()}, FEE_SCALE)
    yield _amounts("paid back", {currency: sums[1] for currency, sums in totals.fees.items()}, FEE_SCALE)
    if totals.credits:
        yield _amounts("credited by hand", totals.credited, FEE_SCALE)
    net = {currency: sums[0] + sums[1] for currency, sums in totals.fees.items()}
    for currency, amount in totals.credited.items():
        net[currency] = net.get(currency, 0) + amount
    yield _amounts("net fees", net, FEE_SCALE)


def _amounts(name: str, amounts: dict[str, int], scale: int) -> Card:
    """The largest in front, the others below."""
    shown = sorted(((abs(amount), currency) for currency, amount in amounts.items() if amount), reverse=True)
    if not shown:
        return Card(name, "0")
    (_, first), *others = shown
    more = [f"{decimals(amounts[currency], scale)} {currency}" for _, currency in others]
    return Card(name, f"{decimals(amounts[first], scale)} {first}", " · ".join(more))


def _control(differences: Sequence[str]) -> Card:
    if differences:
        return Card("control totals", "differ", "; ".join(differences), "bad")
    return Card("control totals", "equal", "to the ledger's running totals", "good")
