"""The byte of traits holds what was packed, of one fill and of a column of them."""

from __future__ import annotations

import numpy as np

from ledger.domain.traits import CELL_TRAITS, DECIDED_TRAITS, channel_of, liquidity_of, packed_traits, side_of

EVERY = [(side, liquidity, channel) for side in range(1, 3) for liquidity in range(1, 3) for channel in range(1, 4)]


def test_one_fill_is_read_as_it_was_packed_whatever_was_decided_on_it() -> None:
    for each in EVERY:
        for decided in (0, DECIDED_TRAITS):
            traits = packed_traits(*each) | decided
            assert (side_of(traits), liquidity_of(traits), channel_of(traits)) == each
            assert traits & CELL_TRAITS == each[2] << 4 | decided


def test_a_column_is_packed_and_read_like_each_of_its_fills() -> None:
    columns = np.array(EVERY).T
    traits = packed_traits(*columns)
    assert traits.tolist() == [packed_traits(*each) for each in EVERY]
    assert [
        column.tolist() for column in (side_of(traits), liquidity_of(traits), channel_of(traits))
    ] == columns.tolist()
