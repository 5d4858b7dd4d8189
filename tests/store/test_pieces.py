"""Account-days are read in pieces: what is read is the same however small these are."""

from __future__ import annotations

import numpy as np
import pytest

from ledger.domain import commands
from ledger.domain.events import FactReleased, FeeAdjusted, Recorded, TierChanged, VolumeRecorded
from ledger.domain.instants import DAY_NS
from ledger.domain.streams import account_stream, fee_stream
from ledger.store import fee_streams
from tests.domain.worked import fills
from tests.write_side import NOON_NS, Writing, ask, record

TODAY = NOON_NS // DAY_NS


@pytest.mark.parametrize("size", [1, 300, 1_000, 10_000_000])
def test_accounts_and_days_are_the_same_in_pieces_of_any_size(
    writing: Writing, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        rows = [{"account_id": name, "exec_id": f"{number}-{line}"} for name in ("a", "b") for line in range(number)]
        if rows:
            writing.step(record(fills(*rows)))
        writing.step(ask(commands.ChangeTier("a", f"VIP{number + 1}", NOON_NS, None)))
    accounts = [account_stream(name) for name in ("a", "b")]
    days = [fee_stream(name, day) for name in ("a", "b", "nobody") for day in (TODAY, TODAY - 1)]
    monkeypatch.setattr(fee_streams, "BYTES_AT_ONCE", size)
    monkeypatch.setattr(fee_streams, "_STREAMS_AT_ONCE", 3)
    streams: list[list[Recorded]] = []
    found = writing.log.accounts_and_days(dict.fromkeys(accounts, 0), days, streams.append)
    assert all(len({each.stream for each in stream}) == 1 for stream in streams)
    events = [each for stream in streams for each in stream]
    assert [each.event.tier for each in events if isinstance(each.event, TierChanged)] == [
        f"VIP{number}" for number in range(1, 6)
    ]
    assert [type(each.event) for each in events] == [TierChanged, *([TierChanged, FactReleased] * 4)], (
        "every grant but the first comes after fills of its instant"
    )
    assert events == [each for each in writing.events() if each.stream in accounts]
    assert sorted(found) == sorted([fee_stream("a", TODAY), fee_stream("b", TODAY)])
    for stream, day in found.items():
        of_day = [each for each in writing.events() if each.stream == stream]
        assert day.last == of_day[-1]
        assert isinstance(day.last.event, FeeAdjusted) == (stream == fee_stream("a", TODAY)), "b has no grant"
        runs = [each for each in of_day if isinstance(each.event, VolumeRecorded)]
        expected = [each.position for each in runs for _ in range(len(each.event))]
        assert day.positions.tolist() == expected
        assert len(np.unique(day.digests)) == len(expected) == 10
