"""Items that wait to be done: found until they are done, however long ago they came up, the oldest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from projections.controls.scope import Finding, Scope


class OpenItem(NamedTuple):
    """Something to do since an instant, done at another one (None: not yet), and how it is told while it is open."""

    since_ns: int
    done_ns: int | None
    finding: Finding


def open_until_done(scope: Scope, items: Iterable[OpenItem]) -> Iterator[Finding]:
    """Yield those that had come up at as_of and were not done yet, however long ago they came up."""
    waiting = (
        item for item in items
        if item.since_ns <= scope.as_of_ns and (item.done_ns is None or item.done_ns > scope.as_of_ns)
    )  # fmt: skip
    for item in sorted(waiting, key=lambda item: (item.finding.time_ns or item.since_ns, item.finding.subject)):
        yield item.finding
