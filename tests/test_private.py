"""Files and folders of the ledger's own are closed to others, whatever the umask, and no link leads out of them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger import private


@pytest.fixture(autouse=True, params=[0, 0o022, 0o077, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test runs under each of them."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_made_is_closed(tmp_path: Path) -> None:
    private.write(tmp_path / "file", "ü")
    private.make_folder(tmp_path / "folder")
    assert (mode(tmp_path / "file"), mode(tmp_path / "folder")) == (0o600, 0o700)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "ü"


def test_what_was_open_is_closed_and_keeps_what_is_in_it(tmp_path: Path) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("a")
    file.chmod(0o666)
    folder.mkdir()
    folder.chmod(0o777)
    with private.open_file(file, "a") as more:
        more.write("b")
    private.make_folder(folder)
    assert (mode(file), mode(folder), file.read_text()) == (0o600, 0o700, "ab")


def test_no_link_is_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o755)
    (tmp_path / "link").symlink_to(elsewhere)
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        private.make_folder(tmp_path / "link")
    (tmp_path / "empty").symlink_to(tmp_path / "nothing")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        private.write(tmp_path / "empty", "a")
    assert mode(elsewhere) == 0o755
    assert not (tmp_path / "nothing").exists()


def test_a_device_keeps_its_mode() -> None:
    before = mode(Path("/dev/null"))
    private.write(Path("/dev/null"), "a")
    assert mode(Path("/dev/null")) == before
