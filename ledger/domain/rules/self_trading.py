"""R16: no self-trading. Maker and taker with one beneficial owner give no volume and earn no rebate (A20)."""

from __future__ import annotations


def is_self_trade(owner_id: str, counterparty_owner_id: str) -> bool:
    """Both owners come from the engine (A27); without the other side's owner nothing is assumed."""
    return counterparty_owner_id != "" and owner_id == counterparty_owner_id
