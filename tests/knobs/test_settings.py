"""Every knob can be set by each way, and the first of flag, environment and file that sets it prevails."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from ledger.config import KNOBS, RELATIONS, Config
from ledger.knobs import settings as module
from ledger.knobs.environment import OTHERS
from ledger.knobs.knob import KnobError, Origin, Said, Whole
from ledger.knobs.settings import read_settings
from tests.cli.running import ROOT
from tests.knobs.ways import DSN, WAYS, another, by_flag, variables, written

NUMBERS = [name for name, knob in KNOBS.items() if isinstance(knob, Whole)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", KNOBS)
def test_every_knob_can_be_set_by_each_way_and_nothing_else_changes(name: str, way: str, tmp_path: Path) -> None:
    value = another(KNOBS[name], tmp_path)
    assert value != KNOBS[name].default
    found = WAYS[way]({name: value}, tmp_path)
    expected: dict[str, Any] = {name: value} | ({"dsn": DSN} if name == "dsn_file" else {})
    assert found.config == dataclasses.replace(Config(), **expected)
    assert [one for one, setting in found.by_knob.items() if setting.said.origin != Origin.DEFAULT] == sorted(
        expected, key=[*KNOBS].index
    )
    assert (found.by_knob[name].said.origin, found.by_knob[name].overridden) == (way, [])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_has_both_its_limits_and_nothing_beyond(
    name: str, way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    knob = KNOBS[name]
    assert isinstance(knob, Whole)
    assert knob.lowest <= knob.default <= knob.highest
    for value in (knob.lowest, knob.highest):
        assert (knob.from_text(str(value)), knob.from_toml(value)) == (value, value)
    for value in (knob.lowest - 1, knob.highest + 1):
        with pytest.raises((KnobError, SystemExit)) as refused:
            WAYS[way]({name: value}, tmp_path)
        assert f"is not a whole number of {knob.unit} from " in f"{refused.value}{capsys.readouterr().err}"


@pytest.mark.parametrize("relation", RELATIONS, ids=str)
def test_what_must_hold_between_knobs_is_held_on_both_sides(relation: Any, tmp_path: Path) -> None:
    low = relation.low[0]
    edge = getattr(Config(), relation.high) - sum(getattr(Config(), name) for name in relation.low[1:])
    largest = edge if relation.may_be_equal else edge - 1
    assert getattr(WAYS["file"]({low: largest}, tmp_path).config, low) == largest
    with pytest.raises(KnobError) as refused:
        WAYS["file"]({low: largest + 1}, tmp_path)
    assert str(refused.value).startswith(f"{relation}; {low} is {largest + 1} ({tmp_path}/ledger.toml:1), ")
    assert str(refused.value).endswith(f"{relation.high} is {getattr(Config(), relation.high)} (default)")


def test_nothing_said_is_the_defaults() -> None:
    found = read_settings({}, "", {"HOME": "/root", "FEE_LEDGER_ADDRESS": "127.0.0.1:2", "FEE_LEDGER_LEASE_MS": ""})
    assert (found.config, found.file, found.remarks) == (Config(), None, [])


def test_a_flag_prevails_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = written({"schema": "f", "lease_ms": 701, "drain_ms": 1, "page_size": 3}, tmp_path)
    said = variables({"lease_ms": 702, "drain_ms": 2})
    found = by_flag({"drain_ms": 4}, tmp_path, "--config", str(file), **said)
    config = found.config
    assert (config.schema, config.lease_ms, config.drain_ms, config.page_size) == ("f", 702, 4, 3)
    assert found.file == file
    assert found.by_knob["drain_ms"] == (
        Said(Origin.FLAG, "--drain-ms", 4),
        [Said(Origin.ENVIRONMENT, "FEE_LEDGER_DRAIN_MS", 2), Said(Origin.FILE, f"{file}:3", 1)],
    )
    assert found.by_knob["page_size"] == (Said(Origin.FILE, f"{file}:4", 3), [])


def test_the_file_is_that_of_the_flag_or_of_the_environment_or_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = []
    for page_size, name in enumerate(("flag", "environment", "user"), 1):
        (tmp_path / name).mkdir()
        files.append(written({"page_size": page_size}, tmp_path / name))
    flag, variable, usual = map(str, files)
    monkeypatch.setattr(module, "default_config", lambda: Path(usual))
    assert read_settings({}, flag, {"FEE_LEDGER_CONFIG": variable}).config.page_size == 1
    assert read_settings({}, "", {"FEE_LEDGER_CONFIG": variable}).config.page_size == 2
    found = read_settings({}, "", {"FEE_LEDGER_CONFIG": ""})
    assert found.config.page_size == 3
    assert found.remarks == [f"knobs are set by {usual}, as no --config names another file"]
    Path(usual).unlink()
    assert read_settings({}, "", {}).file is None


def test_dev_null_is_a_file_without_knobs() -> None:
    assert read_settings({}, "/dev/null", {}).config == Config()


def test_who_says_where_the_ledger_is_decides_alone(tmp_path: Path) -> None:
    said = variables({"dsn": DSN})
    found = by_flag({"data": tmp_path}, tmp_path, **said)
    assert (found.config.data, found.config.dsn) == (tmp_path, "")
    assert found.by_knob["dsn"] == (
        Said(Origin.DEFAULT, "default", ""),
        [Said(Origin.ENVIRONMENT, "FEE_LEDGER_DSN", DSN)],
    )
    file = written({"data": str(tmp_path)}, tmp_path)
    config = by_flag({}, tmp_path, "--config", str(file), **said).config
    assert (config.data, config.dsn) == (None, DSN)
    assert by_flag({"dsn": "service=other"}, tmp_path, **said).config.dsn == "service=other"
    assert by_flag({"dsn": ""}, tmp_path, **said).config.dsn == DSN


def test_a_file_may_have_comments_crlf_a_byte_order_mark_and_values_of_several_lines(tmp_path: Path) -> None:
    file = tmp_path / "ledger.toml"
    text = '# lease_ms = 1\r\ndsn = """\r\nhost=db\r\nlease_ms = 2"""\r\n  "lease_ms" = 7_00 # ms\r\n'
    file.write_bytes(f"\ufeff{text}".replace("lease_ms = 2", "user=me").encode())
    found = read_settings({}, str(file), {})
    assert found.config.lease_ms == 700
    assert found.by_knob["lease_ms"].said.place == f"{file}:5"
    assert found.config.dsn == "host=db\nuser=me"


def test_a_line_within_a_text_is_not_the_line_of_a_knob(tmp_path: Path) -> None:
    file = tmp_path / "ledger.toml"
    file.write_text("listen = \"\"\"127.0.0.1:1\\\n    \"\"\"\nschema = '''spot'''\nlease_ms = 10\n")
    with pytest.raises(KnobError, match=r"ledger\.toml:4: lease_ms = 10 is not"):
        read_settings({}, str(file), {})
    file.write_text('dsn = """\nlease_ms = 1\n"""\nlease_ms = 10\n')
    with pytest.raises(KnobError, match=r"ledger\.toml:4: lease_ms = 10 is not"):
        read_settings({}, str(file), {})


def test_every_variable_that_the_code_names_is_known() -> None:
    files = [file for room in ("ledger", "projections") for file in (ROOT / room).rglob("*.py")]
    named = {name for file in files for name in re.findall(r"FEE_LEDGER_[A-Z][A-Z_]*", file.read_text())}
    assert "FEE_LEDGER_ADDRESS" in named
    assert named - {knob.variable for knob in KNOBS.values()} - {*OTHERS} == set()


def test_what_kubernetes_makes_of_a_service_of_that_name_is_passed_over() -> None:
    names = ["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_GRPC", "PORT", "PORT_50051_TCP", "PORT_50051_TCP_ADDR"]
    environment = {f"FEE_LEDGER_{more}{name}": "tcp://10.0.0.1:50051" for name in names for more in ("", "DB_")}
    assert read_settings({}, "", environment).config == Config()
