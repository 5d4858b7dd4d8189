"""The contract keeps what a release has promised: `make lint` notices whatever would break a client of it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.kept.kept import FOLDER, releases
from tests.kept.make import BUF, CONTRACT, keep_contract

ROOT = Path(__file__).parents[2]


def breaches(folder: Path, image: Path) -> list[str]:
    """Return what buf says of the .proto files in `folder` beside those of an image, a line for each breach."""
    done = subprocess.run(
        [BUF, "breaking", "--against", image], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """A folder with the contract of today, to be changed."""
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    return tmp_path


@pytest.mark.parametrize("release", releases())
def test_the_contract_of_today_breaks_no_release(release: str) -> None:
    assert breaches(ROOT, FOLDER / release / CONTRACT) == []


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("command_service.proto", r"  rpc LiftBan\(.*?;\n", ""),
        ("command_service.proto", r"(message BanAccountRequest \{.*?account_id = )3", r"\g<1>99"),
        ("command_service.proto", r"(message BanAccountRequest \{.*?)string account_id", r"\1bytes account_id"),
        ("fill.proto", r"SIDE_SELL = 2", "SIDE_SELL = 3"),
        ("events.proto", r"(message TierRevoked \{.*?)grant_id", r"\1grant_name"),
    ],
    ids=["an RPC that is gone", "another number", "another type", "another value", "another name"],
)
def test_a_change_that_breaks_a_client_is_noticed(changed: Path, file: str, old: str, new: str) -> None:
    path = changed / "proto/ledger/v1" / file
    text, count = re.subn(old, new, path.read_text(), count=1, flags=re.DOTALL)
    assert count == 1
    path.write_text(text)
    assert breaches(changed, FOLDER / releases()[0] / CONTRACT)


def test_a_field_more_breaks_nobody(changed: Path) -> None:
    path = changed / "proto/ledger/v1/events.proto"
    path.write_text(path.read_text().replace("message TierRevoked {", "message TierRevoked {\n  string toy = 999;", 1))
    assert breaches(changed, FOLDER / releases()[0] / CONTRACT) == []


def test_the_contract_of_the_next_release_is_kept_as_this_one_was(tmp_path: Path) -> None:
    keep_contract(tmp_path / CONTRACT)
    assert breaches(ROOT, tmp_path / CONTRACT) == []
