"""`fee-ledger` under a Python that is too old for it: a line says so."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib.metadata import metadata

import pytest

from tests.cli.running import ROOT


@pytest.mark.parametrize("release", ["3.8", "3.9", "3.10"])
def test_a_python_that_is_too_old_is_told_in_one_line(release: str) -> None:
    program = shutil.which(f"python{release}") or ""
    environment = os.environ | {"PYENV_VERSION": release, "PYTHONDONTWRITEBYTECODE": "1"}  # pyenv has several

    def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [program, *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    there = ask("-c", "import platform; print(platform.python_version())") if program else None
    if there is None or there.returncode:
        pytest.skip(f"there is no Python {release} here")
    here, needed = there.stdout.strip(), (metadata("fee-ledger")["Requires-Python"] or "").removeprefix(">=")
    done = ask("-m", "ledger", "doctor")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"fee-ledger: Python {here} is too old: start it with {needed} or newer\n"
