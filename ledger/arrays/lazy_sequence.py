"""Sequences that hold columns, and make an element when it is asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar, overload

T = TypeVar("T")


class Made(Sequence[T]):
    """`made` makes the element at a place; places count from the start, and are within the sequence."""

    __slots__ = ()

    @abstractmethod
    def made(self, place: int) -> T:
        """The element at a place."""

    @overload
    def __getitem__(self, at: int) -> T: ...

    @overload
    def __getitem__(self, at: slice) -> list[T]: ...

    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            return [self.made(place) for place in range(*at.indices(len(self)))]
        return self.made(range(len(self))[at])
