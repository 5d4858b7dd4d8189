"""The files of an operator, bounded before they are read: one of knobs, in TOML, and one of a connection string."""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ledger.knobs.knob import Knob, KnobError, Origin, Said, nearest, shown
from ledger.programmes.bounds import out_of_bounds

TOML_BYTES_MAX: Final = 64 * 1024
DSN_BYTES_MAX: Final = 4 * 1024

_EXAMPLE: Final = "such as lease_ms = 750"
_OTHERS: Final = 0o077  # bits of a mode: those of the group and of everybody
_EVERYBODY: Final = 0o037  # the same, but that the group may read


def read_toml(path: Path, knobs: Mapping[str, Knob]) -> dict[str, Said]:
    """Return what a file says, by knob. Raises KnobError, which names the line."""
    text = _text(path, TOML_BYTES_MAX, f"name another by --config, or write it: {_EXAMPLE}")
    if fault := out_of_bounds(text):
        raise KnobError(f"{path} is no file of knobs: {fault.detail}; a knob is one line, {_EXAMPLE}")
    try:
        found = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise KnobError(f"{path} is no TOML: {error}; a knob is one line, {_EXAMPLE}") from error
    return {key: _said(f"{path}{_line(text, key)}", key, value, knobs) for key, value in found.items()}


def read_dsn(path: Path) -> str:
    """Return the connection string that a file holds. Raises KnobError, also where others can read it."""
    text = _text(path, DSN_BYTES_MAX, "dsn_file names a file with a connection string", private=True).strip()
    if not text or "\n" in text or "\0" in text:
        raise KnobError(f"{path} is to hold one connection string on one line")
    return text


def _said(place: str, key: str, value: Any, knobs: Mapping[str, Knob]) -> Said:
    if isinstance(value, dict):
        raise KnobError(f"{place}: [{shown(key)}] is a table: knobs stand at the top, under no heading, {_EXAMPLE}")
    if (knob := knobs.get(key)) is None:
        raise KnobError(f"{place}: there is no knob {shown(key)}: {nearest(key, knobs)}")
    try:
        return Said(Origin.FILE, place, knob.from_toml(value))
    except KnobError as error:
        text = "" if knob.is_secret else f" = {shown(json.dumps(value, default=str))}"
        raise KnobError(f"{place}: {key}{text} {error}") from None


def _line(text: str, key: str) -> str:
    """Return ":" and the line on which a key stands; "" if it is written in an unusual way."""
    begins = re.compile(rf"""\s*\[*\s*(["']?){re.escape(key)}\1\s*[]=.]""")
    lines = [f"{line}\n" for line in text.split("\n")]
    numbers = (number for number, line in enumerate(lines) if begins.match(line))
    return next((f":{number + 1}" for number in numbers if _is_whole("".join(lines[:number]))), "")


def _is_whole(text: str) -> bool:
    """Return whether a text does not end within a value of several lines."""
    try:
        tomllib.loads(text)
    except ValueError:
        return False
    return True


def _text(path: Path, bytes_max: int, remedy: str, *, private: bool = False) -> str:
    """Return the text of a file. Raises KnobError with a remedy, where there is one."""
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) and path != Path(os.devnull):
                raise KnobError(f"{path} is no file: {remedy}")
            if private and stat.S_IMODE(found.st_mode) & (_OTHERS if found.st_uid else _EVERYBODY):
                raise KnobError(f"{path} is open to others, and may hold a password: chmod 600 {path}")
            data = file.read(bytes_max + 1)
    except OSError as error:
        raise KnobError(f"{path} cannot be read ({error.strerror}): {remedy}") from error
    if len(data) > bytes_max:
        raise KnobError(f"{path} is too large: it has more than {bytes_max} bytes, and needs few")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise KnobError(f"{path}:{line} is not UTF-8: save the file as UTF-8") from None


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe would wait for whoever writes into it."""
    return os.open(path, flags | os.O_NONBLOCK)
