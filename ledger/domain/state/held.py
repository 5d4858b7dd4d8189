"""States in memory, as many as a limit allows: those used least recently go first, for the log has them too."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from ledger.domain.state.account import STANDINGS_MAX, AccountState

NAME_BYTES: Final = 200  # of the name of an account in a set: the text, and its part of the table
OWNER_BYTES: Final = 150
# Bytes, measured on states of every kind and rounded up. An event that changes a price adds standings, up to a limit.
_STATE: Final = 900
_GRANT, _BAN, _FLAG, _EVALUATED = 450, 400, 300, 150
_STANDING: Final = 200
_MATCH, _APPLICATION, _METRIC, _MANAGER = 1_300, 400, 400, 250

K = TypeVar("K")
V = TypeVar("V")


def account_bytes(state: AccountState) -> int:
    """Return about how many bytes a state takes in memory, with the memos that are kept beside it."""
    kept = state.matches_and_applications
    changes = 2 * (len(state.grants) + len(state.bans) + len(state.flags))
    return (
        _STATE
        + _STANDING * min(changes, STANDINGS_MAX)
        + OWNER_BYTES * len(state.named_owners)
        + _GRANT * len(state.grants)
        + _BAN * len(state.bans)
        + _FLAG * len(state.flags)
        + _EVALUATED * len(state.evaluated)
        + _MATCH * len(kept.matches)
        + _APPLICATION * len(kept.applications)
        + _METRIC * len(kept.metrics)
        + _MANAGER * len(kept.managers)
    )


class Held(OrderedDict[K, V]):
    """States by key, the least recently used first. `size` is the sum of their weights, for example their bytes."""

    def __init__(self, weight: Callable[[V], int] = lambda _: 1) -> None:
        super().__init__()
        self._weight = weight
        self.size = 0

    def __setitem__(self, key: K, state: V) -> None:
        before = self.get(key)
        self.size += self._weight(state) - (self._weight(before) if before is not None else 0)
        super().__setitem__(key, state)

    def hold(self, key: K, state: V) -> V:
        """Put a state in as the one used last, and return it."""
        self[key] = state
        self.move_to_end(key)
        return state

    def used(self, keys: Iterable[K]) -> None:
        """Move those that were just used to the end."""
        for key in keys:
            self.move_to_end(key)

    def forget(self, key: K) -> None:
        """Let go of one."""
        self.size -= self._weight(self.pop(key))

    def drop(self) -> V:
        """Let go of the one used least recently, and return it."""
        _, state = self.popitem(last=False)
        self.size -= self._weight(state)
        return state

    def shrink(self, size_max: int) -> bool:
        """Let go of the least recently used ones until `size` is at most this; return True if any went."""
        before = len(self)
        while self.size > size_max and self:
            self.drop()
        return len(self) < before
