"""What is withheld, found by the tables wherever they are, beside the whole log read from the first event on."""

from __future__ import annotations

import psycopg

from ledger.domain import commands
from ledger.domain.instants import DAY_NS
from projections.answers.withheld import _KINDS, _waiting, withheld
from projections.tables.tables import Tables, create_tables
from tests.domain.worked import fills
from tests.projections.rich import decide
from tests.write_side import NOON_NS, Writing, record


def test_tables_at_any_position_find_what_the_whole_log_says(writing: Writing, dsn: str) -> None:
    log, schema = writing.log, writing.config.schema
    ends = live(writing)
    with psycopg.connect(dsn, autocommit=True) as connection:
        create_tables(connection, schema)
        tables = Tables(log, schema)
        compared = waits = 0
        for at, reached in enumerate(ends):
            for known in ends:
                facts = log.account_events(_KINDS, known)
                for as_of_ns in (NOON_NS - 3 * DAY_NS, NOON_NS - DAY_NS, NOON_NS + DAY_NS):
                    expected = _waiting(facts, as_of_ns)
                    assert list(withheld(log, schema, as_of_ns, known)) == expected, (at, known, as_of_ns)
                    for one in expected:
                        after = one.recorded.position
                        later = [each for each in expected if each.recorded.position > after]
                        assert list(withheld(log, schema, as_of_ns, known, after=after)) == later
                    compared, waits = compared + 1, waits + len(expected)
            assert tables.advance(connection, tables.position(connection), reached)
    assert waits > compared


def live(writing: Writing) -> list[int]:
    """Facts of two accounts that come after fills, those of one settled; returns the ends of commits."""
    ends = []
    for name in ("alice", "bob"):
        rows = [
            {"account_id": name, "exec_id": f"{name}-{n}", "transact_time_ns": NOON_NS - 4 * DAY_NS} for n in range(2)
        ]
        writing.step(record(fills(*rows)))
    for name in ("alice", "bob"):
        for command in (
            commands.ChangeTier(name, "VIP1", NOON_NS - 5 * DAY_NS, None),
            commands.RevokeTier(name, "g1", NOON_NS - 5 * DAY_NS + 1),
            commands.FlagAccount(name, "FAKE", NOON_NS - 5 * DAY_NS, b""),
            commands.ChangeTier(name, "VIP2", NOON_NS - 5 * DAY_NS, None),  # withheld while the flag runs
        ):
            decide(writing, command)
            ends.append(writing.log.head().position)
    first, *_ = withheld(writing.log, writing.config.schema, NOON_NS + DAY_NS, ends[-1])
    for command in (
        commands.UnflagAccount("alice", NOON_NS - DAY_NS),
        commands.ReleaseFact("alice", first.event.fact_position),
    ):
        decide(writing, command)
        ends.append(writing.log.head().position)
    return ends
