"""Clients of both kinds: whatever a test says of the one holds for the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Protocol

import grpc
import pytest

from ledger.client import Client
from tests.client.driver import Driven, Loop
from tests.client.fills import Door
from tests.conftest import Ledger
from tests.samples import symbol


class Connect(Protocol):
    """Makes a client of a ledger; `through` are interceptors of its channel, for either kind of client."""

    def __call__(self, address: str, *, through: tuple[Any, Any] | None = None, **options: Any) -> Client:
        """Return it."""


@pytest.fixture(scope="session")
def session_loop() -> Iterator[Loop]:
    """The event loop of all tests."""
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def loop(session_loop: Loop) -> Iterator[Loop]:
    """The event loop, on which a test leaves no task."""
    yield session_loop
    session_loop.check_idle()


@pytest.fixture(params=["Client", "AsyncClient"])
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of client that a test is about, first the one and then the other."""
    return str(request.param)


@pytest.fixture
def connect(request: pytest.FixtureRequest, kind: str) -> Iterator[Connect]:
    """Make clients of a kind, and close them at the end."""
    with ExitStack() as stack:
        if kind == "Client":

            def threads(address: str, *, through: tuple[Any, Any] | None = None, **options: Any) -> Client:
                if through:
                    channel = stack.enter_context(grpc.insecure_channel(address))
                    options["channel"] = grpc.intercept_channel(channel, through[0])
                return stack.enter_context(Client(address, **options))

            yield threads
        else:
            loop: Loop = request.getfixturevalue("loop")

            def on_loop(address: str, *, through: tuple[Any, Any] | None = None, **options: Any) -> Any:
                def channel() -> grpc.aio.Channel:
                    made = grpc.aio.insecure_channel(address, interceptors=[through[1]] if through else [])
                    stack.callback(lambda: loop.run(made.close()))
                    return made

                return stack.enter_context(Driven(loop, address, channel if through else None, **options))

            yield on_loop


@pytest.fixture
def trading(ledger: Ledger) -> Ledger:
    """A ledger that has one symbol."""
    ledger.commands.RegisterSymbol(symbol())
    return ledger


@pytest.fixture
def door(trading: Ledger, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """Closed after what was registered."""
    door = Door(monkeypatch)
    yield door
    door.open.set()
