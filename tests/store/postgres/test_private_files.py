"""The files of an embedded PostgreSQL are for the ledger alone, and nobody else keeps a service from starting."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from ledger.store.postgres import embedded
from ledger.store.postgres.embedded import EmbeddedError, EmbeddedPostgres
from ledger.store.postgres.folders import digest
from tests.data_folders import copy_of
from tests.store.postgres.test_embedded import AS_ROOT, make_folder

as_root = pytest.mark.skipif(not AS_ROOT, reason="only root is several users")
STRANGER = "games"  # a user of any Linux who has nothing to do with the ledger


@pytest.fixture(scope="module")
def kept_folder() -> Iterator[Path]:
    """A stopped ledger, made under a umask that takes nothing away."""
    before = os.umask(0)
    try:
        for folder in make_folder():
            with EmbeddedPostgres(folder):
                pass
            yield folder
    finally:
        os.umask(before)


@pytest.fixture
def folder(kept_folder: Path) -> Iterator[Path]:
    """A copy of the stopped ledger."""
    for folder in make_folder():
        folder.mkdir(mode=0o700)
        shutil.copystat(kept_folder, folder)
        if AS_ROOT:
            shutil.chown(folder, "root", kept_folder.stat().st_gid)
        yield copy_of(kept_folder, folder)


def open_to_others(folder: Path) -> dict[str, str]:
    """Every file and folder that another user could read, lock or enter, and its mode."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink() and (mode := stat.S_IMODE(path.stat().st_mode)) & 0o007:
            found[str(path.relative_to(folder))] = oct(mode)
    return found


def open_to_a_group(folder: Path) -> set[str]:
    """Every file and folder outside of the programs that a group may read or enter."""
    paths = [path for path in folder.rglob("*") if not path.relative_to(folder).parts[0].startswith("postgresql-")]
    return {path.name for path in (folder, *paths) if not path.is_symlink() and path.stat().st_mode & 0o070}


def test_no_file_is_open_to_others_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        with EmbeddedPostgres(folder) as server:
            server.tend()
            assert open_to_others(folder) == {}
            assert open_to_a_group(folder) == ({folder.name, "postgresql.conf"} if AS_ROOT else set())
    finally:
        os.umask(before)


def test_what_an_earlier_release_left_open_is_closed_at_the_start(folder: Path) -> None:
    folder.chmod(0o755)
    (folder / "log").chmod(0o755)
    for path in (*folder.glob("*.lock"), folder / "postgresql.conf", folder / "log" / "postgresql.log"):
        path.chmod(0o644)
    if AS_ROOT:
        (linked,) = folder.glob("postgresql-18-*")
        own = folder / "postgresql-own"  # other tests have the files of the links, too
        subprocess.run(["cp", "-a", linked, own], check=True)
        shutil.rmtree(linked)
        own.rename(linked)
        for path in (linked, *linked.rglob("*")):
            path.chmod(0o755)
    with EmbeddedPostgres(folder):
        assert open_to_others(folder) == {}


