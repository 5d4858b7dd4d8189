"""What is written beside its place is on the disk before it takes the place, and its name is there after."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ledger.whole import put_in_place


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what is asked of the operating system, in order."""
    made: list[str] = []
    fsync, replace, sync = os.fsync, os.replace, os.sync

    def noted_fsync(descriptor: int) -> None:
        made.append(f"fsync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).name}")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", lambda *paths: (made.append("replace"), replace(*paths)))
    monkeypatch.setattr(os, "sync", lambda: (made.append("sync"), sync()))
    return made


def test_a_file_replaces_another_once_it_is_on_the_disk(tmp_path: Path, calls: list[str]) -> None:
    place, new = tmp_path / "found", tmp_path / "found.new"
    place.write_text("old")
    new.write_text("new")
    put_in_place(new, place)
    assert place.read_text() == "new"
    assert not new.exists()
    assert calls == ["fsync found.new", "replace", f"fsync {tmp_path.name}"]


def test_a_folder_goes_to_its_place_with_all_that_is_in_it(tmp_path: Path, calls: list[str]) -> None:
    new = tmp_path / "data.new"
    new.mkdir()
    (new / "file").write_text("content")
    put_in_place(new, tmp_path / "data")
    assert (tmp_path / "data" / "file").read_text() == "content"
    assert calls == ["sync", "replace", f"fsync {tmp_path.name}"]
