"""R16: no self-trading. Maker and taker with one beneficial owner give no volume and earn no rebate (A20)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the rule compares whole columns, and needs no word of how they are made
    from ledger.arrays.columns import Ints, Texts


def self_trades(owner_ids: Texts, counterparty_owner_ids: Texts) -> Ints:
    """Return a boolean array: True where the engine names the same owner on both sides (A27)."""
    said: Ints = counterparty_owner_ids != b""
    same: Ints = said & (owner_ids == counterparty_owner_ids)
    return same
