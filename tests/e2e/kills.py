"""Kills a service in the middle of what it does in many commits, and starts it again."""

from __future__ import annotations

from collections.abc import Callable

from ledger.client import Client
from ledger.domain.events import Event
from ledger.store.codec.events import decode
from tests.e2e.served import WAIT_S_MAX, Served
from tests.waiting import wait_for


def recorded(ledger: Client, stream: str) -> list[Event]:
    """The events of a stream."""
    stored = ledger.list_events(stream)
    return [decode(each.position, each.stream, each.version, each.topic, each.state).event for each in stored]


def count(ledger: Client, stream: str, kind: type[Event]) -> int:
    """The number of events of a kind in a stream."""
    return sum(isinstance(each, kind) for each in recorded(ledger, stream))


def kill_after_another(
    served: Served, stream: str, kind: type[Event], *, last: str, stop: Callable[[Served], object] = Served.kill
) -> None:
    """Wait for one more event of a kind in a stream, kill the service without a farewell, and start it again.

    `last` is an account that must not be done with by then. `stop` may end the service in another way.
    """
    with Client(served.address, timeout_s=WAIT_S_MAX) as ledger:
        before = count(ledger, stream, kind)
        wait_for(lambda: count(ledger, stream, kind) > before, WAIT_S_MAX)
        assert ledger.get_vip_state(last).reprice_in_progress, "it was over before anything could be killed"
    stop(served)
    served.start()
