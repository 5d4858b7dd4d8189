"""Who waits for the pen ends a session that shows no life, that session only, and none that works."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import psycopg
import pytest

from ledger.store.lease import Lease
from ledger.store.pen import APPLICATION, Pen
from ledger.store.postgres.database import connect
from tests.waiting import wait_for

SILENT_MS_MAX = 800  # several times what a thread may wait for its turn on a busy machine
LEASE_MS = 100
LONG_S = 3 * SILENT_MS_MAX / 1000

Connection = psycopg.Connection[Any]
Open = Callable[[str], Connection]


@pytest.fixture
def opened(dsn: str) -> Iterator[Open]:
    """Opens connections under an application's name."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(psycopg.connect(dsn, autocommit=True, application_name=name))


def pen_of(schema: str) -> Pen:
    """As a process of its own has it."""
    return Pen(schema, Lease(LEASE_MS), SILENT_MS_MAX)


def hold(connection: Connection, schema: str) -> None:
    """Have the pen, as a writer of another process has it."""
    pen = pen_of(schema)
    pen.note(connection)
    assert pen.take(connection)


def taken_within(pen: Pen, connection: Connection, seconds: float) -> bool:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        if pen.take(connection):
            return True
        time.sleep(0.02)
    return False


def lives(connection: Connection) -> bool:
    with suppress(psycopg.OperationalError):
        connection.execute("SELECT")
        return True
    return False


@pytest.fixture
def standby(dsn: str, schema: str) -> Iterator[tuple[Pen, Connection]]:
    pen = pen_of(schema)
    with connect(dsn, "writer") as connection:
        pen.note(connection)
        yield pen, connection


def test_a_session_without_a_sign_of_life_is_ended_and_no_other(
    opened: Open, schema: str, standby: tuple[Pen, Connection]
) -> None:
    hung, bystander = opened(APPLICATION), opened(APPLICATION)
    hold(hung, schema)
    began_s = time.monotonic()
    assert taken_within(*standby, 5)
    assert time.monotonic() - began_s > (SILENT_MS_MAX + LEASE_MS) / 1000
    assert not lives(hung)
    assert lives(bystander)


def test_a_session_that_is_used_now_and_then_is_left_alone(
    opened: Open, schema: str, standby: tuple[Pen, Connection]
) -> None:
    holder, over = opened(APPLICATION), threading.Event()
    hold(holder, schema)

    def beat() -> None:
        while not over.wait(SILENT_MS_MAX / 16_000):
            holder.execute("SELECT")

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        assert not taken_within(*standby, LONG_S)
    finally:
        over.set()
        thread.join()
    assert lives(holder)


def test_one_long_statement_is_no_silence(opened: Open, schema: str, standby: tuple[Pen, Connection]) -> None:
    holder = opened(APPLICATION)
    hold(holder, schema)
    thread = threading.Thread(target=holder.execute, args=(f"SELECT pg_sleep({LONG_S})",))
    thread.start()
    assert not taken_within(*standby, LONG_S - 0.1)
    thread.join()
    assert lives(holder)


def test_a_copy_that_goes_on_is_no_silence_and_one_that_stops_is(
    opened: Open, schema: str, standby: tuple[Pen, Connection]
) -> None:
    holder, over, taken = opened(APPLICATION), threading.Event(), threading.Event()
    hold(holder, schema)
    holder.execute("CREATE TEMP TABLE copied (line text)")

    def copy() -> None:
        with suppress(psycopg.OperationalError), holder.cursor().copy("COPY copied FROM STDIN") as copied:
            while not over.wait(SILENT_MS_MAX / 16_000):
                copied.write(b"x" * 70_000 + b"\n")
            taken.wait(LONG_S + 1)

    thread = threading.Thread(target=copy)
    thread.start()
    try:
        assert not taken_within(*standby, LONG_S)
    finally:
        over.set()
    assert taken_within(*standby, 5)
    taken.set()
    thread.join()


def test_what_is_no_writer_is_never_ended(opened: Open, schema: str, standby: tuple[Pen, Connection]) -> None:
    somebody = opened("psql")
    hold(somebody, schema)
    assert not taken_within(*standby, LONG_S)
    assert lives(somebody)


def test_an_earlier_session_of_the_process_itself_is_ended_at_once(
    opened: Open, schema: str, standby: tuple[Pen, Connection]
) -> None:
    pen, connection = standby
    assert pen.take(connection)
    again = opened(APPLICATION)
    pen.note(again)
    assert taken_within(pen, again, SILENT_MS_MAX / 1000)
    assert not lives(connection)


def test_a_pen_that_another_process_gave_back_is_used_when_its_lease_has_run_out(
    opened: Open, schema: str, standby: tuple[Pen, Connection]
) -> None:
    pen, connection = standby
    holder = opened(APPLICATION)
    hold(holder, schema)
    assert not pen.take(connection)
    holder.close()
    closed_s = time.monotonic()
    wait_for(lambda: pen.take(connection))
    assert time.monotonic() - closed_s >= LEASE_MS / 1000


def test_the_pen_of_another_ledger_is_another(opened: Open, schema: str, standby: tuple[Pen, Connection]) -> None:
    hold(opened(APPLICATION), f"{schema}_other")
    pen, connection = standby
    assert pen.take(connection)


def test_what_holds_it_is_told_once(
    opened: Open, schema: str, standby: tuple[Pen, Connection], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ledger.store.pen")
    holder = opened(APPLICATION)
    hold(holder, schema)
    for _ in range(3):
        assert not standby[0].take(standby[1])
    (told,) = (record.message for record in caplog.records if record.name == "ledger.store.pen")
    assert f"another process has the pen ('{APPLICATION}', pid {holder.info.backend_pid}, from " in told
