"""CONTRIBUTING.md is true: what it says how to add is added to a copy of the tree, by its lists, and works there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from filecmp import dircmp
from pathlib import Path
from typing import Final

import pytest

from tests.contributing.toys import toys

ROOT: Final = Path(__file__).parents[2]
HEADINGS: Final = tuple(toys(ROOT))
FILES_MAX: Final = 6  # that an event takes together with its command, and a query
# What `make proto` and `make golden` write.
GENERATED: Final = re.compile(
    r"ledger/v1/\w+\.pyi?|ledger/client/(generated|aio/methods/\w+)\.py"
    r"|tests/store/(codec/golden/\w+\.hex|leaf_vectors\.json)"
)
# Tests that count what there is, and so notice what a toy has left out; and the toys' own.
IN_THE_COPY: Final = (
    "tests/contributing/at_work.py",
    "tests/cli/test_every_rpc.py::test_every_rpc_has_a_command",
    "tests/cli/test_help.py",
    "tests/docs/test_programme_page.py",
    "tests/domain/rules/test_notes.py",
    "tests/kept/test_kept_contract.py::test_the_contract_of_today_breaks_no_release",
    "tests/server/test_bad_input.py::test_every_field_of_every_request_has_a_row",
    "tests/server/test_bad_input.py::test_every_entry_of_the_table_is_a_field_of_a_request",
    "tests/server/test_bad_input.py::test_without_the_bad_value_every_request_of_the_table_is_answered",
    "tests/server/test_field_behavior.py::test_every_field_of_every_request_is_said_to_be_required_or_optional",
    "tests/server/test_lanes.py::test_every_rpc_has_one_lane",
    "tests/store/codec/test_events.py",
    "tests/store/test_leaf.py::test_every_field_says_its_part_and_what_lies_in_it_says_the_same",
    "tests/store/test_leaf.py::test_the_leaf_of_an_event_never_changes",
    "tests/test_docstrings.py",
    "tests/test_rules_table.py",
    "tests/tools/test_count_notes.py",
    "tests/wire/commands/test_kept.py",
)


def listed(heading: str) -> Iterator[tuple[str, bool]]:
    """Yield the files that the page lists under a heading, with True for those that an addition always touches."""
    section = (ROOT / "CONTRIBUTING.md").read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    for file, why in re.findall(r"^- `([^`]+)`: (.+)$", section, re.MULTILINE):
        yield file, not why.startswith("if ")


def matches(listed_file: str, file: str) -> bool:
    """Return True if a file is the one listed, where `<name>` stands for any name."""
    parts = re.split(r"<[A-Za-z]+>", listed_file)
    return re.fullmatch("[A-Za-z0-9_]+".join(map(re.escape, parts)), file) is not None


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree, without what git ignores, with every toy in it."""
    tree = tmp_path_factory.mktemp("copy") / "tree"
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().split()]
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".git", *ignored))
    for inserts in toys(tree).values():
        for insert in inserts:
            insert.into(tree)
    assert ran(tree, sys.executable, "scripts/generate.py").returncode == 0
    assert ran(tree, sys.executable, "-m", "tests.store.codec.write_golden").returncode == 0
    return tree


def ran(tree: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program in the copy, with its modules and not with those here."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTEST_ADDOPTS": ""}
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)


def touched_by(*headings: str) -> set[str]:
    """Return the files that the toys of some headings touch."""
    return {insert.path for heading in headings for insert in toys(ROOT)[heading]}


def differing(at: dircmp[str], folder: str = "") -> Iterator[str]:
    """Yield the files by which two trees differ."""
    yield from (folder + name for name in (*at.left_only, *at.right_only, *at.diff_files))
    for name, below in at.subdirs.items():
        yield from differing(below, f"{folder}{name}/")


@pytest.mark.parametrize("headings", [("Add an event", "Add a command"), ("Add a query",)], ids=" ".join)
def test_an_event_with_its_command_takes_six_files_and_a_query_no_more(headings: tuple[str, ...]) -> None:
    assert len(touched_by(*headings)) <= FILES_MAX, touched_by(*headings)


def test_what_no_toy_touches_is_generated(copy: Path) -> None:
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().split()]
    ignored += [path.name for path in copy.rglob("*.egg-info")]
    others = set(differing(dircmp(ROOT, copy, [*ignored, ".git"]))) - touched_by(*HEADINGS)
    assert [file for file in others if not GENERATED.fullmatch(file)] == []


@pytest.mark.parametrize("heading", HEADINGS)
def test_an_addition_touches_the_files_that_the_page_lists_and_no_other(heading: str) -> None:
    touched = touched_by(heading)
    expected = list(listed(heading))
    fitting = {one for one, _ in expected if any(matches(one, file) for file in touched)}
    assert [file for file in touched if not any(matches(one, file) for one in fitting)] == []
    assert [one for one, always in expected if always and one not in fitting] == []
    assert len(fitting) == len(touched), "a line is for one file, however many its <name> fits"


def test_the_page_has_a_toy_for_everything_that_it_says_how_to_add() -> None:
    assert sorted(re.findall(r"^## (Add .+)$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)) == sorted(
        HEADINGS
    )


@pytest.mark.parametrize("tool", ["ruff", "lint-imports", "buf"])
def test_the_copy_is_as_tidy_as_the_tree(copy: Path, tool: str) -> None:
    arguments = {"ruff": ["check", "."], "lint-imports": ["--no-cache"], "buf": ["lint"]}[tool]
    found = ran(copy, Path(sys.executable).with_name(tool), *arguments)
    assert found.returncode == 0, found.stdout + found.stderr


def test_what_was_added_works(copy: Path) -> None:
    done = ran(copy, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *IN_THE_COPY)
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
