"""Releases are compared as pip compares them."""

from __future__ import annotations

import pytest

from ledger import release


@pytest.mark.parametrize(
    ("here", "other", "newer"),
    [
        ("0.3.0", "0.3.1", True),
        ("0.3.0", "0.10.0", True),
        ("0.3.0rc1", "0.3.0", True),
        ("0.3.0", "0.3.0rc1", False),
        ("0.3.0", "0.3.0", False),
        ("0.3.0", "of mine", False),
    ],
)
def test_a_release_is_newer(monkeypatch: pytest.MonkeyPatch, here: str, other: str, newer: bool) -> None:
    monkeypatch.setattr(release, "version", lambda _: here)
    assert release.is_newer(other) is newer
