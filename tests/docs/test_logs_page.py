"""docs/operations/logs.md names every field that a line has, and its example lines are lines."""

from __future__ import annotations

import re

from tests.docs.pages import ROOT, code, rows
from tests.test_log_lines import TIME

PAGE = "docs/operations/logs.md"
FIELDS = [name for cells in rows(PAGE, "(`[a-z_]+`(, )?)+") for name in code(cells[0])]


def test_the_fields_are_those_of_a_line_in_their_order() -> None:
    assert FIELDS == [
        "time", "level", "logger", "message",
        "method", "peer", "call_id", "request_id", "source", "trace_id", "span_id", "exception",
    ]  # fmt: skip


def test_the_examples_are_lines() -> None:
    (example,) = re.findall(r"```text\n(.*?)```", (ROOT / PAGE).read_text(), re.DOTALL)
    for line in example.splitlines():
        assert re.fullmatch(rf"{TIME} (WARNING|ERROR) (\[([a-z_]+=\S+ ?)+\] )?[a-z].+", line)
