"""How far long work has come."""

from __future__ import annotations

from typing import NamedTuple


class Progress(NamedTuple):
    """So many units are done of a total."""

    unit: str
    done: int
    total: int
