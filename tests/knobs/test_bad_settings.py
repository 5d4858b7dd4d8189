"""Whatever is wrong with a flag, a variable or a file is one line with its place and a remedy, and exit code 2."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ledger.config import KNOBS
from ledger.knobs.knob import KnobError
from ledger.knobs.settings import read_settings
from tests.knobs.ways import DSN, PARSER, by_flag, variables, written
from tests.tools.running import run

SECRET = "hunter2"
LEASE = "is not a whole number of ms from 50 to 60000 (digits only)"

# A text of a file, and what is told of it; FILE stands for its path.
FILES = {
    "a typo": ("\nlese_ms = 1", "FILE:2: there is no knob lese_ms: did you mean lease_ms?"),
    "a hyphen": ("lease-ms = 1", "FILE:1: there is no knob lease-ms: did you mean lease_ms?"),
    "like nothing": ("xyz = 1", "FILE:1: there is no knob xyz: `fee-ledger serve --help-all` has them all"),
    "a heading": (
        "\n[service]\nlease_ms = 750",
        "FILE:2: [service] is a table: knobs stand at the top, under no heading, such as lease_ms = 750",
    ),
    "a dotted key": (
        "lease_ms.max = 1",
        "FILE:1: [lease_ms] is a table: knobs stand at the top, under no heading, such as lease_ms = 750",
    ),
    "an inline table": (
        "lease_ms = {max = 1}",
        "FILE:1: [lease_ms] is a table: knobs stand at the top, under no heading, such as lease_ms = 750",
    ),
    "true for a number": ("lease_ms = true", f"FILE:1: lease_ms = true {LEASE}"),
    "true for one": (
        "page_size = true",
        "FILE:1: page_size = true is not a whole number of lines from 1 to 100000 (digits only)",
    ),
    "a decimal": ("lease_ms = 1.5", f"FILE:1: lease_ms = 1.5 {LEASE}"),
    "a whole decimal": ("lease_ms = 750.0", f"FILE:1: lease_ms = 750.0 {LEASE}"),
    "infinity": ("lease_ms = inf", f"FILE:1: lease_ms = Infinity {LEASE}"),
    "a text with a unit": ('lease_ms = "5s"', f'FILE:1: lease_ms = "5s" {LEASE}'),
    "a number in quotes": ('lease_ms = "750"', f'FILE:1: lease_ms = "750" {LEASE}'),
    "a day": ("lease_ms = 2024-10-01", f'FILE:1: lease_ms = "2024-10-01" {LEASE}'),
    "a list": ("lease_ms = [750]", f"FILE:1: lease_ms = [750] {LEASE}"),
    "too little": ("lease_ms = 49", f"FILE:1: lease_ms = 49 {LEASE}"),
    "too much": ("lease_ms = 60001", f"FILE:1: lease_ms = 60001 {LEASE}"),
    "below zero": ("lease_ms = -750", f"FILE:1: lease_ms = -750 {LEASE}"),
    "a number for yes": ("projections = 1", "FILE:1: projections = 1 is not true or false"),
    "a text for yes": ('projections = "true"', 'FILE:1: projections = "true" is not true or false'),
    "no choice": ('evaluate = "auto"', 'FILE:1: evaluate = "auto" is not one of manual, automatic'),
    "no text": ("listen = 50051", "FILE:1: listen = 50051 is not HOST:PORT"),
    "no port": ('listen = "here"', 'FILE:1: listen = "here" is not HOST:PORT'),
    "no address": ('metrics_listen = "9464"', 'FILE:1: metrics_listen = "9464" is not HOST:PORT or off'),
    "no name": ('schema = "A"', 'FILE:1: schema = "A" is not a name that matches [a-z_][a-z0-9_]{0,40}'),
    "no id": ('ledger_id = "a b"', 'FILE:1: ledger_id = "a b" is not a name that matches [A-Za-z0-9._:-]{1,64}'),
    "a relative path": ('data = "ledger"', 'FILE:1: data = "ledger" is not the absolute path of a folder'),
    "a home": ('data = "~/ledger"', 'FILE:1: data = "~/ledger" is not the absolute path of a folder'),
    "a NUL": (r'data = "/a\u0000b"', r'FILE:1: data = "/a\u0000b" is not the absolute path of a folder'),
    "no path": ('dsn_file = ""', 'FILE:1: dsn_file = "" is not the absolute path of a file'),
    "a dsn that is none": (f"dsn = ['{DSN} password={SECRET}']", "FILE:1: dsn is not a connection string of libpq"),
    "too large": (f"#{'x' * 65_536}", "FILE is too large: it has more than 65536 bytes, and needs few"),
    "two places": (
        f'data = "/srv"\ndsn = "{DSN}"',
        "FILE:1 and FILE:2 each say where the ledger lies: give one of them",
    ),
    "a broken dsn": (
        f'dsn = "postgresql://me:{SECRET}@127.0.0.1:1/ledger?sslmod=require"',
        'FILE:1: the connection string cannot be read: invalid URI query parameter: "..."',
    ),
    "a password where none is": (
        f'listen = "postgresql://me:{SECRET}@127.0.0.1/ledger and so on, for longer than what is shown"',
        'FILE:1: listen = "postgresql://me:***@127.0.0.1/ledger and so on, for longer is not HOST:PORT',
    ),
}
# A text that is no TOML, or not as a file of knobs is, and what is told of it.
BROKEN = {
    "a key twice": ("lease_ms = 750\nlease_ms = 751\n", "is no TOML: Cannot overwrite a value (at line 2"),
    "no value": ("drain_ms = 1\nlease_ms =\n", "is no TOML: Invalid value (at line 2"),
    "a unit": ("lease_ms = 750ms\n", "is no TOML: Expected newline or end of document after a statement (at line 1"),
    "no equals sign": ("LEASE_MS: 750\n", "is no TOML: Expected '=' after a key in a key/value pair (at line 1"),
    "deep lists": (f"\na = {'[' * 60_000}", "is no file of knobs: line 2 has lists or tables more than 8 deep"),
    "a deep key": (f"a{'.a' * 30_000} = 1", "is no file of knobs: line 1 has a key of more than 8 parts"),
    "many digits": (
        f"lease_ms = {'9' * 5_000}",
        "is no file of knobs: line 1 has a word or number of 5,000",
    ),
}


@pytest.mark.parametrize("wrong", FILES)
def test_a_file_that_is_wrong_is_told_in_one_line_with_its_line(wrong: str, tmp_path: Path) -> None:
    file = tmp_path / "ledger.toml"
    text, told = FILES[wrong]
    file.write_text(text)
    ran = run("config", "check", file)
    assert (ran.code, ran.out, ran.err) == (2, "", f"fee-ledger: {told.replace('FILE', str(file))}\n")
    assert SECRET not in ran.err


@pytest.mark.parametrize("wrong", BROKEN)
def test_a_file_that_is_no_toml_is_told_in_one_line(wrong: str, tmp_path: Path) -> None:
    file = tmp_path / "ledger.toml"
    text, told = BROKEN[wrong]
    file.write_text(text)
    ran = run("config", "check", file)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert ran.err.startswith(f"fee-ledger: {file} {told}")
    assert ran.err.endswith("; a knob is one line, such as lease_ms = 750\n")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: None, "cannot be read (No such file or directory): name another by --config, or write it: such"),
        (lambda path: path.mkdir(), "cannot be read (Is a directory): name another by --config, or write it: such"),
        (os.mkfifo, "is no file: name another by --config"),
        (lambda path: socket.socket(socket.AF_UNIX).bind(str(path)), "cannot be read (No such device or address): "),
        (lambda path: path.symlink_to(path), "cannot be read (Too many levels of symbolic links): "),
        (lambda path: path.symlink_to("/dev/zero"), "is no file: name another by --config"),
        (lambda path: path.write_bytes(b"schema = 'a'\n# \xff\n"), ":2 is not UTF-8: save the file as UTF-8"),
        (lambda path: path.write_text("a = 1", encoding="utf-16"), ":1 is not UTF-8: save the file as UTF-8"),
    ],
    ids=["none", "folder", "pipe", "socket", "loop", "device", "latin", "utf-16"],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_is_no_readable_file_is_told_at_once(make: object, why: str, tmp_path: Path) -> None:
    file = tmp_path / "ledger.toml"
    make(file)  # type: ignore[operator]
    ran = run("config", "show", "--config", file)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert ran.err.startswith(f"fee-ledger: {file}{'' if why.startswith(':') else ' '}{why}")


def test_a_file_that_the_user_may_not_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("ledger.knobs.files.os.open", refused)  # root may read everything
    with pytest.raises(KnobError, match=r"x\.toml cannot be read \(Permission denied\): name another by --config"):
        read_settings({}, "/x.toml", {})


VARIABLES = {
    ("FEE_LEDGER_LEASE_MS", "5s"): f"FEE_LEDGER_LEASE_MS='5s' {LEASE}",
    ("FEE_LEDGER_LEASE_MS", "1.5"): f"FEE_LEDGER_LEASE_MS='1.5' {LEASE}",
    ("FEE_LEDGER_LEASE_MS", " 750"): f"FEE_LEDGER_LEASE_MS=' 750' {LEASE}",
    ("FEE_LEDGER_LEASE_MS", "+750"): f"FEE_LEDGER_LEASE_MS='+750' {LEASE}",
    ("FEE_LEDGER_LEASE_MS", "\u0667\u0665"): f"FEE_LEDGER_LEASE_MS='\\u0667\\u0665' {LEASE}",
    ("FEE_LEDGER_LEASE_MS", "9" * 5_000): f"FEE_LEDGER_LEASE_MS='{'9' * 59} {LEASE}",
    ("FEE_LEDGER_LEASE_MS", "true"): f"FEE_LEDGER_LEASE_MS='true' {LEASE}",
    ("FEE_LEDGER_PROJECTIONS", "1"): "FEE_LEDGER_PROJECTIONS='1' is not true or false",
    ("FEE_LEDGER_PROJECTIONS", "True"): "FEE_LEDGER_PROJECTIONS='True' is not true or false",
    ("FEE_LEDGER_EVALUATE", "always"): "FEE_LEDGER_EVALUATE='always' is not one of manual, automatic",
    ("FEE_LEDGER_LISTEN", "50051"): "FEE_LEDGER_LISTEN='50051' is not HOST:PORT",
    ("FEE_LEDGER_LEASE", "750"): "there is no knob FEE_LEDGER_LEASE: did you mean FEE_LEDGER_LEASE_MS?",
    ("FEE_LEDGER_LEASE", ""): "there is no knob FEE_LEDGER_LEASE: did you mean FEE_LEDGER_LEASE_MS?",
    ("FEE_LEDGER_lease_ms", "1"): "there is no knob FEE_LEDGER_lease_ms: ",
    ("FEE_LEDGER_DNS", DSN): "there is no knob FEE_LEDGER_DNS: did you mean FEE_LEDGER_DSN?",
    ("FEE_LEDGER_XYZXYZ", "1"): "there is no knob FEE_LEDGER_XYZXYZ: ",
    ("FEE_LEDGER_DSN", f"me:{SECRET}@127.0.0.1/ledger"): "FEE_LEDGER_DSN: the connection string cannot be read: ",
}


@pytest.mark.parametrize(("name", "value"), VARIABLES, ids=lambda text: text[:24])
def test_a_variable_that_is_wrong_is_told_in_one_line(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(name, value)
    ran = run("config", "show", "--config", written({"lease_ms": 700}, tmp_path))
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert ran.err.startswith(f"fee-ledger: {VARIABLES[name, value]}")
    assert SECRET not in ran.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--lease-ms", "5s"), f"argument --lease-ms: '5s' {LEASE}"),
        (("--lease-ms", "49"), f"argument --lease-ms: '49' {LEASE}"),
        (("--lease-ms", ""), f"argument --lease-ms: '' {LEASE}"),
        (("--lease-ms",), "argument --lease-ms: expected one argument"),
        (("--evaluate", "x"), "argument --evaluate: invalid choice: 'x' (choose from 'manual', 'automatic')"),
        (("--data", ""), "argument --data: '' is not the absolute path of a folder"),
        (("--lease-ms", "700", "--lease-ms", "700"), "--lease-ms is given a second time: leave one of them away"),
        (("--config", "a", "--config", "b"), "--config is given a second time: leave one of them away"),
        (("--projections", "--no-projections"), "--no-projections is given a second time: leave one of them away"),
        (("--lese-ms", "1"), "unrecognized arguments: --lese-ms 1"),
        (("--lease", "700"), "unrecognized arguments: --lease 700"),
    ],
    ids=lambda words: " ".join(words)[:30] if isinstance(words, tuple) else "",
)
@pytest.mark.parametrize("command", [("serve",), ("config", "show")], ids=" ".join)
def test_a_flag_that_is_wrong_is_told_in_one_line(
    command: tuple[str, ...], words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        PARSER.parse_args([*command, *words])
    assert ended.value.code == 2
    _, err = capsys.readouterr()
    assert err.count("\n") == 1
    assert f": {told} (see " in err


def test_two_places_in_one_way_are_refused_and_in_two_ways_are_not(tmp_path: Path) -> None:
    with pytest.raises(KnobError, match="--data and --dsn each say where the ledger lies: give one of them"):
        by_flag({"data": tmp_path, "dsn": DSN}, tmp_path)
    with pytest.raises(KnobError, match="FEE_LEDGER_DSN and FEE_LEDGER_DSN_FILE each say where the ledger lies"):
        read_settings({}, "", variables({"dsn": DSN, "dsn_file": "/etc/dsn"}))


# --- the file of a connection string


def with_dsn(tmp_path: Path, content: bytes, mode: int) -> Path:
    file = tmp_path / "dsn"
    file.write_bytes(content)
    file.chmod(mode)
    return file


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_that_nobody_else_can_read_may_hold_a_password(mode: int, tmp_path: Path) -> None:
    file = with_dsn(tmp_path, f"  {DSN} password={SECRET} \n".encode(), mode)
    found = read_settings({}, "", {"FEE_LEDGER_DSN_FILE": str(file)})
    assert (found.config.dsn, found.config.dsn_file) == (f"{DSN} password={SECRET}", file)
    assert found.remarks == []


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o660, 0o620, 0o640])
def test_a_file_that_others_can_read_is_refused(mode: int, tmp_path: Path) -> None:
    file = with_dsn(tmp_path, DSN.encode(), mode)
    if mode == 0o640:  # may be, if it is root's: so Kubernetes hands out secrets
        os.chown(file, 65_534 if os.geteuid() == 0 else -1, -1)
    with pytest.raises(KnobError, match=f"dsn is open to others, and may hold a password: chmod 600 {file}"):
        read_settings({}, "", {"FEE_LEDGER_DSN_FILE": str(file)})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a file of root's")
def test_the_group_may_read_a_file_of_root(tmp_path: Path) -> None:
    file = with_dsn(tmp_path, DSN.encode(), 0o440)
    assert read_settings({}, "", {"FEE_LEDGER_DSN_FILE": str(file)}).config.dsn == DSN


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is to hold one connection string on one line"),
        (b"host=a\nhost=b\n", "is to hold one connection string on one line"),
        (b"\xff", ":1 is not UTF-8: save the file as UTF-8"),
        (b"x" * 4_097, "is too large: it has more than 4096 bytes, and needs few"),
        (f"me:{SECRET}@127.0.0.1/ledger".encode(), ": the connection string cannot be read: "),
        (b"host=a\0b", "is to hold one connection string on one line"),
    ],
)
def test_a_file_without_a_connection_string_is_refused(content: bytes, why: str, tmp_path: Path) -> None:
    file = with_dsn(tmp_path, content, 0o600)
    with pytest.raises(KnobError) as refused:
        read_settings({}, "", {"FEE_LEDGER_DSN_FILE": str(file)})
    assert str(refused.value).startswith(f"{file}{'' if why.startswith(':') else ' '}{why}")
    assert SECRET not in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KnobError, match=r"dsn cannot be read \(No such file or directory\): dsn_file names a file"):
        read_settings({}, "", {"FEE_LEDGER_DSN_FILE": str(tmp_path / "dsn")})


def test_a_password_in_the_file_of_knobs_is_warned_of(tmp_path: Path) -> None:
    file = written({"dsn": f"postgresql://me:{SECRET}@db/ledger"}, tmp_path)
    (warning,) = read_settings({}, str(file), {}).remarks
    assert warning.startswith(f"warning: whoever reads {file}:1 reads the password in it: say it in FEE_LEDGER_DSN, ")
    assert SECRET not in warning
    assert read_settings({}, str(written({"dsn": DSN}, tmp_path)), {}).remarks == []


def test_no_value_of_a_secret_knob_is_told() -> None:
    assert [name for name, knob in KNOBS.items() if knob.is_secret] == ["dsn"]
