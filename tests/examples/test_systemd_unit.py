"""examples/systemd: the unit says what the knobs say, and systemd understands it."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from ledger.config import KNOBS, Config
from ledger.knobs.files import read_toml
from ledger.program import parser
from ledger.server import health
from ledger.server.lanes import rooms
from ledger.server.memory_bound import memory_bound
from ledger.store.postgres import embedded
from ledger.tools.doctor.machine import EMBEDDED_BYTES

ROOT: Final = Path(__file__).parents[2]
UNIT: Final = ROOT / "examples" / "systemd" / "fee-ledger.service"
SAID: Final = dict(line.split("=", 1) for line in UNIT.read_text().splitlines() if re.match("[A-Z][A-Za-z]+=", line))
UNITS: Final = {"s": 1, "min": 60, "h": 3600, "G": 1024**3}


def number(name: str) -> int:
    """Return what the unit says of a time in seconds, of memory in bytes, or of a count."""
    found = re.fullmatch(r"(\d+)([a-zA-Z]*)", SAID[name])
    assert found is not None
    return int(found[1]) * UNITS.get(found[2], 1)


def test_a_stop_may_take_as_long_as_the_knobs_and_the_embedded_postgresql_take() -> None:
    config = Config()
    service_s = (config.drain_ms + config.stop_grace_ms) // 1000 + 5  # docs/configuration.md, stop_grace_ms
    assert "this, drain_ms and 5 s more" in KNOBS["stop_grace_ms"].costs
    assert number("TimeoutStopSec") == service_s + sum(embedded._STOP_SECONDS_MAX.values())
    assert SAID["KillMode"] == "mixed"


def test_memory_is_the_bound_of_the_service_and_what_the_embedded_postgresql_takes() -> None:
    needed = sum(memory_bound(Config()).values()) + EMBEDDED_BYTES
    assert "shared_buffers = 256MB" in embedded._SETTINGS
    assert needed <= number("MemoryMax") <= 1.1 * needed


def test_the_watchdog_waits_for_many_looks_at_health_and_a_start_for_as_long_as_it_takes() -> None:
    assert SAID["Type"] == "notify"
    assert number("WatchdogSec") >= 100 * health._EVERY_S
    assert SAID["TimeoutStartSec"] == "infinity"


def test_a_start_that_fails_is_tried_for_twenty_minutes_and_not_for_ever() -> None:
    tries, pause_s = number("StartLimitBurst"), number("RestartSec")
    assert tries * pause_s == 20 * 60
    assert number("StartLimitIntervalSec") >= 2 * tries * pause_s  # or starts that take long would never be too many
    assert SAID["Restart"] == "on-failure"
    assert "RestartPreventExitStatus" not in SAID  # 2 may be a PostgreSQL that comes up later


def test_there_are_files_for_every_call_that_the_lanes_hold() -> None:
    config = Config()
    assert number("LimitNOFILE") > 10 * sum(room.calls_max for room in rooms(config).values())


def test_its_command_is_understood_and_its_file_of_knobs_uses_the_folder_that_it_gives() -> None:
    program, *arguments = shlex.split(SAID["ExecStart"])
    options = parser().parse_args(arguments)
    file = UNIT.with_name(Path(options.config).name)
    knobs = read_toml(file, KNOBS)
    assert program.endswith("/bin/fee-ledger")
    assert knobs["data"].value == Path("/var/lib") / SAID["StateDirectory"]
    assert knobs["listen"].value == Config().listen


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd-analyze")
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/fee-ledger/bin/fee-ledger", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
