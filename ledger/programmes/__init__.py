"""Programme files: text in, `Programme` out. The first start publishes the packaged one; then only the log counts."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib import resources
from itertools import islice
from typing import Any, Final

from ledger.domain.state.programme import Programme
from ledger.programmes.bounds import BYTES_MAX, FAULTS_MAX, out_of_bounds
from ledger.programmes.checks import check_programme, warnings_of
from ledger.programmes.faults import Fault, ProgrammeError
from ledger.programmes.reading import read_programme
from ledger.programmes.schema import schema
from ledger.programmes.table import Table

__all__ = [
    "BYTES_MAX",
    "DEFAULT",
    "Fault",
    "ProgrammeError",
    "faults",
    "is_fixture",
    "out_of_bounds",
    "packaged",
    "packaged_names",
    "parse",
    "schema",
    "warnings",
]

DEFAULT: Final = "bitmart-api-vip-3.0.toml"
_OF_RELEASE_0_1_0: Final = "8e6b8163059d486e1aa0fa6459ac34b33fb63e60a06d4df01e556b83f27e25cd"  # its packaged file


def packaged(name: str = DEFAULT) -> str:
    """Content of a programme file shipped with the ledger."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def packaged_names() -> tuple[str, ...]:
    """The programme files shipped with the ledger."""
    files = resources.files(__package__).iterdir()
    return tuple(sorted(file.name for file in files if file.name.endswith(".toml")))


@lru_cache(maxsize=64)
def parse(content: str) -> Programme:
    """The programme a file describes. Raises ProgrammeError with every key that cannot be read.

    This reads what is in the log, so it asks no more than it needs: a key of another release is passed over, and one
    that is missing means its default. What a file must be before it is published, `faults` says.
    """
    found: list[Fault] = []
    programme = read_programme(Table(_load(content), "", found), strictly=False)
    if found:
        raise ProgrammeError(found)
    return programme


def faults(content: str) -> tuple[Fault, ...]:
    """Return what is wrong with a file that somebody wants to publish, at most FAULTS_MAX faults; empty: nothing is."""
    if (fault := out_of_bounds(content)) is not None:
        return (fault,)
    found: list[Fault] = []
    try:
        file = _load(content)
        programme = read_programme(Table(file, "", found), strictly=True)
    except ProgrammeError as error:
        return error.faults
    volume = file.get("volume")
    top_said = isinstance(volume, dict) and "above_top" in volume
    base_said = not any(fault.key.startswith("base_rates") for fault in found)
    follows = islice(check_programme(programme, top_said=top_said, base_said=base_said), FAULTS_MAX)
    further = (fault for fault in follows if not any(_concern_the_same(fault, first) for first in found))
    return tuple(islice((*found, *further), FAULTS_MAX))


def warnings(content: str) -> tuple[Fault, ...]:
    """Return what a person should look at in a file without faults before it is published; empty: nothing."""
    return tuple(warnings_of(parse(content)))


def is_fixture(programme: Programme, content_sha256: bytes) -> bool:
    """True if the base rates are the example of a packaged file: it says so, or is that of 0.1.0, which could not."""
    return programme.base_rates_are_fixture or content_sha256.hex() == _OF_RELEASE_0_1_0


def _concern_the_same(one: Fault, other: Fault) -> bool:
    """True if the key of one is the other's, or lies in it: what cannot be read has no second fault."""
    shorter, longer = sorted((one.key, other.key), key=len)
    return f"{longer}.".startswith(f"{shorter}.")


def _load(content: str) -> dict[str, Any]:
    try:
        return tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise ProgrammeError([Fault("FILE_UNREADABLE", "", f"{error}")]) from error
