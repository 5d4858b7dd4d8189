"""All that a person sees of programme files before one is published."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger import programmes
from ledger.program import main

ROOT = Path(__file__).parents[2]
FILES = ROOT / "ledger" / "programmes"
GOOD = programmes.packaged()


Run = Callable[..., tuple[int, list[str], list[str]]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a verb: exit code, and the lines of output and error."""

    def run(*arguments: str | Path) -> tuple[int, list[str], list[str]]:
        code = main(["programme", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err.splitlines()

    return run


def file(folder: Path, *changes: tuple[str, str], name: str = "changed.toml") -> Path:
    content = GOOD
    for old, new in changes:
        assert old in content
        content = content.replace(old, new, 1)
    path = folder / name
    path.write_text(content)
    return path


def test_packaged_files_have_no_faults(run: Run) -> None:
    paths = sorted(FILES.glob("*.toml"))
    assert run("validate", *paths) == (0, [f"{path}: no faults" for path in paths], [])


def test_a_warning_is_a_line_too_and_no_fault(run: Run, tmp_path: Path) -> None:
    warned = file(tmp_path, ("fixture = true", '[base_rates.C]\ntaker = "0.23%"'))
    code, out, err = run("validate", warned)
    assert (code, err, out[0]) == (0, [], f"{warned}: no faults")
    assert out[1].startswith(f"{warned}: warning: TIER_ABOVE_PUBLIC: rates.VIP1.C.taker = 0.0024 is above")
    assert len(out) == 2


def test_what_a_file_has_in_its_keys_and_title_is_shown_and_not_done(run: Run, tmp_path: Path) -> None:
    bad = file(tmp_path, ("[promotions]", '["\\u001b[2J\\u202e"]'))
    code, out, err = run("validate", bad)
    assert (code, err) == (1, [])
    assert any(r"\x1b[2J\u202e" in line for line in out)
    assert all(line.isprintable() for line in out)
    _, out, _ = run("show", file(tmp_path, ('title = "', r'title = "\u001b[2J')))
    assert out[0].startswith(r"\x1b[2JBitMart")
    assert all(line.isprintable() for line in out)


def test_the_schema_of_the_files_is_printed_for_editors(run: Run) -> None:
    code, out, err = run("schema")
    assert (code, err) == (0, [])
    assert json.loads("\n".join(out)) == programmes.schema()


def test_every_fault_is_one_line_with_file_name_and_key(run: Run, tmp_path: Path) -> None:
    bad = file(tmp_path, ('maker = "0.04%"', 'maker = "0.04"'), ("[promotions]", "[promotion]"))
    code, out, err = run("validate", bad, FILES / programmes.DEFAULT)
    assert (code, err) == (1, [])
    assert [line.split(" ")[:3] for line in out] == [
        [f"{bad}:", "RATE_UNIT_AMBIGUOUS:", "rates.VIP1.A.maker"],
        [f"{bad}:", "KEY_UNKNOWN:", "promotion"],
        [f"{FILES / programmes.DEFAULT}:", "no", "faults"],
    ]


def test_a_source_that_may_be_silent_for_longer_is_a_difference(run: Run, tmp_path: Path) -> None:
    longer = file(tmp_path, ("silent_after_hours = 72", "silent_after_hours = 96"))
    code, out, _ = run("diff", FILES / programmes.DEFAULT, longer)
    assert (code, out[-1].split()) == (1, ["evaluation.silent_after_hours", "72", "->", "96"])


def test_a_difference_is_a_number_that_changed_not_the_way_it_is_written(run: Run, tmp_path: Path) -> None:
    same = file(tmp_path, ('maker = "0.04%"', 'maker = "4bps"'), ("[promotions]\n", "[promotions] # a word\n"))
    assert run("diff", FILES / programmes.DEFAULT, same) == (0, ["they say the same"], [])
    other = file(tmp_path, ('maker = "0.04%"', 'maker = "0.05%"'), ('version = "3.0"', 'version = "3.1"'))
    code, out, err = run("diff", FILES / programmes.DEFAULT, other)
    assert (code, err) == (1, [])
    assert [line.split() for line in out] == [
        ["key", "was", "->", "becomes"],
        ["version", "3.0", "->", "3.1"],
        ["rates.VIP1.A.maker", "0.04%", "->", "0.05%"],
    ]


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("[volume]\n", '[overrides.X_Y]\nmaker = "0%"\n[volume]\n', "overrides.X_Y.maker"),
        ("# from = 2026", "from = 2026", "period.from"),
        ("# last_day", "last_day", "trial.last_day"),
        ('below = "50000000"', 'below = "60000000"', "volume.below"),
        ('above = { VIP3 = "2000000" }', 'above = { VIP3 = "2000001" }', "volume.terms.above.VIP3"),
        ("[8, 18, 28]", "[1]", "evaluation.days_of_month"),
        ("effective_delay_s = 0", "effective_delay_s = 60", "evaluation.effective_delay_s"),
        ("holidays = []", "holidays = [2026-12-25]", "applications.holidays"),
        ('rounding = "ROUND_HALF_EVEN"', 'rounding = "ROUND_CEILING"', "switches.rounding"),
        ('VIP5 = ["support_24_7", ', "VIP5 = [", "entitlements.VIP5"),
        ('  "ChangeTier",\n', "", "approval.commands"),
    ],
)
def test_whatever_a_programme_says_shows_in_the_difference(
    run: Run, tmp_path: Path, old: str, new: str, key: str
) -> None:
    code, out, _ = run("diff", FILES / programmes.DEFAULT, file(tmp_path, (old, new)))
    assert code == 1
    assert max(map(len, out)) <= 100
    assert key in {line.split()[0] for line in out}


