"""A wall clock that leaps: while the service runs, while it does not, and what is left of a commit under it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Final
from unittest.mock import Mock

import grpc
import pytest

from ledger.clock import ClockLeapError, check_clock
from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.v1 import fill_service_pb2
from ledger.v1.control_service_pb2 import ListFindingsRequest
from ledger.v1.query_service_pb2 import QuoteFeeRequest
from tests.conftest import NOON_NS, Clock, Ledger, at, serving
from tests.samples import batch, fill, state, symbol
from tests.server.calls import await_tables, head, refused, said, send
from tests.server.orders import ban, bounty, feedback, flag, publish, tier, trial, unflag
from tests.tools.running import run
from tests.waiting import wait_for

LEAP: Final = (grpc.StatusCode.UNAVAILABLE, "CLOCK_LEAP", "")
AHEAD_NS: Final = NOON_NS + 400 * DAY_NS
MINUTE_NS: Final = 60 * SECOND_NS

Serve = Callable[..., AbstractContextManager[Ledger]]


@pytest.fixture
def serve(dsn: str, schema: str) -> Serve:
    """Starts a service whose clocks begin at an instant; other keywords are those of Config."""

    @contextmanager
    def serve(now_ns: int, *, stands_by: bool = False, **settings: Any) -> Iterator[Ledger]:
        clock = Clock()
        clock.now_ns = now_ns
        with serving(dsn, schema, clock=clock, **settings) as ledger:
            if not stands_by:  # no fills are refused by their shape, once somebody reads them
                wait_for(lambda: refused(ledger, batch()).reason != "NOT_THE_WRITER")
            yield ledger

    return serve


def quoted(ledger: Ledger, account_id: str) -> str:
    one = fill(account_id=account_id)
    names = ("account_id", "symbol", "side", "liquidity", "last_px", "last_qty", "channel")
    return str(send(ledger, QuoteFeeRequest(**{name: getattr(one, name) for name in names})).fee_amount)


def charged(ledger: Ledger, account_id: str) -> str:
    answer = send(ledger, batch(fill(account_id=account_id, transact_time=at(ledger.clock.now_ns))))
    return str(answer.fees[0].fee_amount)


def leaps(ledger: Ledger) -> dict[str, str]:
    """Return what the control says, by the kind of finding."""
    await_tables(ledger)
    found = send(ledger, ListFindingsRequest(control="clock-leaps")).findings
    return {one.finding_id.split("/")[1].partition("-")[0]: one.message for one in found}


def test_while_the_clock_leaps_nothing_is_recorded_and_reads_go_on(ledger: Ledger) -> None:
    send(ledger, symbol())
    send(ledger, tier("alice", valid_from=at(NOON_NS - 450 * DAY_NS)))
    ledger.clock.now_ns += MINUTE_NS
    for number, by_s in enumerate((-400 * 86_400, -86_400, -61, 61, 86_400, 400 * 86_400), 1):
        before = head(ledger)
        ledger.clock.leap(by_s * SECOND_NS)
        commands = (trial("bob"), tier("bob", valid_from=at(NOON_NS)), ban("bob", start_time=at(NOON_NS)))
        for request in (*commands, batch(fill()), batch(fill(), source="engine", first_sequence=1)):
            assert said(refused(ledger, request)) == LEAP
        streamed = fill_service_pb2.StreamFillsRequest(batch=batch(fill(), source="engine", first_sequence=1))
        with pytest.raises(grpc.RpcError, match="CLOCK_LEAP"):
            list(ledger.fills.StreamFills(iter([streamed])))
        found = state(ledger)
        now_s = NOON_NS // SECOND_NS + 60 + min(by_s, 0)
        assert (found.tier, found.basis.as_of.seconds) == ("VIP1", now_s)
        assert head(ledger) == before
        ledger.clock.leap(-by_s * SECOND_NS)
        assert send(ledger, batch(fill(), source="engine", first_sequence=number)).source_sequence == number
    assert ledger.log.head().recorded_time_ns - NOON_NS < 2 * MINUTE_NS


@pytest.mark.parametrize("by_s", [-59, 59])
def test_a_clock_that_is_set_by_less_than_a_minute_holds_nobody_up(ledger: Ledger, by_s: int) -> None:
    ledger.clock.now_ns += MINUTE_NS
    ledger.clock.leap(by_s * SECOND_NS)
    send(ledger, trial("alice"))
    assert state(ledger).tier == "VIP3"


def test_a_standby_whose_clock_leaps_leaves_the_pen_to_another(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    with ExitStack() as writing:
        writing.enter_context(serve(NOON_NS))
        with serve(NOON_NS, stands_by=True) as leaping:
            leaping.clock.leap(DAY_NS)
            before = head(leaping)
            writing.close()
            wait_for(lambda: "no term begins: CLOCK_LEAP: the clock of this machine is 86400 s ahead" in caplog.text)
            assert head(leaping) == before
            with serve(NOON_NS) as right:
                assert send(right, trial("alice")).grant.tier == "VIP3"
    assert caplog.text.count("no term begins") == 1


def test_a_standby_behind_the_log_does_not_say_so_at_each_attempt(
    serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as writing:
        ahead = writing.enter_context(serve(NOON_NS))
        with serve(NOON_NS, stands_by=True) as right:
            ahead.clock.now_ns += DAY_NS  # by both of its clocks
            send(ahead, trial("alice"))
            attempts = Mock(side_effect=check_clock)
            monkeypatch.setattr("ledger.composition.check_clock", attempts)
            writing.close()
            for _ in range(4):
                right.clock.now_ns += SECOND_NS
                before = attempts.call_count
                wait_for(lambda: attempts.call_count > before + 1)  # noqa: B023 - it is called at once
    assert caplog.text.count("no term begins: CLOCK_LEAP: the last commit was recorded at 2024-10-05") == 1


def poison(serve: Serve) -> None:
    """One command, one fill and one flag under a clock that is 400 days ahead, after a ledger that was right."""
    with serve(NOON_NS) as ledger:
        for order in (symbol(), trial("alice"), feedback("alice")):
            send(ledger, order)
    with serve(AHEAD_NS) as ledger:
        send(ledger, ban("eve", days=1))
        send(ledger, trial("late"))


def test_after_a_commit_of_a_wrong_clock_no_service_starts_unless_somebody_accepts_it(serve: Serve) -> None:
    poison(serve)
    now_ns = NOON_NS + DAY_NS
    with (
        pytest.raises(ClockLeapError, match=r"2025-11-08T12:00:00\.\d+Z, and the clock says 2024-10-05T12:00:00Z"),
        serve(now_ns),
    ):
        pass
    with serve(now_ns, accept_clock=True) as ledger:
        assert state(ledger).basis.as_of == at(now_ns)


def test_the_program_ends_with_2_and_one_line(serve: Serve, dsn: str, schema: str) -> None:
    with serve(time.time_ns() + 400 * DAY_NS):
        pass
    command = [sys.executable, "-m", "ledger", "serve", "--schema", schema, "--listen", "127.0.0.1:0"]
    place = os.environ | {"FEE_LEDGER_DSN": dsn}
    ran = subprocess.run(command, env=place, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert ran.stderr.startswith("fee-ledger: CLOCK_LEAP: the last commit was recorded at 20")
    assert ran.stderr.endswith("or, if it is right and was wrong then, start with --accept-clock\n")


def test_what_is_read_and_decided_after_it_is_as_of_the_right_clock(serve: Serve, dsn: str, schema: str) -> None:
    poison(serve)
    now_ns = NOON_NS + DAY_NS
    with serve(now_ns, accept_clock=True) as ledger:
        assert (state(ledger).tier, state(ledger, "late").tier) == ("VIP3", "NONE")
        assert quoted(ledger, "alice") == charged(ledger, "alice")
        started = send(ledger, trial("bob")).grant.valid_from.ToNanoseconds()
        assert 0 <= started - now_ns < SECOND_NS
        ledger.clock.now_ns += SECOND_NS
        assert state(ledger, "bob").tier == "VIP3"
        assert quoted(ledger, "bob") == charged(ledger, "bob") == quoted(ledger, "alice")
        awarded = send(ledger, bounty("2024-W40"))
        send(ledger, publish("4.0"))
        send(ledger, flag("bob"))
        send(ledger, unflag("bob"))
        assert said(refused(ledger, trial("bob")))[1] == "TRIAL_ALREADY_USED"
        send(ledger, batch(fill(), source="engine", first_sequence=1, complete_until=at(now_ns)))
        assert awarded.receipt.recorded_time.ToNanoseconds() > AHEAD_NS
        found = leaps(ledger)
        assert "399 days later" in found["leap"]
        assert "heals then" in found["ahead"]
        assert "term 3 began at 2024-10-05T12:00:00Z" in found["term"]
    for tool in ("audit", "check"):
        place = ("--dsn", dsn, "--schema", schema)
        ran = run(tool, *place, *(("--jobs", 1) if tool == "audit" else ()))
        assert (ran.code, "0 findings" in ran.out) == (0, True), ran
    with serve(AHEAD_NS + 2 * DAY_NS) as ledger:  # the clock has caught up
        assert state(ledger, "late").tier == "VIP3"
        assert set(leaps(ledger)) == {"leap", "term"}


def test_a_start_long_after_the_last_commit_is_allowed_and_told(serve: Serve) -> None:
    with serve(NOON_NS):
        pass
    with serve(NOON_NS + 8 * DAY_NS) as ledger:
        assert leaps(ledger)["leap"].endswith("8 days later: the ledger stood still, or its clock leapt forward")


def test_a_clock_that_is_not_that_of_a_postgresql_elsewhere_starts_nothing(serve: Serve, dsn: str) -> None:
    with (
        pytest.raises(ClockLeapError, match="says 2024-10-04T12:00:00Z, that of PostgreSQL 20"),
        serve(NOON_NS, dsn=dsn),
    ):
        pass
