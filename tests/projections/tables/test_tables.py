"""The materialised tables, the folds on demand and a naive reckoner say the same about random lives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

import psycopg
import pytest

from ledger.domain import commands
from ledger.domain.decide.evaluation import Assessment, Case, EvaluationRun, assess
from ledger.domain.events import PERIODIC, Envelope, EvaluationStarted, Recorded
from ledger.domain.instants import DAY_NS, day_text
from ledger.domain.money import decimal_text
from ledger.domain.state.account import fold_account
from ledger.domain.streams import account_stream
from ledger.programmes import packaged, parse
from ledger.store import reads
from ledger.store.codec import run_front, totals_read
from ledger.store.log import Log
from ledger.v1.query_service_pb2 import GetVipStateResponse
from ledger.writing.messages import Accepted, EvaluateAccounts
from projections.answers.fee_history import (
    FIRST_PLACE,
    AccountSpan,
    cell_sums,
    day_sums,
    entries_after,
    fee_line,
    fills_now,
    totals,
)
from projections.answers.vip_state import vip_state
from projections.evaluation.plan import EvaluationPlan
from projections.tables.tables import Tables, create_tables, read_schema
from tests.domain.worked import fills
from tests.write_side import NOON_NS, Writing, ask, record

SEED = 20_261_122
TIERS = ("NONE", "VIP1", "VIP2", "VIP3", "VIP4", "VIP5")
BANDS = {"VIP1": 100_000, "VIP2": 500_000, "VIP3": 2_000_000, "VIP4": 5_000_000, "VIP5": 20_000_000}
RATES = {"NONE": 2500, "VIP1": 500, "VIP2": 400, "VIP3": 300, "VIP4": 250, "VIP5": 200}  # taker, class A


@dataclass
class NaiveTrade:
    """A taker's fill in a market of class A, at a price of 0.5, with its fee as it is now."""

    at_ns: int
    quantity: Decimal
    banned: bool
    fee: Decimal
    position: int  # at which it was recorded
    bans: list[tuple[int, bool]] = field(default_factory=list)  # position, whether it is banned from there on

    def banned_at(self, known: int) -> bool:
        """If it was banned, as known at a position."""
        return next((banned for position, banned in reversed(self.bans) if position <= known), self.banned)

    def pays(self, tier: str) -> None:
        """The fee of a tier."""
        self.fee = round(self.quantity * Decimal("0.5") * RATES[tier] / 1_000_000, 8)


@dataclass
class NaiveFact:
    """A decision; `released`: trades recorded before it count by it. One that is `held` waits for the end of a flag."""

    position: int
    what: str
    values: tuple[Any, ...]
    released: bool
    held: bool


