"""The log as each migration left it: whoever changes an event after that leaves another digest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ledger.domain.events import MigrationApplied, Recorded
from ledger.replay.compare import Deviation, Difference
from ledger.store.log import Log


def check_migrations(log: Log, ledger: Iterable[Recorded], known: int) -> Iterator[Deviation]:
    """Yield each MigrationApplied up to a position whose digest is not that of the events before it.

    `ledger` are events of the stream `ledger`. The log is read once for each.
    """
    for recorded in ledger:
        event = recorded.event
        if not isinstance(event, MigrationApplied) or recorded.position > known:
            continue
        if event.until_position != recorded.position - 1:
            differs = Difference("until_position", str(event.until_position), str(recorded.position - 1))
        elif (found := log.digest(event.until_position)) != event.digest_after:
            differs = Difference(
                f"digest_after: an event at positions 1 to {event.until_position} was changed after it;",
                event.digest_after.hex(),
                found.hex(),
            )
        else:
            continue
        yield Deviation(recorded.position, recorded.stream, (differs,))
