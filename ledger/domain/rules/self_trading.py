"""R16: no self-trading. Maker and taker with one beneficial owner give no volume and earn no rebate (A20)."""

from __future__ import annotations

from collections.abc import Iterable


def self_trades(owner_ids: Iterable[str], counterparty_owner_ids: Iterable[str]) -> list[bool]:
    """Of each fill whether it is one. Owners come from the engine (A27); without the other side's none is assumed."""
    return [owner == other != "" for owner, other in zip(owner_ids, counterparty_owner_ids, strict=True)]
