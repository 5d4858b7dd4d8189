"""The rows of a bulk file: what each asks for, as a command of the domain and as a call of the client."""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

from ledger.cli.arguments import time_ns
from ledger.cli.errors import UnusableError
from ledger.client import Client
from ledger.domain import commands
from ledger.domain.commands import StandingCommand
from ledger.wire.fields import ID

ROWS_MAX: Final = 100_000
BYTES_MAX: Final = 64 << 20  # of the file, which is held whole: a request id is of all of it
_TIMES: Final = ("from", "until", "at")
_COMMON: Final = ("command", "account", "ticket", "reason")

Values = Mapping[str, Any]  # by column: times in ns or None, everything else text


class Verb(NamedTuple):
    """A command that a row may ask for. `send` takes the client, the row's values, and who asks and approves."""

    needs: tuple[str, ...]
    takes: tuple[str, ...]
    command: Callable[[Values], StandingCommand]
    send: Callable[..., Any]


def _change_tier(ledger: Client, row: Values, **authority: Any) -> Any:
    return ledger.change_tier(
        row["account"],
        tier=row["tier"],
        valid_from=row["from"],
        valid_until=row["until"],
        programme_id=row["programme"],
        **authority,
    )


VERBS: Final[Mapping[str, Verb]] = {
    "change-tier": Verb(
        ("tier",),
        ("from", "until", "programme"),
        lambda row: commands.ChangeTier(row["account"], row["tier"], row["from"], row["until"], row["programme"]),
        _change_tier,
    ),
    "revoke-tier": Verb(
        ("grant",),
        ("at",),
        lambda row: commands.RevokeTier(row["account"], row["grant"], row["at"]),
        lambda ledger, row, **authority: ledger.revoke_tier(
            row["account"], grant_id=row["grant"], revoke_time=row["at"], **authority
        ),
    ),
    "lift-ban": Verb(
        (),
        ("at",),
        lambda row: commands.LiftBan(row["account"], row["at"]),
        lambda ledger, row, **authority: ledger.lift_ban(row["account"], lift_time=row["at"], **authority),
    ),
    "unflag": Verb(
        (),
        ("at",),
        lambda row: commands.UnflagAccount(row["account"], row["at"]),
        lambda ledger, row, **authority: ledger.unflag_account(row["account"], unflag_time=row["at"], **authority),
    ),
    "approve-match": Verb(
        ("match",),
        ("at",),
        lambda row: commands.ApproveMatch(row["account"], row["match"], row["actor"], row["at"]),
        lambda ledger, row, **authority: ledger.approve_match(
            row["account"], match_id=row["match"], approve_time=row["at"], **authority
        ),
    ),
}
COLUMNS: Final = tuple(
    dict.fromkeys((*_COMMON, *(name for verb in VERBS.values() for name in (*verb.needs, *verb.takes))))
)


@dataclass(frozen=True, slots=True)
class Row:
    """One row, `number` as an editor counts lines. The request id is of file and row: a second run replays."""

    number: int
    request_id: str
    verb: str
    values: Values

    @property
    def account_id(self) -> str:
        """The account that it is about."""
        return str(self.values["account"])

    @property
    def told(self) -> str:
        """Its command, account and what that needs, in short."""
        what = [str(self.values[name]) for name in VERBS[self.verb].needs]
        return " ".join((self.verb, self.values["account"], *what))

    @property
    def command(self) -> StandingCommand:
        """As the domain takes it."""
        return VERBS[self.verb].command(self.values)


def read_rows(path: Path, actor: str) -> list[Row]:
    """Return every row of a CSV file. Raises UnusableError for the first that cannot be sent, and OSError."""
    with path.open("rb") as file:
        content = file.read(BYTES_MAX + 1)
    if len(content) > BYTES_MAX:
        raise UnusableError(f"{path}: more than {BYTES_MAX >> 20} MiB: split the file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnusableError(f"{path} is not text in UTF-8") from error
    name = f"bulk-{sha256(content).hexdigest()[:24]}"
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        unknown = sorted(set(reader.fieldnames or ()) - set(COLUMNS))
        missing = sorted({"command", "account"} - set(reader.fieldnames or ()))
        if unknown or missing:
            what = f"no column {missing[0]}" if missing else f"an unknown column {unknown[0]!a}"
            raise UnusableError(f"{path}:1: {what}: the columns are {', '.join(COLUMNS)}")
        rows = [_row(path, reader.line_num, name, cells, actor) for cells in reader]
    except csv.Error as error:
        raise UnusableError(f"{path}:{reader.line_num}: {error}") from error
    if not rows:
        raise UnusableError(f"{path}: no rows")
    if len(rows) > ROWS_MAX:
        raise UnusableError(f"{path}: {len(rows):,} rows, at most {ROWS_MAX:,}: split the file")
    return rows


def _row(path: Path, number: int, name: str, cells: Mapping[str | None, Any], actor: str) -> Row:
    where = f"{path}:{number}"
    if None in cells or None in cells.values():
        raise UnusableError(f"{where}: not as many cells as the header has columns")
    given = {str(column): value.strip() for column, value in cells.items()}
    verb = VERBS.get(given["command"])
    if verb is None:
        raise UnusableError(f"{where}: {given['command']!a} is none of {', '.join(VERBS)}")
    for column in ("account", *verb.needs):
        if not ID.fullmatch(given.get(column, "")):
            raise UnusableError(f"{where}: {given['command']} needs {column}, matching {ID.pattern}")
    for column, value in given.items():
        if value and column not in (*_COMMON, *verb.needs, *verb.takes):
            raise UnusableError(f"{where}: {given['command']} takes no {column}")
    try:
        times = {column: time_ns(given[column]) if given.get(column) else None for column in _TIMES}
    except argparse.ArgumentTypeError as error:
        raise UnusableError(f"{where}: {error}") from error
    values = {**dict.fromkeys(COLUMNS, ""), **given, **times, "actor": actor}
    return Row(number, f"{name}-{number}", given["command"], values)
