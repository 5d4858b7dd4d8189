"""The one statement that stores a commit: it has a step for each kind of row that the commit has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from ledger.domain.events import Recorded, SourceAdvanced
from ledger.domain.streams import subject_of
from ledger.store.postgres.migrate import ERASABLE, EVENTS, SNAPSHOTS, TRACKING, channel_of
from ledger.store.rows import COLUMNS, TYPES, ErasableRow, Row

_FEW: Final = 4  # rows that are written out one by one: arrays cost both sides more
_MANY: Final = -1


class _Part(NamedTuple):
    """The rows of a commit that go into one table."""

    name: str
    insert: Composable
    types: Sequence[str]
    rest: str = ""


# A source that had come that far before is not returned: then the position is null, which is refused, and all with it.
_ADVANCED: Final = (
    " ON CONFLICT (application_name) DO UPDATE SET notification_id = excluded.notification_id"
    " WHERE known.notification_id < excluded.notification_id RETURNING true"
)
_LATER: Final = (
    " ON CONFLICT (account_id) DO UPDATE SET (version, encoding, state, sha256) ="
    " (excluded.version, excluded.encoding, excluded.state, excluded.sha256)"
)
_STORED: Final = (
    "stored AS (INSERT INTO {} (last_position, first_position, recorded_time_ns) SELECT {}, %b, %b FROM turn)"
)
_ALL_ADVANCED: Final = "CASE (SELECT count(*) FROM source) WHEN %b THEN %b END"


class CommitStatement:
    """Makes the statements of one schema.

    `turn` is asked before anything is written: who waits for it holds nothing that others need.
    """

    def __init__(self, schema: str, turn: Composable) -> None:
        self._turn = turn
        self._commits = Identifier(schema, "commits")
        self._notify = SQL("SELECT pg_notify({}, '')").format(Literal(channel_of(schema)))
        events = SQL("{} ({})").format(Identifier(schema, EVENTS), SQL(", ").join(map(Identifier, COLUMNS)))
        self._parts = (
            _Part("event", events, TYPES),
            _Part("request", Identifier(schema, "requests"), ("text", "bytea", "int8")),
            _Part("erasable", Identifier(schema, ERASABLE), ("int8", "bytea", "bytea")),
            _Part("text", Identifier(schema, "erasable_text"), ("bytea", "bytea", "text")),
            _Part("snapshot", Identifier(schema, SNAPSHOTS), ("text", "int8", "int8", "bytea", "bytea"), _LATER),
            _Part("source", SQL("{} AS known").format(Identifier(schema, TRACKING)), ("text", "int8"), _ADVANCED),
        )
        self._made: dict[tuple[int, ...], bytes] = {}  # putting one together takes as long as all its parameters

    def of(
        self,
        rows: Sequence[Row],
        erasable: Sequence[ErasableRow],
        requests: Sequence[tuple[Any, ...]],
        texts: Sequence[tuple[Any, ...]],
        snapshots: Sequence[tuple[Any, ...]],
        decisions: Sequence[Recorded],
        positions_and_time: tuple[int, int, int],
    ) -> tuple[bytes, list[Any]]:
        """Return the statement and its parameters, at the end (last position, first position, recorded time).

        It is a transaction of its own, or part of one that has begun.
        """
        sources = [
            (subject_of(recorded.stream), recorded.event.last_sequence)
            for recorded in decisions
            if isinstance(recorded.event, SourceAdvanced) and recorded.event.has_numbers
        ]
        events = [row.columns for row in rows]
        parts: list[Sequence[tuple[Any, ...]]] = [events, requests, erasable, texts, snapshots, sources]
        shape = tuple([len(part) if len(part) <= _FEW else _MANY for part in parts])
        statement = self._made.get(shape)
        if statement is None:
            statement = self._made[shape] = self._make(shape)
        parameters: list[Any] = []
        for count, part in zip(shape, parts, strict=True):
            if count == _MANY:
                parameters += map(list, zip(*part, strict=True))
            else:
                for row in part:
                    parameters += row
        if sources:
            parameters.append(len(sources))
        return statement, [*parameters, *positions_and_time]

    def _make(self, shape: Sequence[int]) -> bytes:
        steps = [SQL("turn AS MATERIALIZED ({})").format(self._turn)]
        steps += [self._step(part, count) for part, count in zip(self._parts, shape, strict=True) if count]
        steps.append(SQL(_STORED).format(self._commits, SQL(_ALL_ADVANCED if shape[-1] else "%b::int8")))
        return SQL("WITH {} {}").format(SQL(", ").join(steps), self._notify).as_bytes()

    @staticmethod
    def _step(part: _Part, count: int) -> Composed:
        if count == _MANY:
            rows = "unnest({})".format(", ".join(f"%b::{name}[]" for name in part.types))
        else:
            row = "({})".format(", ".join(f"%b::{name}" for name in part.types))
            rows = "(VALUES {})".format(", ".join([row] * count))
        text = "{} AS (INSERT INTO {} SELECT new.* FROM turn, {} AS new{})"
        return SQL(text).format(SQL(part.name), part.insert, SQL(rows), SQL(part.rest))
