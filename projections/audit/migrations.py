"""Checks that the log is as each migration left it: whoever changes an event after that leaves another digest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ledger.domain.events import MigrationApplied, Recorded
from ledger.replay.compare import Deviation, Difference
from ledger.store.log import Log


def check_migrations(log: Log, ledger: Iterable[Recorded], known: int) -> Iterator[Deviation]:
    """Yield each MigrationApplied up to a position whose digest is not that of the events before it.

    `ledger` are events of the stream `ledger`. The log is read once for all of them.
    """
    applied = [each for each in ledger if isinstance(each.event, MigrationApplied) and each.position <= known]
    digests = log.digests(each.position - 1 for each in applied)
    for recorded, digest in zip(applied, digests, strict=True):
        event = recorded.event
        assert isinstance(event, MigrationApplied), recorded
        if event.until_position != recorded.position - 1:
            differs = Difference("until_position", str(event.until_position), str(recorded.position - 1))
        elif digest != event.digest_after:
            differs = Difference(
                f"digest_after: an event at positions 1 to {event.until_position} was changed after it;",
                event.digest_after.hex(),
                digest.hex(),
            )
        else:
            continue
        yield Deviation(recorded.position, recorded.stream, (differs,))
