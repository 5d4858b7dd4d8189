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
from projections.tables.rules_of_rows import Moved, moved
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
TURNED = ('"VIP1", "VIP2", "VIP3"', '"VIP3", "VIP2", "VIP1"')
SIXTH = ('"VIP5"]', '"VIP5", "VIP6"]')
DEADLINE = ("business_days = 10", "business_days = 11")
FOURTH_GONE = (
    (', "VIP4"', ""),
    (', VIP4 = "5000000"', ""),
    ('VIP4 = ["support_24_7", "key_account_manager"]', ""),
    (packaged()[packaged().index("[rates.VIP4]") : packaged().index("[rates.VIP5]")], ""),
)
NAME = "bitmart-api-vip"


def version(name: str, *changes: tuple[str, str]) -> str:
    """Return the packaged programme as another version of it, changed."""
    text = packaged().replace('version = "3.0"', f'version = "{name}"')
    for was, now in changes:
        assert was in text
        text = text.replace(was, now)
    return text


def book_of(*contents: str) -> Rulebook:
    """Return the rules after versions of the packaged programme, from the first, the second, the third day on."""
    book = Rulebook(parse)
    for number, content in enumerate(contents, 1):
        event = ProgrammePublished(NAME, f"3.{number - 1}", number * DAY_NS, content, b"")
        book = evolve_rulebook(book, Recorded(number, programme_stream(NAME), number, Envelope(0, 0, 0), event))
    return book


@pytest.mark.parametrize(
    ("changes", "moves"),
    [
        ((RATES,), {}),
        ((SIXTH,), {}),
        ((TURNED,), {"turned": {"VIP1", "VIP2", "VIP3"}}),
        (FOURTH_GONE, {"gone": {"VIP4"}}),
        ((RESOLUTION,), {"chosen": True}),
        ((RESOLUTION, *FOURTH_GONE), {"chosen": True, "gone": {"VIP4"}}),
        ((DEADLINE,), {"applied": True}),
    ],
    ids=[
        "other rates",
        "one more tier",
        "tiers that change places",
        "a tier that goes",
        "another way to choose",
        "both",
        "another deadline",
    ],
)
def test_a_version_moves_those_whom_it_may_give_other_rows(
    changes: tuple[tuple[str, str], ...], moves: dict[str, Any]
) -> None:
    was, now = book_of(packaged()), book_of(packaged(), version("3.1", *changes))
    expected = [Moved(NAME, 2 * DAY_NS)._replace(**moves)] if moves else []
    assert moved(was, now, lambda _: parse(packaged()).tiers) == expected


def test_a_tier_that_comes_again_moves_everybody() -> None:
    contents = [packaged(), version("3.1", *FOURTH_GONE), version("3.2")]
    found = moved(book_of(*contents[:2]), book_of(*contents), lambda _: parse(packaged()).tiers)
    assert found == [Moved(NAME, 3 * DAY_NS, everybody=True)]


def test_a_new_programme_moves_nobody_and_one_that_holds_from_earlier_on_everybody() -> None:
    none, one = Rulebook(parse), book_of(packaged())
    assert moved(none, one, lambda _: ()) == []
    event = ProgrammePublished(NAME, "3.1", 0, version("3.1"), b"")
    earlier = evolve_rulebook(one, Recorded(2, programme_stream(NAME), 2, Envelope(0, 0, 0), event))
    assert moved(one, earlier, lambda _: ()) == [Moved(NAME, 0, everybody=True)]


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


@pytest.mark.parametrize(
    "changes",
    [[(RESOLUTION,)], [(TURNED,)], [FOURTH_GONE], [FOURTH_GONE, ()], [(TURNED,), (TURNED, RESOLUTION)]],
    ids=["another way to choose", "tiers that change places", "a tier that goes", "and comes again", "both"],
)
def test_rows_that_a_version_moves_are_those_of_tables_made_at_once(
    rows: World, changes: list[tuple[tuple[str, str], ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ACCOUNTS_AT_ONCE", 5)
    before, tables = intervals(rows), Tables(rows.writing.log, rows.writing.config.schema)
    for number, each in enumerate(changes, 1):
        publish(rows, version(f"3.{number}", *each))
        advance(rows, tables, Random(SEED))
    found = intervals(rows)
    assert (found != before) == (changes[-1] != ())
    rows.connection.execute(f"DROP SCHEMA {module.read_schema(rows.writing.config.schema)} CASCADE")  # type: ignore[arg-type]
    module.create_tables(rows.connection, rows.writing.config.schema)
    at_once = Tables(rows.writing.log, rows.writing.config.schema)
    assert at_once.advance(rows.connection, 0, rows.writing.log.head().position)
    assert intervals(rows) == found
