"""Results of an evaluation that are encoded at once are the bytes of each by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.domain.events import PERIODIC, CellKey, CellVolume, Envelope, VolumeEvaluated
from ledger.store.codec.evaluated_many import EvaluatedAlike, without_amounts
from ledger.store.codec.events import encode

ENVELOPE = Envelope(5, 7, 3, "ops-1", approver="ops-2", request_id="run", request_sha256=bytes(32))
EVENT = VolumeEvaluated("spot", "3.0", PERIODIC, 5, 1, 5, 9, (), (), "0", "USDT", "VIP1", "g2", 5, 90, ("g1",), 5)
CELLS = (
    CellKey("U" * 140, 0, 0, self_trade=False, banned=False, zero_fee=False),
    CellKey("USDT", 1, 1, self_trade=True, banned=True, zero_fee=False),
)
NOTIONALS = [("1", "-0.5"), ("9" * 130, "0." + "1" * 36)]
VOLUMES = ["0.5", "9" * 130]
HASHES = [bytes([1]) * 32, bytes([2]) * 32]


@pytest.mark.parametrize("hashes", [[], HASHES], ids=["nothing to erase", "something to erase"])
@pytest.mark.parametrize(
    "event", [EVENT, replace(EVENT, run=2, supersedes=8), replace(EVENT, grant_id="", tier="NONE")]
)
@pytest.mark.parametrize("cells", [CELLS, CELLS[1:], ()], ids=["two cells", "a cell", "no volume"])
def test_events_that_are_alike_have_the_bytes_of_each_by_itself(
    cells: tuple[CellKey, ...], event: VolumeEvaluated, hashes: list[bytes]
) -> None:
    notionals = [amounts[len(amounts) - len(cells) :] for amounts in NOTIONALS]
    envelope = replace(ENVELOPE, erasable_sha256=bytes([9]) * 32 if hashes else b"")
    found = list(EvaluatedAlike(envelope, event, cells).states(notionals, VOLUMES, hashes))
    for place, state in enumerate(found):
        volumes = zip(cells, notionals[place], strict=True)
        alone = replace(event, cells=tuple(CellVolume(*key[:5], notional) for key, notional in volumes))
        own = replace(envelope, erasable_sha256=hashes[place]) if hashes else envelope
        assert state == encode(own, replace(alone, volume=VOLUMES[place]))[1]
    assert len({without_amounts(state) for state in found}) == 1


def test_what_is_not_alike_is_told_apart() -> None:
    others = [EVENT, replace(EVENT, tier="VIP2"), replace(EVENT, grant_id="g3"), replace(EVENT, valid_until_ns=91)]
    assert len({without_amounts(encode(ENVELOPE, event)[1]) for event in others}) == len(others)
