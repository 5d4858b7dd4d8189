"""Screens about programmes and pairs."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.cli.screens.layout import NONE, given, instant, percent, table
from ledger.v1 import programme_service_pb2 as pb


def programmes(found: Iterable[pb.ProgrammeVersion]) -> list[str]:
    """Versions of programmes."""
    rows = [
        (
            one.programme_id, one.version, instant(one.valid_from), given(one, "valid_until"),
            "yes" if one.in_force else "", one.actor or NONE, one.approver or NONE, one.content_sha256[:8],
        )
        for one in found
    ]  # fmt: skip
    heads = ("programme", "version", "from (UTC)", "until (UTC)", "now", "actor", "approver", "SHA-256")
    return table(heads, rows)


def symbols(found: Iterable[pb.Pair]) -> list[str]:
    """Show the class and the own rates of each pair, a line each."""
    rows = [(one.symbol, one.pair_class or NONE, *_own_rates(one)) for one in found]
    return table(("symbol", "class", ".own maker %", ".own taker %"), rows)


def _own_rates(pair: pb.Pair) -> tuple[str, ...]:
    return tuple(percent(rate) if rate else NONE for rate in (pair.maker_rate, pair.taker_rate))
