"""Who sends large messages, or never sends one, takes no place of those who ask small things."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest

from ledger.domain.refusal import Reason
from ledger.server.receiving import Receiving
from ledger.v1.query_service_pb2 import QuoteFeeRequest
from ledger.wire.status import RefusedError, refuse
from tests.conftest import Ledger, refusal
from tests.server.calls import CALL_S_MAX

QUOTE = "/ledger.v1.QueryService/QuoteFee"
PUBLISH = "/ledger.v1.ProgrammeService/PublishProgramme"
CALLS = 12  # more than may receive at once


@pytest.mark.parametrize("path", [QUOTE, PUBLISH])
def test_a_read_is_answered_while_others_never_send_their_message(shared: Ledger, path: str) -> None:
    over = threading.Event()

    def nothing() -> Iterator[bytes]:
        over.wait(CALL_S_MAX)
        yield from ()

    held = [shared.channel.stream_unary(path).future(nothing(), timeout=CALL_S_MAX) for _ in range(CALLS)]
    try:
        time.sleep(0.2)  # they have their places
        assert refusal(shared.queries.QuoteFee, QuoteFeeRequest()).reason != "QUEUE_FULL"
    finally:
        over.set()
        for call in held:
            call.cancel()


def test_a_large_message_that_is_refused_keeps_its_turn_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    timer = Mock()
    monkeypatch.setattr(threading, "Timer", timer)
    receiving = Receiving(1, 0.01)

    def decode(_: Any) -> None:
        refuse(Reason.BATCH_TOO_LARGE, "", "too many")

    context = Mock(time_remaining=lambda: 0.02)
    for message in (b"", None, b"\x00" * 16_000_000):
        assert not timer.called
        with pytest.raises(RefusedError, match="BATCH_TOO_LARGE"):
            receiving.only_message(decode, iter([message]), context)
    ((rest_s, leave), _) = timer.call_args
    assert rest_s == 0.5
    with pytest.raises(RefusedError, match="QUEUE_FULL"):
        receiving.only_message(len, iter([b"x"]), context)
    leave()
    assert receiving.only_message(len, iter([b"x"]), context) == 1


def test_a_turn_is_left_at_once_where_the_system_gives_no_thread_that_would_leave_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timer = Mock()
    timer.return_value.start.side_effect = RuntimeError("can't start new thread")
    monkeypatch.setattr(threading, "Timer", timer)
    receiving, context = Receiving(1, 0.01), Mock(time_remaining=lambda: 0.02)

    def decode(_: Any) -> None:
        refuse(Reason.BATCH_TOO_LARGE, "", "too many")

    with pytest.raises(RefusedError, match="BATCH_TOO_LARGE"):
        receiving.only_message(decode, iter([b"\x00" * 16_000_000]), context)
    assert receiving.only_message(len, iter([b"x"]), context) == 1
