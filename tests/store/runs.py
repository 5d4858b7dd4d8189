"""Runs of fills as the log holds them, made of lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ledger.arrays.columns import column, numbered, packed, packed_texts, texts
from ledger.domain.events import Columns, Line, SourceSpan


def columns(sources: Sequence[SourceSpan], *lines: Line) -> Columns:
    """The lines packed column by column; a column that says nothing is left out."""
    values: dict[str, Any] = dict(zip(Line._fields, map(list, zip(*lines, strict=True)), strict=True))
    earliest_ns = min(values["transact_time_ns"])
    values["time_offset_ns"] = [time_ns - earliest_ns for time_ns in values.pop("transact_time_ns")]
    firsts = [sources[index].first_sequence for index in values["source_index"]]
    offsets = [number - first for number, first in zip(values.pop("sequence"), firsts, strict=True)]
    values["sequence_offset"] = offsets if any(firsts) else []
    values["source_index"] = values["source_index"] if len(sources) > 1 else []
    wide = max(map(abs, (*values["price"], *values["quantity"], *values["fee"]))) >= 2**63
    for name in ("price", "quantity", "fee"):
        values[name] = list(map(str, values[name])) if wide else values[name]
    for kind in ("trade", "order"):
        ids = numbered(texts(values[f"{kind}_id"]))
        if ids.dtype.kind == "i":
            values[f"{kind}_id"], values[f"{kind}_number"] = [], ids.tolist()
    return Columns(**{name: _packed(name, value) for name, value in values.items() if _says(name, value)}, wide=wide)


def _packed(name: str, values: Sequence[Any]) -> bytes:
    if isinstance(values[0], str):
        return packed_texts(texts(values)).data
    return packed(column(values), signed=name == "fee").data


def _says(name: str, values: Sequence[Any]) -> bool:
    always = Columns._fields[: Columns._fields.index("source_index")]
    return len(values) > 0 and (any(values) or name in (*always, "source_index", "sequence_offset"))