def test_a_folder_that_holds_more_than_the_ledger_keeps_its_mode(folder: Path) -> None:
    (folder / "letters").mkdir()
    folder.chmod(0o755)
    with EmbeddedPostgres(folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755
        assert open_to_others(folder).keys() <= {".", "letters"}


@as_root
def test_a_lock_that_a_stranger_took_before_the_files_were_closed_blocks_no_start(folder: Path) -> None:
    folder.chmod(0o755)
    holders = []
    try:
        for lock in (folder / "service.lock", folder / "server.lock"):
            lock.chmod(0o644)
            hold = ["flock", str(lock), "-c", "echo held; cat"]
            holder = subprocess.Popen(hold, user=STRANGER, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            holders.append(holder)
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
        with EmbeddedPostgres(folder):
            with pytest.raises(EmbeddedError, match="is in use by another service"):
                EmbeddedPostgres(folder).start("a second one")
            assert open_to_others(folder) == {}
    finally:
        for holder in holders:
            holder.communicate()


def test_a_lock_of_our_own_blocks_the_start(folder: Path) -> None:
    with (folder / "service.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(EmbeddedError, match="is in use by another service"):
            EmbeddedPostgres(folder).start()


# --- whose the folder is


@as_root
def test_a_folder_of_somebody_else_is_refused_and_left_as_it_was(folder: Path) -> None:
    os.chown(folder, pwd.getpwnam(STRANGER).pw_uid, -1)
    before = folder.stat().st_ctime_ns
    with pytest.raises(EmbeddedError, match=f"{folder} belongs to the user {STRANGER}: .*--data FOLDER") as refused:
        EmbeddedPostgres(folder).start()
    assert "\n" not in str(refused.value)
    assert folder.stat().st_ctime_ns == before


def test_a_link_in_place_of_the_folder_leads_to_it(folder: Path) -> None:
    link = folder.with_name("link")
    link.symlink_to(folder)
    with EmbeddedPostgres(link) as server:
        with pytest.raises(EmbeddedError, match=f"{folder} is in use by"):
            EmbeddedPostgres(folder).start()
        server.ensure_running()


@pytest.mark.parametrize("name", ["service.lock", "server.lock", "postgresql.conf", "log/postgresql.log"])
def test_a_link_in_place_of_a_file_is_not_followed(folder: Path, name: str) -> None:
    elsewhere = folder.with_name("elsewhere")
    elsewhere.write_text("as before")
    elsewhere.chmod(0o644)
    (folder / name).unlink()
    (folder / name).symlink_to(elsewhere)
    with pytest.raises(EmbeddedError, match="Too many levels of symbolic links") as refused:
        EmbeddedPostgres(folder).start()
    assert "\n" not in str(refused.value)
    assert (elsewhere.read_text(), stat.S_IMODE(elsewhere.stat().st_mode)) == ("as before", 0o644)


# --- who runs PostgreSQL for root


@as_root
def test_the_shared_user_nobody_is_told_with_the_remedy(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server:
        (told,) = server.remarks
    assert "runs as the user nobody" in told
    assert f"chown -R fee-ledger: {folder}/data {folder}/password {folder}/run" in told
    assert "useradd --system fee-ledger" in told


@as_root
def test_a_user_of_its_own_runs_new_data_and_data_that_it_is_given(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_OWN_USER", STRANGER)
    with EmbeddedPostgres(folder) as server:  # data of nobody stay with nobody
        (told,) = server.remarks
        assert (folder / "data").stat().st_uid == pwd.getpwnam("nobody").pw_uid
    assert "useradd" not in told
    remedy = told.partition("`")[2].partition("`")[0]
    subprocess.run(remedy, shell=True, check=True)
    with EmbeddedPostgres(folder) as server:
        assert server.remarks == []
        assert open_to_others(folder) == {}
        pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])
        assert Path(f"/proc/{pid}").stat().st_uid == pwd.getpwnam(STRANGER).pw_uid
        psycopg.connect(server.dsn_of_another()).close()


# --- starts that cannot be


def test_of_two_starts_at_once_one_has_the_folder_and_the_other_is_told(folder: Path) -> None:
    servers = [EmbeddedPostgres(folder), EmbeddedPostgres(folder)]

    def start(server: EmbeddedPostgres) -> str:
        try:
            return server.start("the other one")
        except EmbeddedError as error:
            return str(error)

    try:
        with ThreadPoolExecutor() as pool:
            told = list(pool.map(start, servers))
    finally:
        for server in servers:
            server.stop()
    assert sorted("is in use by" in each for each in told) == [False, True]
    assert sorted(each.startswith("host=") for each in told) == [False, True]


@as_root
def test_a_folder_on_a_disk_that_is_read_only_is_named_and_left_as_it_was(folder: Path) -> None:
    subprocess.run(["mount", "--bind", folder, folder], capture_output=True, check=False)
    mount = ["mount", "-o", "remount,bind,ro", folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        with pytest.raises(EmbeddedError, match="Read-only file system") as refused:
            EmbeddedPostgres(folder).start()
        assert "\n" not in str(refused.value)
    finally:
        subprocess.run(["umount", folder], check=True)
    with EmbeddedPostgres(folder) as server:
        server.ensure_running()


@as_root
def test_a_stranger_who_took_the_name_of_the_socket_folder_blocks_no_start(folder: Path) -> None:
    far = folder.parent / ("far/" * 20) / "away"
    far.parent.mkdir(parents=True)
    for step in (*far.parents, far)[:20]:
        step.chmod(0o755)
    folder.rename(far)
    taken = Path(tempfile.gettempdir(), f"ledger-{digest(far)}")
    taken.mkdir()
    try:
        os.chown(taken, pwd.getpwnam(STRANGER).pw_uid, -1)
        with EmbeddedPostgres(far) as server:
            sockets = Path(str(conninfo_to_dict(server.dsn_of_another())["host"]))
            assert sockets.name.startswith(f"{taken.name}-")
        assert not sockets.exists()
    finally:
        taken.rmdir()
