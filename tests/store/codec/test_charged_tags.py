"""The tags by which runs that say a charged fee are found in their bytes, packed and as they were written once."""

from __future__ import annotations

from ledger.store.codec.run_layout import CHARGED_TAGS
from ledger.v1.events_pb2 import VolumeRecorded

PACKED = VolumeRecorded(charged_amounts=b"\1", charged_currencies=b"\1")
WRITTEN_ONCE = VolumeRecorded(charged_amount=["0.1", ""], charged_currency=["USDT", ""])


def test_a_run_of_either_layout_that_says_a_charged_fee_has_the_tags_of_its_own() -> None:
    for message, other in ((PACKED, WRITTEN_ONCE), (WRITTEN_ONCE, PACKED)):
        state = message.SerializeToString(deterministic=True)
        assert [all(tag in state for tag in tags) for tags in CHARGED_TAGS].count(True) == 1
        assert [all(tag in state for tag in tags) for tags in CHARGED_TAGS] != [
            all(tag in other.SerializeToString(deterministic=True) for tag in tags) for tags in CHARGED_TAGS
        ]
    assert not any(tag in VolumeRecorded(venue="v").SerializeToString() for tags in CHARGED_TAGS for tag in tags)
