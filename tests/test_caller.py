"""A call has an id by which its caller and the log name it, and a place in a trace if its caller says so."""

from __future__ import annotations

import pytest

from ledger.caller import Caller
from tests.test_log_lines import Called

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_a_call_has_one_id_and_another_call_another_one() -> None:
    who = Called()
    assert who.call_id == who.call_id != Called().call_id
    assert len(who.call_id) == 16


def test_nobody_has_no_id_and_no_trace() -> None:
    assert (Caller().call_id, Caller().trace) == ("", None)


@pytest.mark.parametrize("sent", ["order-17", "A.b_c:1", "x" * 64])
def test_the_id_that_a_caller_sends_is_that_of_the_call(sent: str) -> None:
    assert Called(("user-agent", "grpc"), ("x-request-id", sent)).call_id == sent


@pytest.mark.parametrize("sent", ["", "x" * 65, "a b", "a\nb", "\x1b[2J", "é", "a]", b"bytes"])
def test_an_id_of_another_form_is_passed_over(sent: str | bytes) -> None:
    assert Called(("x-request-id", sent)).call_id not in ("", sent)
    assert Called(("x-request-id", sent), ("x-request-id", "good")).call_id == "good"


def test_a_call_goes_on_with_the_trace_of_its_caller() -> None:
    assert Called(("traceparent", f"00-{TRACE}-{SPAN}-01")).trace == (TRACE, SPAN)
    assert Called(("traceparent", f"00-{TRACE}-{SPAN}-00")).trace == (TRACE, SPAN)


@pytest.mark.parametrize(
    "sent",
    [
        "",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}{SPAN}-01",
    ],
)
def test_a_traceparent_of_another_form_is_none(sent: str) -> None:
    assert Called(("traceparent", sent)).trace is None
