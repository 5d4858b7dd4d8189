"""One default place for data, and the places of release 0.1.0 named, not forgotten."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ledger.store.postgres import folders
from ledger.store.postgres.folders import default_config, default_folder, digest, earlier_folder


@pytest.fixture
def as_user(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As any user but root."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    return monkeypatch


def test_the_default_is_the_same_from_every_folder(as_user: pytest.MonkeyPatch, tmp_path: Path) -> None:
    as_user.setenv("XDG_DATA_HOME", "/srv/share")
    for place in (tmp_path, Path("/")):
        as_user.chdir(place)
        assert default_folder() == Path("/srv/share/fee-ledger")


@pytest.mark.parametrize("said", ["", "not/absolute"])
def test_without_a_usable_xdg_data_home_it_lies_in_the_home_of_the_user(as_user: pytest.MonkeyPatch, said: str) -> None:
    as_user.setenv("XDG_DATA_HOME", said)
    as_user.setenv("HOME", "/home/ops")
    assert default_folder() == Path("/home/ops/.local/share/fee-ledger")


def test_knobs_lie_in_one_place_for_each_user(as_user: pytest.MonkeyPatch) -> None:
    as_user.setenv("HOME", "/home/ops")
    for said, place in (("", "/home/ops/.config"), ("not/absolute", "/home/ops/.config"), ("/srv/etc", "/srv/etc")):
        as_user.setenv("XDG_CONFIG_HOME", said)
        assert default_config() == Path(place, "fee-ledger", "config.toml")
    as_user.setattr(os, "geteuid", lambda: 0)
    assert default_config() == Path("/etc/fee-ledger/config.toml")


def test_a_user_without_a_home_has_no_place_for_knobs_and_that_is_no_error(as_user: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    as_user.delenv("XDG_CONFIG_HOME", raising=False)
    as_user.setattr(Path, "home", homeless)
    assert default_config() is None


def test_that_of_root_is_where_the_user_of_postgresql_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_folder() == Path("/var/lib/ledger")


def test_a_ledger_in_the_place_of_an_earlier_release_is_named(as_user: pytest.MonkeyPatch, tmp_path: Path) -> None:
    as_user.chdir(tmp_path)
    assert earlier_folder() is None
    (tmp_path / ".ledger" / "data").mkdir(parents=True)
    assert earlier_folder() == tmp_path / ".ledger"


def test_that_of_root_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(folders, "_OF_ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert earlier_folder() is None
    earlier = tmp_path / digest(tmp_path)
    (earlier / "data").mkdir(parents=True)
    assert earlier_folder() == earlier