@dataclass
class NaiveAccount:
    """What a person would note down about an account: plain lists, looked through from the start each time."""

    grants: list[list[Any]] = field(default_factory=list)  # [tier, from, until, source]
    bans: list[list[int]] = field(default_factory=list)  # [from, until]
    flags: list[list[int]] = field(default_factory=list)  # [from, until]
    trades: list[NaiveTrade] = field(default_factory=list)
    evaluated: set[int] = field(default_factory=set)
    facts: list[NaiveFact] = field(default_factory=list)

    def learns(self, position: int, what: str, *values: Any) -> None:
        """Note a decision; trades of before count by grants, bans and lifts at once, by grants under a flag later."""
        self.take(what, values)
        flagged = self.flagged(NOON_NS)
        held = what == "grant" and flagged
        self.facts.append(NaiveFact(position, what, values, what in ("grant", "ban", "lift") and not held, held))
        for fact in self.facts:
            if what == "unflag" and fact.held and not flagged:
                fact.held, fact.released = False, True
        for trade in self.trades:
            past = NaiveAccount()
            for fact in self.facts:
                past.take(fact.what, fact.values, counts=fact.position <= trade.position or fact.released)
            trade.pays(past.tier(trade.at_ns))
            trade.bans.append((position, past.banned(trade.at_ns)))

    def take(self, what: str, values: tuple[Any, ...], *, counts: bool = True) -> None:
        """Take in a decision; a grant that does not count keeps its place."""
        if what == "grant":
            tier, from_ns, until_ns, source = values
            self.grants.append([tier, from_ns, until_ns if counts else from_ns, source])
        elif not counts:
            return
        elif what == "revoke":
            place, at_ns = values
            self.grants[place][2] = min(at_ns, self.grants[place][2])
        elif what == "ban":
            self.bans.append(list(values))
        elif what == "flag":
            self.flags.append([*values, 2**63 - 1])
        else:
            (at_ns,) = values
            for entry in self.bans if what == "lift" else self.flags:
                if entry[0] <= at_ns < entry[1]:
                    entry[1] = at_ns

    def tier(self, at_ns: int) -> str:
        if self.flagged(at_ns):
            return "NONE"
        tiers = [tier for tier, from_ns, until_ns, _ in self.grants if from_ns <= at_ns < until_ns]
        return max(tiers, key=TIERS.index, default="NONE")

    def flagged(self, at_ns: int) -> bool:
        return any(from_ns <= at_ns < until_ns for from_ns, until_ns in self.flags)

    def volume(self, from_ns: int, until_ns: int, known: int = 2**63) -> Decimal:
        """What counts, of what was known at a position: bans are those known when a fill came."""
        inside = (trade for trade in self.trades if from_ns <= trade.at_ns < until_ns and trade.position <= known)
        counted = (trade for trade in inside if not trade.banned_at(known))
        return sum((trade.quantity for trade in counted), Decimal(0)) * Decimal("0.5")

    def banned(self, at_ns: int) -> bool:
        return any(from_ns <= at_ns < until_ns for from_ns, until_ns in self.bans)


@dataclass
class World:
    """Accounts with random lives, as the ledger recorded them and as the naive reckoner noted them down."""

    writing: Writing
    connection: psycopg.Connection[Any]
    naive: dict[str, NaiveAccount]

    def one(self, text: str, *parameters: Any) -> Any:
        statement = text.replace("READ", read_schema(self.writing.config.schema))
        return self.connection.execute(statement, parameters).fetchall()  # type: ignore[arg-type]


@pytest.fixture
def world(writing: Writing, dsn: str) -> Iterator[World]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        create_tables(connection, writing.config.schema)
        yield World(writing, connection, {})


def live(world: World, random: Random, account_id: str) -> None:
    """A few random decisions and fills of one account, each in the ledger and in the naive notes."""
    naive = world.naive.setdefault(account_id, NaiveAccount())
    for number in range(random.randint(1, 9)):
        at_ns = NOON_NS - random.randrange(60 * DAY_NS)
        step = random.choice((trial, grant, revoke, ban, lift, flag, unflag, *[evaluation] * 3, *[trade] * 6))
        step(world.writing, random, account_id, naive, at_ns, f"{at_ns}-{number}")


def head(writing: Writing) -> int:
    return writing.log.head().position


def accepted(writing: Writing, command: commands.Command) -> bool:
    (answer,) = writing.step(ask(command))
    return isinstance(answer, Accepted)


def trial(writing: Writing, _: Random, account_id: str, naive: NaiveAccount, at_ns: int, __: str) -> None:
    if accepted(writing, commands.StartTrial(account_id, at_ns)):
        assert not naive.flagged(at_ns)
        assert not [tier for tier, from_ns, until_ns, _ in naive.grants if from_ns < until_ns], "none that ever was"
        naive.learns(head(writing), "grant", "VIP3", at_ns, at_ns + 30 * DAY_NS, "TRIAL")


def grant(writing: Writing, random: Random, account_id: str, naive: NaiveAccount, at_ns: int, __: str) -> None:
    tier, until_ns = random.choice(TIERS[1:]), random.choice((None, at_ns + 1 + random.randrange(40 * DAY_NS)))
    assert accepted(writing, commands.ChangeTier(account_id, tier, at_ns, until_ns))
    naive.learns(head(writing), "grant", tier, at_ns, until_ns or 2**63, "MANUAL")


def revoke(writing: Writing, random: Random, account_id: str, naive: NaiveAccount, at_ns: int, __: str) -> None:
    if not naive.grants:
        return
    place = random.randrange(len(naive.grants))
    done = accepted(writing, commands.RevokeTier(account_id, f"g{place + 1}", at_ns))
    assert done == (at_ns < naive.grants[place][2])
    if done:
        naive.learns(head(writing), "revoke", place, at_ns)


