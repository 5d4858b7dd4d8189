"""Recording fills from a file: what is recorded, what is refused on which line, and what is no fill."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from ledger.cli.fill_lines import LINE_BYTES_MAX
from tests.cli.example_files import FILL
from tests.cli.running import Run
from tests.conftest import Ledger
from tests.samples import history, symbol

SOURCE = ("--source", "engine-1")
BOTH_WAYS = pytest.mark.parametrize("source", [(), SOURCE], ids=["in batches", "as a stream"])


@pytest.fixture(autouse=True)
def _registered(ledger: Ledger) -> None:
    ledger.commands.RegisterSymbol(symbol())


def line(**changes: Any) -> str:
    """A fill as JSON; None leaves a field out."""
    return json.dumps({name: value for name, value in {**FILL, **changes}.items() if value is not None})


def written(folder: Path, *lines: str) -> str:
    """A file of these lines."""
    (folder / "fills.jsonl").write_text("".join(f"{one}\n" for one in lines))
    return str(folder / "fills.jsonl")


@BOTH_WAYS
def test_fills_are_recorded_once_however_often_the_file_is_sent(
    run: Run, ledger: Ledger, tmp_path: Path, source: tuple[str, ...]
) -> None:
    file = written(tmp_path, line(), line(exec_id="E2", side="SIDE_SELL", channel=3), "")
    code, out, err = run("record-fills", file, *source)
    assert (code, err) == (0, "")
    assert out.startswith("2 fills: 2 recorded, 0 recorded before, 0 refused; the ledger is at position ")
    code, out, _ = run("record-fills", file, *source)
    assert out.startswith("2 fills: 0 recorded, 2 recorded before, 0 refused")
    assert [one.fill_ref.exec_id for one in history(ledger)] == ["E1", "E2"]


@BOTH_WAYS
def test_each_refusal_is_told_with_its_line_and_the_others_are_recorded(
    run: Run, ledger: Ledger, tmp_path: Path, source: tuple[str, ...]
) -> None:
    lines = [line(exec_id=f"E{number}") for number in range(1, 1_003)]  # more than one batch
    lines[1] = line(exec_id="E2", account_id="al ice")
    lines[1_001] = line(exec_id="E1002", symbol="NO_SUCH")
    code, out, err = run("record-fills", written(tmp_path, *lines), *source)
    assert (code, err.splitlines()) == (1, [
        "line 2: ID_MALFORMED: 'al ice' does not match [A-Za-z0-9._:-]{1,64} (account_id)",
        "line 1002: SYMBOL_UNKNOWN: NO_SUCH is not registered at the time of the fill (symbol)",
    ])  # fmt: skip
    assert out.startswith("1,002 fills: 1,000 recorded, 0 recorded before, 2 refused")
    code, out, _ = run("record-fills", written(tmp_path, lines[1_001]), *source, "--json")
    refusal, sums = map(json.loads, out.splitlines())
    assert (code, refusal["line"], refusal["reason"], refusal["field"]) == (1, 1, "SYMBOL_UNKNOWN", "symbol")
    assert (sums["recorded"], sums["refused"]) == (0, 1)


def test_a_stream_goes_on_where_the_source_stands(run: Run, tmp_path: Path) -> None:
    run("record-fills", written(tmp_path, line(), line(exec_id="E2")), *SOURCE)
    run("record-fills", written(tmp_path, line(exec_id="E3")), *SOURCE)
    assert run("source", "engine-1")[1].splitlines()[1] == "go on with 4"


@BOTH_WAYS
@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("{", "Expecting property name"),
        ("[" * 5_000, "recursion"),
        ("[]", "give a JSON object, such as {...}"),
        (line(side="HOLD"), "Invalid enum value SIDE_HOLD"),
        (line(price="1"), 'no field named "price"'),
        (line(last_px=0.5), "last_px"),
        (line(transact_time="noon"), "transact_time"),
        (line(exec_id="x" * LINE_BYTES_MAX), "it is longer than 8,192 bytes"),
        ("\udcff", "utf-8"),
        (r'{"\ud800": "1"}', r"half a character, such as \ud800 alone, is no text"),
        (line(symbol="\ud800"), r"half a character, such as \ud800 alone, is no text"),
        (line(**{"\u202e\x1b[2J": "1"}), r'no field named "\u202e\x1b[2J"'),
    ],
    ids=range(12),
)
def test_a_line_that_is_no_fill_is_one_line_and_what_stands_before_it_is_recorded(
    run: Run, tmp_path: Path, bad: str, told: str, source: tuple[str, ...]
) -> None:
    file = tmp_path / "fills.jsonl"
    file.write_bytes(f"{line()}\n{bad}\n{line(exec_id='E3')}\n".encode(errors="surrogateescape"))
    code, out, err = run("record-fills", str(file), *source)
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith(f"fee-ledger: {file}, line 2 is no fill: ")
    assert told in err
    assert out.startswith("1 fill: 1 recorded")


def test_an_empty_line_between_fills_is_told(run: Run, tmp_path: Path) -> None:
    code, _, err = run("record-fills", written(tmp_path, line(), "", line(exec_id="E2")))
    assert (code, err) == (2, f"fee-ledger: {tmp_path / 'fills.jsonl'}, line 2 is empty\n")
    assert run("record-fills", str(tmp_path / "none"))[2].endswith("none cannot be used: No such file or directory\n")


def test_fills_may_be_piped_in(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"{line()}\n".encode())))
    assert run("record-fills", "-")[1].startswith("1 fill: 1 recorded")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"{}{}")))
    assert run("record-fills", "-")[2].startswith("fee-ledger: standard input, line 1 is no fill: ")


def test_what_is_wrong_with_a_whole_batch_is_told_once(run: Run, tmp_path: Path) -> None:
    code, out, err = run("record-fills", written(tmp_path, line()), "--venue", "a b")
    assert (code, err.partition(":")[0], err.count("\n")) == (1, "ID_MALFORMED", 1)
    assert out == ""


def test_a_source_says_how_far_it_is_with_a_file_and_without(run: Run, tmp_path: Path) -> None:
    assert run("record-fills", *SOURCE, "--complete-until", "2024-10-03")[:2] == (
        0,
        "engine-1 is complete up to 2024-10-03 00:00:00 UTC; the ledger is at position 6\n",
    )
    file = written(tmp_path, line())
    assert run("record-fills", file, *SOURCE, "--complete-until", "2024-10-04T11:00Z")[0] == 0
    assert run("source", "engine-1")[1].splitlines()[1:] == ["go on with 2", "complete up to 2024-10-04 11:00:00 UTC"]
    code, out, _ = run("record-fills", *SOURCE, "--complete-until", "2024-10-01", "--json")
    assert (code, json.loads(out)["complete_until"]) == (0, "2024-10-04 11:00:00"), "it never goes back"


def test_how_far_a_source_is_needs_a_source_and_fills_a_file(run: Run) -> None:
    code, _, err = run("record-fills", "--complete-until", "2024-10-03")
    assert (code, err) == (2, "fee-ledger: --complete-until is what a source says: name it with --source\n")
    code, _, err = run("record-fills", *SOURCE)
    assert (code, err.count("\n")) == (2, 1)
    code, _, err = run("record-fills", *SOURCE, "--complete-until", "2999-01-01")
    assert (code, err.count("\n"), "complete_until" in err) == (1, 1, True)
