"""A version of a programme moves rows of accounts only where it says something that they depend on."""

from __future__ import annotations

from decimal import Decimal
from hashlib import sha256
from random import Random
from typing import Any

import pytest

from ledger.domain import commands
from ledger.domain.events import Envelope, ProgrammePublished, Recorded
from ledger.domain.instants import DAY_NS
from ledger.domain.state.rulebook import Rulebook, evolve_rulebook
from ledger.domain.streams import programme_stream
from ledger.programmes import packaged, parse
from projections.tables import tables as module
from projections.tables.rules_of_rows import rules_of_rows
from projections.tables.tables import Tables
from tests.domain.worked import fills
from tests.projections.tables.test_tables import (
    SEED,
    NaiveAccount,
    NaiveTrade,
    World,
    accepted,
    advance,
    evaluation,
    head,
    live,
    world,  # noqa: F401
)
from tests.write_side import NOON_NS, record

RATES = ('"25%"', '"20%"')
RESOLUTION = ('"highest_active"', '"latest_evaluation_wins"')
NAME = "bitmart-api-vip"


def version(name: str, *changes: tuple[str, str]) -> str:
    """Return the packaged programme as another version of it, changed."""
    text = packaged().replace('version = "3.0"', f'version = "{name}"')
    for was, now in changes:
        assert was in text
        text = text.replace(was, now)
    return text


def test_versions_that_differ_in_rates_alone_are_one_line() -> None:
    book = Rulebook(parse)
    for number, content in enumerate((packaged(), version("3.1", RATES), version("3.2", RESOLUTION)), 1):
        event = ProgrammePublished(NAME, f"3.{number - 1}", number * DAY_NS, content, b"")
        book = evolve_rulebook(book, Recorded(number, programme_stream(NAME), number, Envelope(0, 0, 0), event))
    (lines,) = rules_of_rows(book).values()
    assert [from_ns for from_ns, _ in lines] == [DAY_NS, 3 * DAY_NS]


@pytest.fixture
def rows(world: World) -> World:  # noqa: F811
    """Twelve accounts with random lives, and one with two evaluations in effect; tables that have all of them."""
    for number in range(12):
        live(world, Random(SEED + number), f"account{number:02}")
    twice, random = world.naive.setdefault("twice", NaiveAccount()), Random(SEED)
    for days, quantity in ((40, "5000000"), (12, ""), (10, "400000"), (1, "")):
        at_ns = NOON_NS - days * DAY_NS
        if quantity:
            sold = {"account_id": "twice", "exec_id": f"x{days}", "transact_time_ns": at_ns, "quantity": quantity}
            world.writing.step(record(fills(sold)))
            twice.trades.append(NaiveTrade(at_ns, Decimal(quantity), False, Decimal(0), head(world.writing)))
        else:
            evaluation(world.writing, random, "twice", twice, at_ns, "")
    advance(world, Tables(world.writing.log, world.writing.config.schema), Random(SEED))
    return world


def publish(world: World, content: str) -> None:  # noqa: F811
    parsed, digest = parse(content), sha256(content.encode()).digest()
    assert accepted(world.writing, commands.PublishProgramme(parsed, content, digest, NOON_NS))


def intervals(world: World, columns: str = "*") -> list[Any]:  # noqa: F811
    found: list[Any] = world.one(f"SELECT {columns} FROM READ.vip_intervals ORDER BY account_id, valid_from_ns")
    return found


@pytest.mark.parametrize("is_new", [True, False], ids=["after a start", "as it goes"])
def test_a_version_with_other_rates_moves_no_row(rows: World, is_new: bool) -> None:
    tables = Tables(rows.writing.log, rows.writing.config.schema)
    if not is_new:
        live(rows, Random(SEED), "another")
        advance(rows, tables, Random(SEED))
    before = intervals(rows, "account_id, valid_from_ns, xmin::text")
    publish(rows, version("3.1", RATES))
    advance(rows, tables, Random(SEED))
    assert before
    assert intervals(rows, "account_id, valid_from_ns, xmin::text") == before


def test_a_version_with_another_way_to_choose_grants_moves_the_rows_of_all_accounts(
    rows: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ACCOUNTS_AT_ONCE", 5)
    before = intervals(rows)
    publish(rows, version("3.1", RESOLUTION))
    advance(rows, Tables(rows.writing.log, rows.writing.config.schema), Random(SEED))
    found = intervals(rows)
    assert found != before
    rows.connection.execute(f"DROP SCHEMA {module.read_schema(rows.writing.config.schema)} CASCADE")  # type: ignore[arg-type]
    module.create_tables(rows.connection, rows.writing.config.schema)
    at_once = Tables(rows.writing.log, rows.writing.config.schema)
    assert at_once.advance(rows.connection, 0, rows.writing.log.head().position)
    assert intervals(rows) == found