def test_the_table_of_rates_is_shown_with_amounts_as_every_table_has_them(run: Run) -> None:
    code, out, err = run("show", FILES / programmes.DEFAULT)
    assert (code, err) == (0, [])
    assert out[0] == "BitMart API Users VIP Membership 3.0: version 3.0, governs bitmart"
    (row,) = (line for line in out if line.startswith("VIP4 "))
    assert row.split() == ["VIP4", "5000000", "-0.001%", "/", "0.025%", "0%", "/", "0.05%", "0.06%", "/", "0.08%"]
    assert ["switches.rounding", "ROUND_HALF_EVEN"] in [line.split() for line in out]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, " cannot be used: No such file or directory"),
        (b"\xff", " is not text in UTF-8"),
        (b"#" * 262_145, ": longer than 262,144 bytes, which a ledger takes at most"),
    ],
    ids=["missing", "binary", "long"],
)
@pytest.mark.parametrize("verb", ["show", "validate", "publish"])
def test_an_unusable_file_is_said_in_one_line(
    run: Run, tmp_path: Path, verb: str, content: bytes | None, says: str
) -> None:
    path = tmp_path / "file.toml"
    if content is not None:
        path.write_bytes(content)
    assert run(verb, path) == (2, [], [f"fee-ledger: {path}{says}"])


def test_a_file_that_is_no_programme_is_said_in_one_line(run: Run, tmp_path: Path) -> None:
    code, out, err = run("show", file(tmp_path, ('version = "3.0"', "version =")))
    assert (code, out, len(err)) == (2, [], 1)
    assert "FILE_UNREADABLE" in err[0]
    assert "`fee-ledger programme validate` names every fault" in err[0]


def test_a_file_is_one_version_already(run: Run) -> None:
    for which in (("--version", "3.0"), ("--programme", "x"), ("--as-of", "1970-01-01"), ("--known-at", "0")):
        code, out, err = run("show", FILES / programmes.DEFAULT, *which)
        assert (code, out, len(err)) == (2, [], 1)


def test_what_a_programme_says_is_printed_as_json(run: Run) -> None:
    code, out, _ = run("show", FILES / programmes.DEFAULT, "--json")
    assert (code, json.loads("\n".join(out))["rates.VIP1.A.maker"]) == (0, "0.04%")
