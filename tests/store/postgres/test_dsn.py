"""The password of a connection string is told nowhere, whatever is wrong with the string; and where one may be said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from ledger.program import main
from ledger.store.postgres.database import connect
from ledger.store.postgres.dsn import exposed, parameters, shown
from tests.tools.running import run

CHECKOUT = Path(__file__).parents[3]
SECRET = "hunter2"
WRONG = [
    f"postgresql://me:{SECRET}@[::1/ledger",  # libpq repeats it whole
    f"postgresql://me:{SECRET}@127.0.0.1:1x/ledger",
    f"postgresql://me:{SECRET}@127.0.0.1:1/ledger?sslmod=require",
    f"postgresql://me:{SECRET}%@127.0.0.1:1/ledger",
    f"postgresql://me:{SECRET}%zz@127.0.0.1:1/ledger",
    f"postgresql://me:a@{SECRET}@127.0.0.1:1/ledger",  # the host would be hunter2@127.0.0.1
    f"postgresql://me:a/{SECRET}@127.0.0.1:1/ledger",
    f"postgresql://me:{SECRET}/a@127.0.0.1:1/ledger",  # hunter2 would be the port
    f"postgresql://me:a#{SECRET}@127.0.0.1:1/ledger",
    f"postgresql://me:a?{SECRET}@127.0.0.1:1/ledger",
    f"postgresql://me:a {SECRET}@127.0.0.1:1/ledger",
    f"host=127.0.0.1 port=1 user=me password=a {SECRET}",
    f"host=127.0.0.1 port=1 user=me password='{SECRET}",
    f"host=127.0.0.1 port=1 user=me password=a {SECRET}=b",
    f"postgresql://me:{SECRET}@127.0.0.1:1/ledger",  # nothing is wrong with it, but nobody answers
    f"host=127.0.0.1 port=1 user=me password={SECRET} dbname=ledger",
    f"me:{SECRET}@127.0.0.1/ledger",
]
# What each tool takes that reads the log, and what is said to it before a connection is made.
TOOLS = {
    "audit": ("audit", "--jobs", "1"),
    "check": ("check",),
    "rebuild": ("rebuild",),
    "reconcile": ("reconcile", __file__),
}


@pytest.mark.parametrize("dsn", WRONG)
@pytest.mark.parametrize("tool", TOOLS)
def test_no_tool_tells_a_password(tool: str, dsn: str) -> None:
    ran = run(*TOOLS[tool], "--dsn", dsn)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert SECRET not in ran.err


@pytest.mark.parametrize("dsn", WRONG)
def test_no_connection_tells_a_password(dsn: str) -> None:
    with pytest.raises(psycopg.Error) as refused:
        connect(dsn, "test")
    assert SECRET not in str(refused.value)
    assert refused.value.__suppress_context__ or SECRET not in repr(refused.value.__context__)


def test_a_string_in_the_wrong_place_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["check", WRONG[-3]])
    assert "unrecognized arguments: postgresql://me:***@127.0.0.1:1/ledger" in capsys.readouterr().err


def test_the_way_out_of_a_wrong_uri_is_told() -> None:
    with pytest.raises(psycopg.ProgrammingError, match="write %40 for @"):
        parameters(f"postgresql://me:a@{SECRET}@127.0.0.1/ledger")
    assert parameters("postgresql://me:a%40b@127.0.0.1/ledger")["password"] == "a@b"


# --- where it may be said


@pytest.mark.parametrize("dsn", WRONG)
def test_no_password_is_shown(dsn: str) -> None:
    try:
        assert SECRET not in shown(dsn)
    except psycopg.ProgrammingError as refused:
        assert SECRET not in str(refused)  # noqa: PT017 - some of them cannot be read


def test_a_password_on_the_command_line_is_warned_of_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    dsn = f"postgresql://me:{SECRET}@127.0.0.1/ledger"
    assert exposed(dsn) == ""  # from the environment
    monkeypatch.setattr(sys, "argv", ["fee-ledger", "check", f"--dsn={dsn}"])
    assert exposed(dsn).startswith("warning: every user of this machine can read the password in --dsn")
    assert SECRET not in exposed(dsn)
    monkeypatch.setattr(sys, "argv", ["fee-ledger", "check", "--dsn", "postgresql://me@127.0.0.1/ledger"])
    assert exposed("postgresql://me@127.0.0.1/ledger") == ""


@pytest.mark.parametrize(
    "program",
    [("-m", "ledger", "serve", "--listen", "127.0.0.1:0"), ("-m", "projections"), ("-m", "ledger", "check")],
    ids=["serve", "projections", "check"],
)
def test_each_program_warns_takes_the_environment_and_tells_no_password(program: tuple[str, ...]) -> None:
    dsn = f"postgresql://me:{SECRET}@127.0.0.1:1/ledger"

    def said(*more: str, **environment: str) -> str:
        command = [sys.executable, *program, *more]
        ran = subprocess.run(
            command,
            cwd=CHECKOUT,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert (ran.returncode, ran.stdout) == (2, "")
        assert SECRET not in ran.stderr
        return ran.stderr

    warning, refusal = said("--dsn", dsn).splitlines()
    assert "warning: every user of this machine can read the password in --dsn" in warning
    assert said(FEE_LEDGER_DSN=dsn).splitlines() == [refusal]
