"""Owners that fills name, of accounts that did not have them: found over columns, for few fills say anything new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from ledger.arrays.columns import Ints, Texts, text_column, texts, unpacked
from ledger.domain.events import VolumeRecorded
from ledger.domain.state.account import AccountState
from ledger.domain.state.owners import NAMED_MAX, Owned, newly_named
from ledger.fills.fill_runs import FillRuns

Owners: TypeAlias = Mapping[str, AccountState] | Mapping[str, Owned]


class NamedOwner(NamedTuple):
    """An owner that fills name for an account for the first time, and when the first of these fills traded."""

    account_id: str
    owner_id: str
    time_ns: int


def newly_named_owners(runs: FillRuns, accounts: Owners) -> list[NamedOwner]:
    """Return the owners that fill runs name and that were not known, by account, in the order of the lines.

    `accounts` are as before these runs; it may leave out those that are their own owner and whose fills name no other.
    """
    if "owner_id" not in runs.columns:
        return []
    owners = text_column(runs.columns["owner_id"].data, runs.starts[-1])
    run = np.repeat(np.arange(len(runs)), np.diff(runs.starts))
    names = [account_id for account_id, _ in runs.keys]
    lines = _first_of_each_stretch(owners, run, np.flatnonzero(unknown_owners(owners, run, names, accounts)))
    if not len(lines):
        return []
    offsets = unpacked(runs.columns["time_offset_ns"].data, runs.starts[-1])
    times = runs.time_min_ns[run[lines]] + offsets[lines].astype(np.int64)
    said: dict[str, dict[str, int]] = {}
    for at, owner, time_ns in zip(run[lines].tolist(), owners[lines].tolist(), times.tolist(), strict=True):
        said.setdefault(names[at], {}).setdefault(owner.decode(), time_ns)
    owned = ((accounts.get(name) or Owned(name, name, ()), of_account) for name, of_account in said.items())
    return [
        NamedOwner(account.account_id, *new)
        for account, of_account in owned
        for new in newly_named(account, of_account)
    ]


def owners_said(run: VolumeRecorded) -> dict[str, int]:
    """Return the owners that a fill run names, in the order of its lines: when the first line of each traded, in ns.

    Raises ValueError where its columns are not as the ledger writes them.
    """
    if not run.columns.owner_id:
        return {}
    first: dict[bytes, int] = {}
    for line, owner in enumerate(text_column(run.columns.owner_id, len(run)).tolist()):
        first.setdefault(owner, line)
    offsets = unpacked(run.columns.time_offset_ns, len(run))
    return {owner.decode(): run.time_min_ns + int(offsets[line]) for owner, line in first.items() if owner}


def unknown_owners(owners: Texts, run: Ints, names: Sequence[str], accounts: Owners) -> Ints:
    """Return a boolean array: True where a line says an owner that its account does not have, and may still get.

    `names` are the accounts of the runs. Most have no state, or one without owners that fills name.
    """
    held = [accounts.get(name) for name in names]
    unknown: Ints = owners != b""
    unknown &= (
        owners != texts([state.owner_id if state else name for name, state in zip(names, held, strict=True)])[run]
    )
    named = [state.named_owners if state else () for state in held]
    for place in range(max(map(len, named))):
        unknown &= owners != texts([each[place] if place < len(each) else "" for each in named])[run]
        if place + 1 == NAMED_MAX:
            unknown &= ~np.array([len(each) >= NAMED_MAX for each in named])[run]
    return unknown


def _first_of_each_stretch(owners: Texts, run: Ints, lines: Ints) -> Ints:
    """Return the lines that name another owner than the line before them, or are of another run: mostly one a run."""
    differs = np.ones(len(lines), dtype=bool)
    differs[1:] = (owners[lines][1:] != owners[lines][:-1]) | (run[lines][1:] != run[lines][:-1])
    return lines[differs]
