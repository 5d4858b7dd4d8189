"""Sequences that hold columns, and make an element when somebody asks for it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar, overload

T = TypeVar("T")


class LazySequence(Sequence[T]):
    """`make` makes the element at a place; places count from the start, and are within the sequence."""

    __slots__ = ()

    @abstractmethod
    def make(self, place: int) -> T:
        """Make the element at a place."""

    @overload
    def __getitem__(self, at: int) -> T: ...

    @overload
    def __getitem__(self, at: slice) -> list[T]: ...

    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            return [self.make(place) for place in range(*at.indices(len(self)))]
        return self.make(range(len(self))[at])
