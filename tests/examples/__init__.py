"""The examples, run as a stranger would: `npm ci` in a copy of their folder, then their `run` script."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PROTO = ROOT / "proto"

_INSTALL_S_MAX = 45
_RUN_S_MAX = 30
# What npm says where no registry can be reached; anything else is a defect of the example.
_NO_REGISTRY = re.compile(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTCACHED")


@dataclass(frozen=True)
class Ran:
    """What a run printed."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Example:
    """An installed copy of an example."""

    folder: Path

    def run(self, address: str, *arguments: str) -> Ran:
        """`npm run --silent run -- ...`"""
        command = ["npm", "run", "--silent", "run", "--", "--address", address, "--proto", str(PROTO), *arguments]
        done = subprocess.run(
            command,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=_RUN_S_MAX,
            check=False,
            env=_environment(),
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def transcript(self) -> str:
        """What the README says the first run prints; "..." stands for anything."""
        shown = re.search(r"^\$ npm run --silent run\n(.*?)^```", self._readme(), re.DOTALL | re.MULTILINE)
        assert shown is not None
        return shown.group(1)

    def _readme(self) -> str:
        return (self.folder / "README.md").read_text()


def install(name: str, parent: Path) -> Example:
    """Copy an example below `parent` and install it there; skips the test where that is not possible."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    folder = parent / name
    shutil.copytree(ROOT / "examples" / name, folder, ignore=shutil.ignore_patterns("node_modules"))
    try:
        done = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--fetch-retries=0"],
            cwd=folder, capture_output=True, text=True, timeout=_INSTALL_S_MAX, check=False, env=_environment(),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm ci did not end within {_INSTALL_S_MAX} s")
    if done.returncode and (found := _NO_REGISTRY.search(done.stderr)):
        pytest.skip(f"npm ci cannot reach a registry: {found.group()}")
    assert done.returncode == 0, done.stderr
    return Example(folder)


def assert_printed(printed: str, shown: str) -> None:
    """Line by line, `shown` is what was printed, where "..." stands for anything."""
    printed_lines, shown_lines = printed.splitlines(), shown.splitlines()
    for found, expected in zip(printed_lines, shown_lines, strict=False):
        assert re.fullmatch(re.escape(expected).replace(re.escape("..."), ".+"), found), (
            f"{found!r} is not {expected!r}"
        )
    assert len(printed_lines) == len(shown_lines), printed


def _environment() -> dict[str, str]:
    """Ours, without what would send a call to the loopback interface through a proxy."""
    return {**os.environ, "no_grpc_proxy": "127.0.0.1,localhost", "NO_COLOR": "1"}
