"""The byte of traits of a fill: side (bits 0-1), liquidity (2-3), channel (4-5), self-trade (6), banned (7).

The functions take one fill, or a column of them.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

TRAIT_SELF_TRADE: Final = 1 << 6
TRAIT_BANNED: Final = 1 << 7
DECIDED_TRAITS: Final = TRAIT_SELF_TRADE | TRAIT_BANNED  # the ledger decides these, engines send the others
CELL_TRAITS: Final = 0xF0  # these say in which volume cell a fill counts: channel, self-trade, banned
TRAITS_END: Final = 1 << 8

N = TypeVar("N", bound=Any)  # an integer, or an array of integers


def packed_traits(side: N, liquidity: N, channel: N) -> N:
    """Pack what an engine sends: packed_traits(1, 2, 1) -> 0b01_10_01."""
    traits: N = side | liquidity << 2 | channel << 4
    return traits


def side_of(traits: N) -> N:
    """Return the number of the enum Side."""
    side: N = traits & 3
    return side


def liquidity_of(traits: N) -> N:
    """Return the number of the enum Liquidity."""
    liquidity: N = traits >> 2 & 3
    return liquidity


def channel_of(traits: N) -> N:
    """Return the number of the enum Channel."""
    channel: N = traits >> 4 & 3
    return channel
