"""The dictionaries in a log's own database: its owner puts them there, and each start looks whether they are whole."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from psycopg import Cursor
from psycopg.sql import SQL, Identifier

from ledger.store.codec.compression import SHA256S, dictionary, learn
from ledger.store.postgres.migrate import DICTIONARIES, MigrationError, is_there

_STORED: Final = "SELECT version, sha256, content FROM {} ORDER BY version"
_PUT: Final = (
    "INSERT INTO {} VALUES (%s, %s, %s)"
    " ON CONFLICT (version) DO UPDATE SET (sha256, content) = (excluded.sha256, excluded.content)"
)


def faulty_dictionaries(cursor: Cursor[tuple[Any, ...]], schema: str) -> list[int]:
    """Return those dictionaries of this release that a log lacks, or has damaged; its owner can put them back.

    Others, of a release with dictionaries that this one has not, are learned. Raises MigrationError where one of those
    is damaged. A log of a release without dictionaries lacks none.
    """
    if not is_there(cursor, schema, DICTIONARIES):
        return []
    whole = set()
    for version, sha256, content in cursor.execute(SQL(_STORED).format(Identifier(schema, DICTIONARIES))).fetchall():
        found = hashlib.sha256(content).digest()
        if found == sha256 == bytes.fromhex(SHA256S.get(version, found.hex())):
            whole.add(version)
            learn(version, bytes(content))
        elif version not in SHA256S:
            raise MigrationError(
                f"dictionary {version} of the schema {schema} is damaged, and this release has no other copy: restore"
                f" the table {DICTIONARIES} from a backup, or use the release that made it"
            )
    return [version for version in SHA256S if version not in whole]


def dictionaries() -> list[tuple[int, bytes, bytes]]:
    """Return the rows of this release's dictionaries: version, SHA-256, content."""
    contents = [(version, dictionary(version)) for version in SHA256S]
    return [(version, hashlib.sha256(content).digest(), content) for version, content in contents]


def put_dictionaries(cursor: Cursor[tuple[Any, ...]], schema: str) -> list[int]:
    """Put in what `faulty_dictionaries` finds; return which. It is done by the owner of a schema, who says so first."""
    versions = faulty_dictionaries(cursor, schema)
    for row in dictionaries() if versions else ():
        cursor.execute(SQL(_PUT).format(Identifier(schema, DICTIONARIES)), row)
    return versions


def dictionary_name(version: int) -> str:
    """Return how a dictionary is named to people."""
    return f"dictionary {version}"
