"""Screens for those who watch over a ledger."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.cli.screens.layout import NONE, instant, table
from ledger.v1 import control_service_pb2 as pb


def solo_actions(found: Iterable[pb.SoloAction]) -> list[str]:
    """Who did what alone."""
    rows = [
        (str(one.position), instant(one.recorded_time), one.actor or NONE, one.event, one.stream, one.ticket or NONE)
        for one in found
    ]
    return table((">position", "recorded (UTC)", "actor", "event", "stream", "ticket"), rows)


def withheld(found: Iterable[pb.WithheldFact]) -> list[str]:
    """Return a row per withheld fact: where it lies, since when and why it waits, which fills do not count by it."""
    rows = [
        (
            str(one.fact_position), instant(one.recorded_time), one.account_id or "all", _cause(one), one.switch,
            one.reason, " ".join([*one.programme_ids, *one.currencies]) or "all",
        )
        for one in found
    ]  # fmt: skip
    return table((">position", "withheld (UTC)", "account", "cause", "switch", "because of", "fills of"), rows)


def _cause(one: pb.WithheldFact) -> str:
    cause = f"{one.cause} of {one.symbol}" if one.symbol else one.cause
    return f"{cause} at {one.withdrawn_position} withdrawn" if one.withdrawn_position else cause
