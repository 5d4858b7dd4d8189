"""Statements that are prepared once on a connection and run by their name, with parameters of known types.

psycopg looks up the type of every parameter of every execution, makes a cursor and keeps the result: for a commit of
one fill that took as long as the decision.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import psycopg
from psycopg.errors import error_from_result
from psycopg.generators import execute
from psycopg.pq import ExecStatus, Format

Value: TypeAlias = str | bytes | int | None

_PARAMETER: Final = re.compile(rb"%b(?:::(\w+))?")
_OIDS: Final = {b"text": 25, b"bytea": 17, b"int8": 20}  # fixed numbers of PostgreSQL; without a cast it is an int8
_INT8: Final = struct.Struct("!q")


class Prepared:
    """The statements of one connection, of which each execution is one message and one answer."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._names: dict[bytes, bytes] = {}

    def run(self, statement: bytes, values: Sequence[Value]) -> None:
        """Run a statement, whose parameters are %b, with a cast to text, bytea or int8 unless they are numbers.

        Raises psycopg.Error, as a cursor does.
        """
        name = self._names.get(statement) or self._prepare(statement)
        self._connection.pgconn.send_query_prepared(
            name, list(map(_sent, values)), param_formats=[Format.BINARY] * len(values), result_format=Format.BINARY
        )
        self._finish()

    def _prepare(self, statement: bytes) -> bytes:
        oids = [_OIDS[found[1] or b"int8"] for found in _PARAMETER.finditer(statement)]
        first, *rest = statement.split(b"%b")
        text = b"".join((first, *(b"$%d%b" % (number, part) for number, part in enumerate(rest, 1))))
        name = b"ledger_%d" % len(self._names)
        self._connection.pgconn.send_prepare(name, text, param_types=oids)
        self._finish()
        self._names[statement] = name
        return name

    def _finish(self) -> None:
        with self._connection.lock:
            results = self._connection.wait(execute(self._connection.pgconn))
        for result in results:
            if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
                raise error_from_result(result, encoding=self._connection.info.encoding)


def are_values(parameters: Sequence[Any]) -> bool:
    """Return True if no parameter is an array."""
    return list not in map(type, parameters)


def _sent(value: Value) -> bytes | None:
    """Return a value as it is sent, in binary."""
    if isinstance(value, int):
        return _INT8.pack(value)
    return value.encode() if isinstance(value, str) else value
