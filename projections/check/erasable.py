"""Checks what may be erased of events: each part is the one that its event names by a hash. An erased one is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ledger.store.leaf import Opening, Part
from ledger.store.postgres.migrate import ERASABLE
from projections.check.events import Facts
from projections.check.findings import DIFFERS, EXTRA, Finding, StoredRows, finding

_NOT_NAMED: Final = "no event names it"


class ErasableRows:
    """Checks rows in the order of their positions, beside the events there."""

    def __init__(self, stored: StoredRows) -> None:
        self._stored = stored

    def take(self, facts: Sequence[Facts], through: int) -> Iterator[Finding]:
        """Yield findings of the next events, the last of them at position `through`."""
        named = {one.position: one.erasable_sha256 for one in facts}
        for position, nonce, content in self._stored.through(through):
            expected = named.get(position)
            part = Opening(bytes(nonce), bytes(content))
            if not expected:
                yield finding(ERASABLE, EXTRA, stored=_NOT_NAMED, position=position)
            elif (said := part.sha256(Part.ERASABLE)) != expected:
                column = "nonce or content"
                yield finding(ERASABLE, DIFFERS, column=column, stored=said, expected=expected, position=position)

    def end(self) -> Iterator[Finding]:
        """Yield findings of rows after the last event."""
        for position, *_ in self._stored.rest():
            yield finding(ERASABLE, EXTRA, stored=_NOT_NAMED, position=position)
