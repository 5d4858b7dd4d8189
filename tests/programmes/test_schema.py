"""The schema of programme files says what the reader says, wherever no value is held against another."""

from __future__ import annotations

import json
import tomllib
from typing import Any, Final

import fastjsonschema
import pytest

from ledger import programmes
from ledger.tools.programme.table import statements
from tests.programmes.keys import KEYS, SCHEMA
from tests.programmes.test_programmes import CHANGES, GOOD

VALID: Final = fastjsonschema.compile(SCHEMA)

# What a schema cannot see: how values are to each other, and that a date stands in quotation marks, as JSON has it.
UNSEEN: Final = (
    *("TIER_UNKNOWN", "CLASS_UNKNOWN", "DESCENDING", "NEGATIVE_NET_PAIR", "BANDS_NOT_RISING", "BANDS_GAP", "TOP_OPEN"),
    *("KEY_MISSING: rates.", "KEY_MISSING: base_rates.C", "KEY_MISSING: overrides.X_Y"),
    *("VALUE_OUT_OF_RANGE: ban.days_min", "VALUE_MALFORMED: venues names no venue", "VALUE_UNKNOWN: promotions.denied"),
    *("RATE_TOO_FINE", "RATE_UNIT_AMBIGUOUS: rates.VIP1.A.maker = '0.04'", "RATE_UNIT_AMBIGUOUS: base_rates.C.maker"),
    *(
        "VALUE_UNKNOWN: evaluation.timezone",
        "VALUE_MALFORMED: trial.last_day",
        "VALUE_MALFORMED: applications.holidays",
    ),
)
NOT_READ: Final = ("FILE_UNREADABLE", "FILE_TOO_DEEP")


def is_valid(content: str) -> bool:
    """Return whether a file fits the schema; its dates and times are texts there, as in JSON."""
    try:
        VALID(json.loads(json.dumps(tomllib.loads(content), default=lambda value: value.isoformat())))
    except fastjsonschema.JsonSchemaValueException:
        return False
    return True


@pytest.mark.parametrize("name", programmes.packaged_names())
def test_every_packaged_file_fits(name: str) -> None:
    assert is_valid(programmes.packaged(name))


def test_every_key_that_the_packaged_file_names_in_a_comment_fits_too() -> None:
    said = GOOD
    for line in ("from = 2026", "until = 2028", "last_day = ", "[base_rates.C]", 'maker = "0.5%"', 'taker = "0.5%"'):
        assert f"# {line}" in said
        said = said.replace(f"# {line}", line, 1)
    assert programmes.faults(said) == ()
    assert is_valid(said)


@pytest.mark.parametrize(("old", "new", "fault"), [each for each in CHANGES if not each[2].startswith(NOT_READ)])
def test_a_file_fits_unless_the_reader_finds_a_fault_in_a_single_value(old: str, new: str, fault: str) -> None:
    changed = GOOD.replace(old, new, 1)
    found = [str(each) for each in programmes.faults(changed)]
    assert is_valid(changed) == all(each.startswith(UNSEEN) for each in found), found


@pytest.mark.parametrize("path", ["", *(path for path, said in KEYS.items() if said.get("type") == "object")])
def test_a_key_that_the_reader_does_not_know_is_none_of_the_schema(path: str) -> None:
    file = tomllib.loads(GOOD)
    table = file
    for name in filter(None, path.split(".")):
        table = table.setdefault(name, {})
    table["toy"] = False
    content = _toml(file)
    assert f"{path}.toy".lstrip(".") in {fault.key for fault in programmes.faults(content)}
    assert not is_valid(content)


def test_every_default_is_what_the_reader_takes_where_the_key_is_missing() -> None:
    needed = tomllib.loads(GOOD)
    for path, said in KEYS.items():
        if "default" in said:
            table, _, name = path.rpartition(".")
            needed.get(table, {}).pop(name, None)
    bare, full = dict(needed), json.loads(json.dumps(needed))
    for path, said in KEYS.items():
        if "default" in said:
            table, _, name = path.rpartition(".")
            full.setdefault(table, {})[name] = said["default"]
    assert statements(programmes.parse(_toml(bare))) == statements(programmes.parse(_toml(full)))


def test_a_programme_that_is_shown_shows_every_key() -> None:
    shown = statements(programmes.parse(GOOD))
    plain = {path for path, said in KEYS.items() if said.get("type") != "object"}
    assert plain - shown.keys() == set()


def _toml(table: dict[str, Any], path: str = "") -> str:
    """Return a table of JSON values as TOML, which writes all of them alike."""
    plain = "".join(
        f"{json.dumps(name)} = {json.dumps(value)}\n" for name, value in table.items() if not _is_table(value)
    )
    below = ((f"{path}{json.dumps(name)}", value) for name, value in table.items() if _is_table(value))
    return plain + "".join(f"[{name}]\n{_toml(value, f'{name}.')}" for name, value in below)


def _is_table(value: object) -> bool:
    return isinstance(value, dict)
