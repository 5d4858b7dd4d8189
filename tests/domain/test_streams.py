"""The name of a stream is read by the module that makes it."""

from __future__ import annotations

import pytest

from ledger.domain import streams
from ledger.domain.instants import DAY_NS


@pytest.mark.parametrize(
    ("stream", "kind", "subject"),
    [
        (streams.LEDGER, "ledger", ""),
        (streams.account_stream("alice"), "account", "alice"),
        (streams.source_stream("eu/spot"), "source", "eu/spot"),
        (streams.fee_stream("alice", 1), "fees", "alice/1970-01-02"),
    ],
)
def test_a_name_is_a_kind_and_a_subject(stream: str, kind: str, subject: str) -> None:
    assert streams.kind_and_subject(stream) == (kind, subject)
    assert streams.subject_of(stream) == subject
    assert streams.is_fee_stream(stream) == (kind == "fees")


def test_the_name_of_a_fee_stream_says_its_account_day() -> None:
    stream = streams.fee_stream("alice", 20_000)
    assert streams.account_of(stream) == streams.account_of(streams.account_stream("alice")) == "alice"
    assert streams.account_and_day(stream) == ("alice", "2024-10-04")
    assert streams.day_key(stream) == ("alice", 20_000)


def test_the_range_of_an_account_holds_its_fee_streams_and_no_other_ones() -> None:
    first, end = streams.fee_range("alice")
    assert first < streams.fee_stream("alice", 0) < streams.fee_stream("alice", 80_000) < end
    assert all(not first <= streams.fee_stream(name, 1) < end for name in ("alic", "alice.1", "alice0", "alicf"))


def test_the_name_of_an_evaluation_says_its_instant_whatever_its_kind() -> None:
    for kind in ("PERIODIC", "POST_TRIAL"):
        assert streams.evaluated_ns(streams.evaluation_stream("vip", kind, 20_000 * DAY_NS)) == 20_000 * DAY_NS
    assert streams.evaluated_ns(streams.account_stream("alice")) is None