def ban(writing: Writing, random: Random, account_id: str, naive: NaiveAccount, at_ns: int, __: str) -> None:
    days = random.randint(1, 7)
    assert accepted(writing, commands.BanAccount(account_id, days, at_ns, "ORDER_SPAM"))
    running = [until_ns for from_ns, until_ns in naive.bans if from_ns <= at_ns < until_ns]
    naive.learns(head(writing), "ban", at_ns, max([at_ns + days * DAY_NS, *running]))


def lift(writing: Writing, _: Random, account_id: str, naive: NaiveAccount, at_ns: int, __: str) -> None:
    done = accepted(writing, commands.LiftBan(account_id, at_ns))
    assert done == naive.banned(at_ns)
    if done:
        naive.learns(head(writing), "lift", at_ns)


def flag(writing: Writing, random: Random, account_id: str, naive: NaiveAccount, at_ns: int, __: str) -> None:
    if accepted(writing, commands.FlagAccount(account_id, random.choice(("FAKE", "ROBOT")), at_ns, b"")):
        naive.learns(head(writing), "flag", at_ns)
    else:
        assert naive.flagged(at_ns)


def unflag(writing: Writing, _: Random, account_id: str, naive: NaiveAccount, at_ns: int, __: str) -> None:
    flagged = naive.flagged(at_ns)
    assert accepted(writing, commands.UnflagAccount(account_id, at_ns)) == flagged
    if flagged:
        naive.learns(head(writing), "unflag", at_ns)


def trade(writing: Writing, random: Random, account_id: str, naive: NaiveAccount, at_ns: int, name: str) -> None:
    quantity = random.randint(1, random.choice((10**12, 10**16)))
    row = {"account_id": account_id, "exec_id": name, "transact_time_ns": at_ns, "quantity": decimal_text(quantity, 8)}
    writing.step(record(fills(row)))
    trade = NaiveTrade(at_ns, Decimal(quantity).scaleb(-8), naive.banned(at_ns), Decimal(0), head(writing))
    trade.pays(naive.tier(at_ns))
    naive.trades.append(trade)


def evaluation(writing: Writing, _: Random, account_id: str, naive: NaiveAccount, at_ns: int, __: str) -> None:
    """At any instant: what was traded since is charged anew where another grant counts now (A31)."""
    known, window = head(writing), (at_ns - 30 * DAY_NS, at_ns)
    days = day_sums(writing.log, AccountSpan(account_id, *window, known))
    cells = {day: {key: cell.notional for key, cell in sums.items()} for day, sums in days.items()}
    run = EvaluationRun(parse(packaged()), PERIODIC, known)
    found = assess(run.programme, Case(account_id, at_ns, window), cells, {})
    assert isinstance(found, Assessment)
    volume = naive.volume(*window)
    assert Decimal(found.volume).scaleb(-36) == volume, account_id
    started = EvaluationStarted(run.programme.programme_id, "3.0", PERIODIC, at_ns, *window, known)
    writing.step(EvaluateAccounts(Recorded(1, "evaluation", 1, Envelope(at_ns, at_ns, 1), started), run, [found]))
    if at_ns in naive.evaluated:
        return
    naive.evaluated.add(at_ns)
    tier = max((name for name, least in BANDS.items() if volume >= least), key=TIERS.index, default="NONE")
    if tier != "NONE":
        naive.learns(head(writing), "grant", tier, at_ns, at_ns + 30 * DAY_NS, "EVALUATION")


def advance(world: World, tables: Tables, random: Random) -> None:
    """Take in the log in stretches of random length."""
    head = world.writing.log.head().position
    while (position := tables.position(world.connection)) < head:
        until = world.writing.log.end_of_commit(min(head, position + random.randint(1, 2_000)))
        tables.advance(world.connection, position, until)


def state_on_demand(world: World, account_id: str, at_ns: int) -> GetVipStateResponse:
    stream = world.writing.log.streams([account_stream(account_id)], 2**63 - 1)
    programme = world.writing.service._states.book.programme("", at_ns)
    return vip_state(fold_account(account_id, stream), programme, at_ns)  # type: ignore[arg-type]


