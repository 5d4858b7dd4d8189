"""Days of other zones: where they begin, whatever the clocks there do."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from ledger.domain.instants import SECOND_NS, day_start_ns, local_day


@pytest.mark.parametrize(
    ("day", "timezone", "start"),
    [
        ("2026-03-08", "UTC", "2026-03-08T00:00:00+00:00"),
        ("2026-03-08", "America/New_York", "2026-03-08T00:00:00-05:00"),
        ("2026-03-09", "America/New_York", "2026-03-09T00:00:00-04:00"),
        ("2023-04-28", "Africa/Cairo", "2023-04-28T01:00:00+03:00"),  # its midnight did not exist
        ("2026-11-01", "America/Havana", "2026-11-01T00:00:00-04:00"),  # its midnight came twice: the first one
        ("2026-06-18", "Asia/Kolkata", "2026-06-18T00:00:00+05:30"),
    ],
)
def test_a_day_begins_at_its_first_instant(day: str, timezone: str, start: str) -> None:
    start_ns = int(datetime.fromisoformat(start).timestamp()) * SECOND_NS
    assert day_start_ns(date.fromisoformat(day), timezone) == start_ns
    assert local_day(start_ns, timezone).isoformat() == day
    assert local_day(start_ns - 1, timezone) < date.fromisoformat(day)
