"""Which requests of fills may wait for more fills to come: those of a stream, whose caller has time."""

from __future__ import annotations

import time
from unittest.mock import Mock

import pytest

from ledger.caller import Caller
from ledger.config import Config
from ledger.server.fills.request_bytes import ReceivedRequest
from ledger.server.fills.service import FillService
from tests.samples import batch, fill

REQUEST = batch(fill())


def caller_with(left_s: float | None) -> Caller:
    """A caller whose deadline is in so many seconds; None: there is none."""
    who = Caller()
    if left_s is not None:
        who._end_s = time.monotonic() + left_s
    return who


@pytest.mark.parametrize(
    ("streamed", "left_s", "hurries"), [(True, None, False), (True, 60, False), (True, 1, True), (False, None, True)]
)
def test_who_waits_for_one_request_or_not_for_long_hurries(streamed: bool, left_s: float | None, hurries: bool) -> None:
    service = FillService(Mock(config=Config()), Mock())
    received = ReceivedRequest(REQUEST, REQUEST.SerializeToString(), streamed)
    assert service._unread(received, caller_with(left_s)).hurries is hurries