def test_two_thousand_random_lives_are_told_alike_by_tables_folds_and_a_naive_reckoner(world: World) -> None:
    random = Random(SEED)
    tables = Tables(world.writing.log, world.writing.config.schema)
    for number in range(2_000):
        live(world, random, f"account{number:04}")
        if number % 400 == 0:
            advance(world, tables, random)
            live(world, random, f"account{random.randrange(number + 1):04}")
    advance(world, tables, random)
    assert len(list(world.writing.log.adjustments(from_ns=0, as_of_ns=NOON_NS, until=2**63 - 1))) > 40
    for account_id, naive in world.naive.items():
        edges = [at_ns + step for _, *ends, _ in naive.grants for at_ns in ends for step in (-1, 0)]
        edges += [at_ns + step for ends in (*naive.bans, *naive.flags) for at_ns in ends for step in (-1, 0)]
        instants = [NOON_NS, NOON_NS - random.randrange(70 * DAY_NS), *random.sample(edges, min(3, len(edges)))]
        for at_ns in (at_ns for at_ns in instants if at_ns < 2**63 - 1):
            check_state(world, account_id, naive, at_ns)
        check_fees(world, account_id, naive)


def check_state(world: World, account_id: str, naive: NaiveAccount, at_ns: int) -> None:
    found = state_on_demand(world, account_id, at_ns)
    inside = "valid_from_ns <= %s AND (valid_until_ns IS NULL OR %s < valid_until_ns)"
    rows = world.one(
        f"SELECT tier, source, grant_id FROM READ.vip_intervals WHERE account_id = %s AND {inside}",
        *(account_id, at_ns, at_ns),
    )
    bans = world.one(
        "SELECT count(*) FROM READ.ban_intervals WHERE account_id = %s AND start_time_ns <= %s AND %s < end_time_ns",
        *(account_id, at_ns, at_ns),
    )
    flags = world.one(
        "SELECT count(*) FROM READ.flag_intervals WHERE account_id = %s AND flagged_time_ns <= %s"
        " AND (unflagged_time_ns IS NULL OR %s < unflagged_time_ns)",
        *(account_id, at_ns, at_ns),
    )
    told = f"{account_id} at {at_ns}, seed {SEED}"
    assert len(rows) <= 1, told
    assert (rows[0][0] if rows else "NONE") == found.tier == naive.tier(at_ns), told
    assert (rows[0][1:] if rows else ("", "")) == (found.grant.source, found.grant.grant_id), told
    assert (flags[0][0] > 0) == found.flagged == naive.flagged(at_ns), told
    assert (bans[0][0] > 0) == found.banned == naive.banned(at_ns), told


