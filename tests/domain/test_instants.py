"""Days of other zones: where they begin, whatever the clocks there do. Instants as text."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from ledger.domain.instants import DAY_NS, SECOND_NS, day_start_ns, instant_of_text, instant_text, local_day, utc_day


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


@pytest.mark.parametrize(
    ("at_ns", "day"), [(-1, 0), (0, 0), (DAY_NS - 1, 0), (DAY_NS, 1), (20_000 * DAY_NS + 1, 20_000)]
)
def test_an_instant_lies_in_a_utc_day_and_none_before_the_first(at_ns: int, day: int) -> None:
    assert utc_day(at_ns) == day


@pytest.mark.parametrize("at_ns", [0, 1, 1_728_043_200_000_000_000, 1_728_043_200_123_456_789])
def test_an_instant_comes_back_from_its_text(at_ns: int) -> None:
    assert instant_of_text(instant_text(at_ns)) == at_ns


@pytest.mark.parametrize("text", ["", "2024", "2024-10-04", "2024-10-04T12:00:00", "2024-10-04T12:00:00.5Z", "soon"])
def test_other_texts_are_no_instants(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        instant_of_text(text)
