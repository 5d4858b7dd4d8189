"""The release that runs, beside others."""

from __future__ import annotations

from importlib.metadata import version

from packaging.version import InvalidVersion, Version


def is_newer(release: str) -> bool:
    """Return True if a release is newer than the one that runs: 0.3.0 than 0.3.0rc1; False: it is none."""
    try:
        return Version(release) > Version(version("fee-ledger"))
    except InvalidVersion:
        return False
