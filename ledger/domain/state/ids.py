"""The ids that an account gives out: g1, g2 and so on for grants, likewise b, f, m and p. None is given twice."""

from __future__ import annotations

from collections.abc import Iterable, Sized


def next_id(letter: str, standing: Sized, withdrawn_ids: Iterable[str]) -> str:
    """Return the next id of a kind, after those that stand and those that were withdrawn: "g3" after g1 and g2."""
    withdrawn = sum(name.startswith(letter) for name in withdrawn_ids)
    return f"{letter}{len(standing) + withdrawn + 1}"
