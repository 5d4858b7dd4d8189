"""Programs as they are started: knobs of a file, of the environment and of flags reach them; a wrong one ends them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.cli.running import ROOT, shell
from tests.knobs.ways import written
from tests.test_log_lines import TIME
from tests.tools.running import run

Started = Callable[..., tuple[int, str, str]]


def until_it_is_ready(process: subprocess.Popen[str], ready: str) -> tuple[int, str, str]:
    """(exit code, what it printed, what it told on stderr) of a program that is stopped once it says `ready`."""
    assert process.stdout
    printed = ""
    for line in process.stdout:
        printed += line
        if ready in line:
            process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=120)
    return process.returncode, printed, told


@pytest.fixture
def private_dsn(dsn: str, tmp_path: Path) -> Path:
    """A file with the connection string of a PostgreSQL, for its owner alone."""
    file = tmp_path / "dsn"
    file.write_text(dsn)
    file.chmod(0o600)
    return file


def test_a_service_takes_knobs_of_a_file_of_the_environment_and_of_flags(
    private_dsn: Path, schema: str, tmp_path: Path
) -> None:
    file = written({"dsn_file": private_dsn, "ledger_id": "spot-1", "drain_ms": 0, "schema": "of_the_file"}, tmp_path)
    said = {"FEE_LEDGER_CONFIG": str(file), "FEE_LEDGER_SCHEMA": schema, "FEE_LEDGER_METRICS_LISTEN": "off"}
    environment = os.environ | said
    serve = shell("serve", "--listen", "127.0.0.1:0", "--no-projections", env=environment)
    code, printed, told = until_it_is_ready(serve, " is serving on ")
    assert (code, [line for line in told.splitlines() if not re.match(f"{TIME} INFO ", line)]) == (0, [])
    assert printed.startswith("a new ledger begins: spot-1, your PostgreSQL\n")
    with psycopg.connect(private_dsn.read_text()) as connection:
        found = connection.execute("SELECT schema_name FROM information_schema.schemata").fetchall()
    assert (schema,) in found
    assert ("of_the_file",) not in found
    projections = [sys.executable, "-m", "projections", "--log-format", "json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(projections, cwd=ROOT, env=environment, text=True, **pipes) as process:  # type: ignore[call-overload]
        code, printed, told = until_it_is_ready(process, "follow the log")
    follow = f"the tables in {schema}_read follow the log of {schema}"
    assert (code, printed) == (0, f"{follow}. Ctrl-C stops this.\nmetrics are off\n")
    lines = [json.loads(line) for line in told.splitlines()]
    assert {line["level"] for line in lines} == {"INFO"}
    assert [line["message"] for line in lines if line["logger"] == "projections"] == [
        follow,
        "metrics are off",
        "stopping: finishing the batch under way ...",
        "stopped",
    ]


@pytest.mark.parametrize("program", [("ledger", "serve"), ("ledger", "check"), ("projections",)], ids=" ".join)
def test_every_program_refuses_what_is_wrong_before_it_begins(program: tuple[str, ...], tmp_path: Path) -> None:
    file = written({"lease_ms": 5}, tmp_path)
    command = [sys.executable, "-m", *program, "--config", str(file)]
    for environment, told in (
        ({}, f"{file}:1: lease_ms = 5 is not a whole number of ms from 50 to 60000 (digits only)"),
        ({"FEE_LEDGER_LEASE": "5"}, "there is no knob FEE_LEDGER_LEASE: did you mean FEE_LEDGER_LEASE_MS?"),
    ):
        place = os.environ | environment
        done = subprocess.run(command, cwd=ROOT, env=place, capture_output=True, text=True, check=False, timeout=60)
        name = "projections" if program == ("projections",) else "fee-ledger"
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{name}: {told}\n")


def test_the_file_of_the_user_is_read_and_the_start_says_so(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from ledger.knobs import settings; from ledger.program import main;"
        "settings.default_config = lambda: Path('ledger.toml');"
        "sys.exit(main(['config', 'show']))"
    )
    written({"page_size": 3}, tmp_path)
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr == "fee-ledger: knobs are set by ledger.toml, as no --config names another file\n"
    assert "3 lines (ledger.toml:1)" in done.stdout


def test_a_password_comes_from_the_files_of_libpq(
    dsn: str, schema: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = conninfo_to_dict(dsn)
    password = known.pop("password")
    service, passwords = tmp_path / "services", tmp_path / "passwords"
    service.write_text("".join(["[ledger]\n", *(f"{name}={value}\n" for name, value in known.items())]))
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    file = written({"dsn": "service=ledger", "schema": schema}, tmp_path)
    for said, told in ((password, "there is no ledger in the schema"), ("wrong", "PostgreSQL cannot be used")):
        passwords.write_text(f"*:*:*:*:{said}\n")
        passwords.chmod(0o600)
        ran = run("check", "--config", file)
        assert (ran.code, ran.err.count("\n")) == (2, 1)
        assert ran.err.startswith(f"fee-ledger: {told}")
