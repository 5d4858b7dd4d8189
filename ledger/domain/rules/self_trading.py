"""R16: no self-trading. Maker and taker with one beneficial owner give no volume and earn no rebate (A20)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:  # the rule compares whole columns, or one fill, and needs no word of how columns are made
    from ledger.arrays.columns import Ints, Texts


@overload
def self_trades(owner_ids: Texts, counterparty_owner_ids: Texts) -> Ints: ...


@overload
def self_trades(owner_ids: bytes, counterparty_owner_ids: bytes) -> bool: ...


def self_trades(owner_ids: Any, counterparty_owner_ids: Any) -> Any:
    """Return a boolean array: True where the engine names the same owner on both sides (A27); of one fill a boolean."""
    said = counterparty_owner_ids != b""
    return said & (owner_ids == counterparty_owner_ids)
