"""Packed columns as a client reads them, without numpy: as the ledger packs them."""

from __future__ import annotations

import numpy as np
import pytest

from ledger.arrays.columns import packed, packed_texts, texts
from ledger.cli import documents


@pytest.mark.parametrize("bits", range(1, 64, 7))
@pytest.mark.parametrize("signed", [False, True])
def test_integers_of_every_width_are_read_as_they_were_packed(bits: int, signed: bool) -> None:
    values = [0, 1, (1 << bits) - 1, *([-1, -(1 << bits)] if signed else [])]
    data = packed(np.array(values, dtype=np.int64), signed=signed).data
    assert documents.integers(data, len(values), signed=signed) == values
    assert all(type(value) is int for value in documents.integers(data, len(values), signed=signed))


def test_texts_are_read_without_what_fills_them_up() -> None:
    values = ["XRP_USDT", "", "é", "BTC_USDT_LONGER"]
    assert documents.texts(packed_texts(texts(values)).data, len(values)) == values
