"""Every help text: it prints, it fits the screen, and it teaches by examples that are true."""

from __future__ import annotations

import re
from importlib.metadata import version

import pytest

from ledger.cli import GROUPS
from ledger.program import main
from ledger.tools import TOOLS
from ledger.tools.engine_files.limits import LIMITS
from tests.cli.helps import Path, examples, parsers

PARSERS = dict(parsers())
LEAVES = [path for path, at in PARSERS.items() if not at._subparsers]


@pytest.mark.parametrize("path", PARSERS, ids=" ".join)
def test_a_help_prints_and_fits_the_screen(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*path, "--help"])
    out, err = capsys.readouterr()
    assert (caught.value.code, err) == (0, "")
    assert out.startswith(f"usage: {' '.join(('fee-ledger', *path))} ")
    assert [line for line in out.splitlines() if len(line) > 100] == []


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_a_help_has_examples_of_its_own_command(path: Path) -> None:
    found = examples(PARSERS[path])
    assert found
    assert all(tuple(words[: len(path)]) == path for words in found)


@pytest.mark.parametrize("path", PARSERS, ids=" ".join)
def test_the_arguments_of_an_example_are_understood(path: Path) -> None:
    for words in examples(PARSERS[path]):
        assert PARSERS[()].parse_args(words).command == words[0]


def test_the_help_of_the_program_has_every_command_under_a_heading_on_one_line() -> None:
    text = PARSERS[()].format_help()
    for group in (*GROUPS, TOOLS):
        block = text.partition(f"\n{group.heading}:\n")[2].partition("\n\n")[0]
        assert re.findall(r"^  ([a-z-]+)  +\S", block, re.MULTILINE) == [one.name for one in group.subcommands]
    names = re.findall(r"^  ([a-z][a-z-]+)  +\S", text, re.MULTILINE)
    assert sorted(names) == sorted(path[0] for path in PARSERS if len(path) == 1)
    assert "exit code 0: done; 1: the ledger refused, or something was found, and it is told; 2: unusable" in text
    assert len(examples(PARSERS[()])) == 3


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert (caught.value.code, capsys.readouterr().out) == (0, f"fee-ledger {version('fee-ledger')}\n")


@pytest.mark.parametrize(
    ("shell", "says"), [("bash", "complete "), ("zsh", "#compdef fee-ledger"), ("tcsh", "complete ")]
)
def test_a_completion_knows_every_command(shell: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    out = capsys.readouterr().out
    assert says in out
    assert all(path[0] in out for path in PARSERS if path)


@pytest.mark.parametrize("name", ["import", "reconcile"])
def test_what_reads_foreign_files_states_the_limits_of_the_reader(name: str) -> None:
    assert LIMITS in PARSERS[name,].format_help()
