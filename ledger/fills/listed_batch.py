"""A batch of few fills as lists, which become columns when somebody asks for one: to make arrays of a single fill takes
several times as long as to decide it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from ledger.arrays.columns import INT64_ROOM, column, wide
from ledger.fills.batch import COLUMNS, NOT_SAID, FillBatch

_COLUMNS: Final = frozenset(COLUMNS)


class ListedBatch(FillBatch):
    """A batch whose columns are `lists`, by name; an empty list is a column in which no fill says anything.

    `widths` are the bytes of a value in columns of texts, as they are packed.
    """

    lists: Mapping[str, list[Any]]
    widths: Mapping[str, int]

    @classmethod
    def of(cls, named: Mapping[str, Any], lists: Mapping[str, list[Any]]) -> ListedBatch:
        """Make a batch of its lists; `named` are the fields that are no columns."""
        found = cls.__new__(cls)
        widths = {
            name: max(map(len, values)) or 1
            for name, values in lists.items()
            if values and isinstance(values[0], bytes)
        }
        vars(found).update(named, lists=lists, widths=widths)
        return found

    def __getattr__(self, name: str) -> Any:
        """Make a column that nobody has asked for before."""
        if name not in _COLUMNS:
            raise AttributeError(name)
        values = self.lists[name]
        made: Any = NOT_SAID
        if values:
            made = np.array(values, dtype=np.bytes_) if isinstance(values[0], bytes) else column(values)
        if name == "sequence" and max(values) >= INT64_ROOM:  # differences of the numbers of a source fit, then
            made = wide(made)
        vars(self)[name] = made
        return made

    def __len__(self) -> int:
        return len(self.lists["exec_id"])

    def rows(self, keep: Any) -> FillBatch:
        """Return the batch with only some of its fills, as columns."""
        columns = {name: getattr(self, name) for name in COLUMNS}
        named = (self.venue, self.actor, self.accounts, self.symbols, self.sources)
        return FillBatch(*named, **columns).rows(keep)


def listed(batch: FillBatch) -> ListedBatch:
    """Return a batch as lists."""
    if isinstance(batch, ListedBatch):
        return batch
    columns = {name: getattr(batch, name) for name in COLUMNS}
    found = ListedBatch.__new__(ListedBatch)
    widths = {name: values.dtype.itemsize for name, values in columns.items() if values.dtype.kind == "S"}
    lists = {name: values.tolist() for name, values in columns.items()}
    vars(found).update(vars(batch), lists=lists, widths=widths)
    return found