def check_fees(world: World, account_id: str, naive: NaiveAccount) -> None:
    noted: dict[str, Decimal] = {}
    for trade in naive.trades:
        day = day_text(trade.at_ns // DAY_NS)
        noted[day] = noted.get(day, Decimal(0)) + trade.fee
    rows = world.one("SELECT day::text, charges + rebates FROM READ.fee_days WHERE account_id = %s", account_id)
    assert dict(rows) == noted, f"{account_id}, seed {SEED}"
    span = AccountSpan(account_id, 0, NOON_NS + 1, world.writing.log.head().position)
    on_demand = totals(cell_sums(world.writing.log, span))
    assert sum(Decimal(total.net) for total in on_demand) == sum(noted.values())
    entries = (fee_line(account_id, entry) for entry in entries_after(world.writing.log, span, FIRST_PLACE))
    assert sum(Decimal(entry.fee_amount) for entry in entries) == sum(noted.values())
    assert {trade.fee for trade in naive.trades} == {
        Decimal(known.line.fee).scaleb(-known.basis.fee_decimals) for known in fills_now(world.writing.log, span)
    }
    lines = world.one("SELECT coalesce(sum(lines), 0) FROM READ.volume_days WHERE account_id = %s", account_id)
    assert lines[0][0] == len(naive.trades) == sum(total.lines for total in on_demand)


def test_a_plan_reads_what_was_known_at_a_position_whatever_has_come_since(world: World) -> None:
    """Windows that cut days and windows that do not, small chunks, tables that are further than the position."""
    random = Random(SEED)
    tables = Tables(world.writing.log, world.writing.config.schema)
    for number in range(150):
        live(world, random, f"account{number % 70:02}")
    known = world.writing.log.head().position
    for number in range(150):
        live(world, random, f"account{number % 90:02}")
    advance(world, tables, random)
    for days, cut_ns in ((0, 0), (10, 0), (3, DAY_NS // 3)):
        at_ns = NOON_NS - DAY_NS // 2 - days * DAY_NS + cut_ns
        plan = EvaluationPlan(
            world.writing.log,
            world.writing.config.schema,
            programme_id="bitmart-api-vip",
            kind=PERIODIC,
            instant_ns=at_ns,
            known=known,
        )
        chunks = list(plan.chunks(size=16))
        planned = {one.case.account_id: one for chunk in chunks for one in chunk.planned}
        assert sorted(planned) == list(planned), "in the order of accounts"
        for account_id, naive in world.naive.items():
            volume = naive.volume(at_ns - 30 * DAY_NS, at_ns, known)
            one = planned.get(account_id)
            if one is None:
                assert volume == 0, account_id
                continue
            assert isinstance(one.found, Assessment)
            assert Decimal(one.found.volume).scaleb(-36) == volume, f"{account_id}, seed {SEED}"
        assert len(planned) > 30


def test_tables_made_at_once_equal_those_made_step_by_step(world: World, dsn: str) -> None:
    random = Random(SEED)
    steps = Tables(world.writing.log, world.writing.config.schema)
    for number in range(60):
        live(world, random, f"account{number % 20}")
        advance(world, steps, random)
    names = (
        "accounts",
        "vip_intervals",
        "ban_intervals",
        "trials",
        "flag_intervals",
        "fee_days",
        "volume_days",
        "position",
    )
    slowly = {name: sorted(world.one(f"SELECT * FROM READ.{name}"), key=repr) for name in names}
    assert all(slowly.values())
    world.connection.execute(f"DROP SCHEMA {read_schema(world.writing.config.schema)} CASCADE")  # type: ignore[arg-type]
    create_tables(world.connection, world.writing.config.schema)
    steps.advance(world.connection, 0, world.writing.log.head().position)
    for name in names:
        found = sorted(world.one(f"SELECT * FROM READ.{name}"), key=repr)
        assert found == slowly[name], name


def test_tables_are_the_same_where_fronts_of_runs_do_not_hold_their_totals(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(SEED)
    for number in range(40):
        live(world, random, f"account{number % 10}")
    names, schema = ("accounts", "fee_days", "volume_days"), world.writing.config.schema
    found = []
    for front_bytes in (run_front.FRONT_BYTES, 200):
        for module in (totals_read, run_front, reads):
            monkeypatch.setattr(module, "FRONT_BYTES", front_bytes)
        advance(world, Tables(Log(world.writing.log.connections), schema), random)
        found.append([sorted(world.one(f"SELECT row::text FROM READ.{name} AS row")) for name in names])
        world.connection.execute(f"DROP SCHEMA {read_schema(schema)} CASCADE")  # type: ignore[arg-type]
        create_tables(world.connection, schema)
    assert found[0] == found[1]
    assert all(found[0])


def test_no_row_changes_because_time_passes(world: World) -> None:
    trial(world.writing, Random(SEED), "alice", world.naive.setdefault("alice", NaiveAccount()), NOON_NS, "")
    tables = Tables(world.writing.log, world.writing.config.schema)
    advance(world, tables, Random(SEED))
    before = world.one("SELECT *, xmin::text FROM READ.vip_intervals")
    world.writing.service.step([record(fills({"account_id": "bob"}))], NOON_NS + 365 * DAY_NS)
    advance(world, tables, Random(SEED))
    assert world.one("SELECT *, xmin::text FROM READ.vip_intervals") == before


def test_every_column_is_described(world: World) -> None:
    missing = world.one(
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
        " WHERE n.nspname = %s AND c.relkind = 'r' AND c.relname <> 'position'"
        " AND col_description(c.oid, a.attnum) IS NULL",
        read_schema(world.writing.config.schema),
    )
    assert missing == []
