"""Totals out of the front of an event's bytes."""

from __future__ import annotations

import pytest

from ledger.store.codec import run_front
from ledger.store.codec.fills import decode_totals
from ledger.store.codec.run_front import adjusted_totals_in, totals_in
from tests.store.codec.test_events import ENVELOPE, GOLDEN, RUN, SAMPLES, TOTALS, encode

WRITTEN_ONCE = GOLDEN / "unpacked" / "VolumeRecorded.hex"
STATES = {"packed": encode(ENVELOPE, RUN)[1], "unpacked": bytes.fromhex(WRITTEN_ONCE.read_text())}


@pytest.mark.parametrize("name", STATES)
def test_a_front_of_any_length_tells_the_totals_or_that_it_does_not_hold_them(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    state, told = STATES[name], []
    for length in range(1, len(state) + 1):
        monkeypatch.setattr(run_front, "FRONT_BYTES", length)
        told.append(totals_in(state[:length]))
    held = next(length for length, totals in enumerate(told) if totals is not None)
    assert set(told[:held]) == {None}
    assert set(told[held:]) == {decode_totals(state)} == {TOTALS}
    assert held < len(state), "the columns are not needed"


def test_a_run_shorter_than_a_front_is_read_whole() -> None:
    assert totals_in(STATES["packed"]) == TOTALS


ADJUSTED = encode(ENVELOPE, SAMPLES["FeeAdjusted that restates whole lines"])[1]
ADJUSTED_ONE_BY_ONE = encode(ENVELOPE, SAMPLES["FeeAdjusted"])[1]


def test_a_front_of_an_adjustment_tells_its_totals_or_that_it_does_not_hold_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = []
    for length in range(1, len(ADJUSTED) + 1):
        monkeypatch.setattr(run_front, "ADJUSTMENT_FRONT_BYTES", length)
        told.append(adjusted_totals_in(ADJUSTED[:length]))
    held = next(length for length, totals in enumerate(told) if totals is not None)
    assert set(told[:held]) == {None}
    assert set(told[held:]) == {TOTALS}
    assert held < len(ADJUSTED), "the columns are not needed"


def test_an_adjustment_of_the_first_releases_has_its_totals_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert adjusted_totals_in(ADJUSTED_ONE_BY_ONE) == TOTALS
    monkeypatch.setattr(run_front, "ADJUSTMENT_FRONT_BYTES", len(ADJUSTED_ONE_BY_ONE))
    assert adjusted_totals_in(ADJUSTED_ONE_BY_ONE) is None, "it may go on after its front"
