"""A file that is too large or too deep is told so before it is read, which would take seconds and gigabytes."""

from __future__ import annotations

import time
from typing import Final

import pytest

from ledger.programmes import BYTES_MAX, faults, out_of_bounds, packaged, packaged_names
from ledger.programmes.bounds import FAULTS_MAX

GOOD: Final = packaged()
SECONDS_MAX: Final = 5.0  # on a machine that does much else beside; each took longer, or gigabytes, or a traceback
TOLD_MAX: Final = 1_000  # characters of a fault


def dotted(parts: int) -> str:
    return ".".join("a" * parts)


def names(count: int) -> str:
    return "[" + ", ".join(f'"n{number}"' for number in range(count)) + "]"


DEEP: Final = {
    "a key of 40,000 parts": f"{dotted(40_000)} = 1",
    "a key of 130,000 parts": f"{dotted(130_000)} = 1",
    "a table of 40,000 parts": f"[{dotted(40_000)}]",
    "a key of 9 parts": f"{dotted(9)} = 1",
    "a key of 9 parts in quotation marks": ".".join(['"a"'] * 9) + " = 1",
    "a key of 9 parts with blanks": " . ".join("a" * 9) + " = 1",
    "a key of 40,000 parts in an inline table": f"a = {{ {dotted(40_000)} = 1 }}",
    "lists in lists": "a = " + "[" * 100_000 + "]" * 100_000,
    "tables in tables": "a = " + "{ a = " * 20_000 + "1" + " }" * 20_000,
    "lists behind a text that looks like a comment": 'a = "#" \nb = ' + "[" * 100_000,
    "lists behind a text of several lines": "a = '''\n'''''\nb = " + "[" * 100_000,
    "a number of 5,000 digits": "tiers = " + "9" * 5_000,
    "a hexadecimal number of 5,000 digits": GOOD.replace("window_days = 30", "window_days = 0x" + "f" * 5_000),
    "a text of 200,000 characters": f'title = "{"x" * 200_000}"',
    "100,000 entries": "a = [" + "1," * 100_000 + "]",
    "a key that is a text of 100,000 points": f'"{"." * 100_000}" = 1',
}
MANY: Final = {
    "20,000 keys that nobody knows": "\n".join(f"k{number} = 1" for number in range(20_000)),
    "20,000 tables that nobody knows": "\n".join(f"[t{number}]" for number in range(20_000)),
    "15,000 overrides without rates": GOOD
    + "\n[overrides]\n"
    + "\n".join(f"a{number} = {{}}" for number in range(15_000)),
    "millions of rates": f"tiers = {names(9_000)}\npair_classes = {names(9_000)}",
    "thousands of tiers, none with a rate": GOOD.replace("tiers = [", f"tiers = {names(2_000)} #", 1),
}


@pytest.mark.parametrize("content", DEEP.values(), ids=list(DEEP))
def test_a_file_that_is_too_deep_is_told_so_before_it_is_read(content: str) -> None:
    began_s = time.monotonic()
    (fault,) = faults(content)
    assert fault.code == "FILE_TOO_DEEP"
    assert time.monotonic() - began_s < SECONDS_MAX


@pytest.mark.parametrize("content", MANY.values(), ids=list(MANY))
def test_of_a_file_with_many_faults_some_are_told_soon(content: str) -> None:
    assert out_of_bounds(content) is None
    began_s = time.monotonic()
    found = faults(content)
    assert 1 <= len(found) <= FAULTS_MAX
    assert max(len(str(fault)) for fault in found) < TOLD_MAX
    assert time.monotonic() - began_s < SECONDS_MAX


def test_a_file_that_is_too_large_is_told_so() -> None:
    for content in ("#" * (BYTES_MAX + 1), "é" * (BYTES_MAX // 2 + 1)):
        assert [fault.code for fault in faults(content)] == ["FILE_TOO_LARGE"]


def test_what_lies_in_a_text_or_a_comment_has_no_depth() -> None:
    deep = "[{" * 100 + dotted(100)
    for text in (f'"{deep}\\""', f"'{deep}'", f'"""{deep}"\n""{deep}\\""""""', f"'''{deep}''\n'''", f'1 # {deep} "'):
        assert out_of_bounds(f"a = {text}\n") is None, text


def test_what_is_no_toml_is_left_to_the_reader() -> None:
    for content in ('a = "\n' + "[" * 100, "a = '''" + "[" * 100, 'a = """\\"""' + "[" * 100, '"\\"' * 80_000):
        assert out_of_bounds(content) is None
        assert [fault.code for fault in faults(content)] == ["FILE_UNREADABLE"]


@pytest.mark.parametrize("name", packaged_names())
def test_packaged_files_are_within_all_bounds(name: str) -> None:
    assert out_of_bounds(packaged(name)) is None
