"""Rows of the read side's tables, in the order of their columns in `schema.sql`, out of events of the log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, Final, TypeAlias

from ledger.domain.decide.application_deadline import deadline
from ledger.domain.decide.facts import waits_beside_another
from ledger.domain.events import (
    POST_TRIAL,
    CellKey,
    FactDeclined,
    FactReleased,
    FactWithdrawn,
    FactWithheld,
    Recorded,
    VolumeEvaluated,
)
from ledger.domain.grant_sources import TRIAL
from ledger.domain.instants import BEGINNING_NS, NEVER_NS
from ledger.domain.state.account import AccountState, fold_account
from ledger.domain.state.matches_and_applications import Application, Match
from ledger.domain.state.rulebook import Rulebook
from ledger.domain.state.volume_cells import CREDITS, CellSums, add_totals
from ledger.domain.streams import account_stream
from ledger.store.fee_streams import DayTotals
from ledger.store.log import Log
from projections.answers.fee_history import totals
from projections.tables.vip_intervals import Interval, grant_positions, vip_intervals

Row: TypeAlias = tuple[Any, ...]
TableRows: TypeAlias = dict[str, list[Row]]  # by table

PRODUCT_NAMES: Final = {0: "UNSPECIFIED", 1: "SPOT", 2: "FUTURES"}
CHANNEL_NAMES: Final = {0: "UNSPECIFIED", 1: "API", 2: "WEB", 3: "APP"}

# Tables whose rows of an account follow from its decisions alone.
OF_DECISIONS: Final = (
    "vip_intervals",
    "ban_intervals",
    "flag_intervals",
    "trials",
    "applications",
    "matches",
    "withheld_facts",
)
TABLES: Final = ("accounts", *OF_DECISIONS, "fee_days", "volume_days")


def no_rows() -> TableRows:
    """Return an empty list of rows for every table."""
    return {table: [] for table in TABLES}


def rows_of_accounts(log: Log, book: Rulebook, account_ids: Sequence[str], until: int) -> TableRows:
    """Return all rows of some accounts, made from all that the log has of them up to a position."""
    rows = no_rows()
    streams: dict[str, list[Recorded]] = {account_stream(account_id): [] for account_id in account_ids}
    for recorded in log.streams(streams, until):
        streams[recorded.stream].append(recorded)
    days = log.day_totals_of(account_ids, until)
    trading = {day.account_id for day in days}
    for account_id, events in zip(account_ids, streams.values(), strict=True):
        if events:
            add_rows(rows, decision_rows(book, account_id, events))
        elif account_id in trading:
            rows["accounts"].append(account_row(AccountState(account_id)))
    for day in days:
        rows["fee_days"] += fee_rows(day)
        rows["volume_days"] += volume_rows(day)
    return rows


def add_rows(rows: TableRows, more: TableRows) -> None:
    """Append rows to those that are there."""
    for table, values in more.items():
        rows[table] += values


def decision_rows(book: Rulebook, account_id: str, events: Sequence[Recorded]) -> TableRows:
    """Return rows of an account that follow from its stream, oldest event first, and from the rulebook."""
    account = fold_account(account_id, events)
    beside = account.matches_and_applications
    intervals = vip_intervals(account, book.programmes, grant_positions(events))
    return {
        "accounts": [account_row(account, intervals)],
        "vip_intervals": _interval_rows(account_id, intervals),
        "ban_intervals": [
            (account_id, ban.ban_id, ban.start_time_ns, ban.end_time_ns, ban.reason_code) for ban in account.bans
        ],
        "flag_intervals": [
            (account_id, flag.flag_id, flag.kind, flag.flagged_time_ns, _end(flag.unflagged_time_ns))
            for flag in account.flags
        ],
        "trials": _trial_rows(account, events),
        "applications": [_application_row(book, account, application) for application in beside.applications],
        "matches": [_match_row(account_id, match) for match in beside.matches],
        "withheld_facts": _withheld_rows(account_id, events),
    }


def account_row(account: AccountState, intervals: Sequence[Interval] = ()) -> Row:
    """Return the row of an account; one that only trades is its own owner."""
    tier_from_ns, tier_until_ns = _last_unbroken(intervals)
    return (
        account.account_id,
        account.owner_id,
        account.parent_account_id,
        account.trial_used,
        _end(account.registered_time_ns),
        _end(account.trial_from_ns),
        tier_from_ns,
        tier_until_ns,
    )


def _last_unbroken(intervals: Sequence[Interval]) -> tuple[int | None, int | None]:
    """Return from when on, and until when, an account has had a tier the last time; no end is None, and so is no time.

    Intervals [0, 5), [5, 9) and [20, 30), [25, 40) -> (20, 40).
    """
    from_ns, until_ns = None, BEGINNING_NS
    for each in sorted(intervals, key=attrgetter("valid_from_ns")):
        if from_ns is None or each.valid_from_ns > until_ns:
            from_ns = each.valid_from_ns
        until_ns = max(until_ns, each.valid_until_ns)
    return from_ns, None if from_ns is None else _end(until_ns)


def fee_rows(day: DayTotals) -> list[Row]:
    """Return fees of an account-day by currency; mostly one cell has all of a currency's."""
    amounts = fee_amounts(day)
    if len({currency for currency, *_ in amounts}) == len(amounts):
        return [(day.account_id, day.day, *each, day.position) for each in sorted(amounts)]
    sums: CellSums = {}
    add_totals(sums, day.totals)
    return [
        (day.account_id, day.day, one.currency, one.charges, one.rebates, one.credits or "0", one.lines, day.position)
        for one in totals(sums)
    ]


def fee_amounts(day: DayTotals) -> list[tuple[str, str, str, str, int]]:
    """Return (currency, charges, rebates, credits, lines) of each cell by itself."""
    return [
        (currency, charges, "0", rebates, lines) if cell.key == CREDITS else (currency, charges, rebates, "0", lines)
        for cell in day.totals
        for currency, charges, rebates, lines in cell.fees
    ]


def volume_rows(day: DayTotals) -> list[Row]:
    """Return the volume of an account-day by cell."""
    return [
        (day.account_id, day.day, *cell_columns(cell.key), cell.notional, cell.lines)
        for cell in day.totals
        if cell.key != CREDITS
    ]


def _interval_rows(account_id: str, intervals: Iterable[Interval]) -> list[Row]:
    return [
        (
            account_id,
            row.programme_id,
            row.valid_from_ns,
            _end(row.valid_until_ns),
            row.tier,
            _end(row.tier_until_ns),
            row.source,
            row.grant_id,
            row.position,
        )
        for row in intervals
    ]


def _trial_rows(account: AccountState, events: Iterable[Recorded]) -> list[Row]:
    """Return trials that had a time, with the position of the event that evaluated what was traded in it."""
    evaluated = {
        (recorded.event.programme_id, recorded.event.evaluated_time_ns): recorded.position
        for recorded in events
        if isinstance(recorded.event, VolumeEvaluated) and recorded.event.kind == POST_TRIAL
    }
    return [
        (
            account.account_id,
            grant.grant_id,
            grant.programme_id,
            grant.ends_at_ns,
            evaluated.get((grant.programme_id, grant.ends_at_ns)),
        )
        for grant in account.grants
        if grant.source == TRIAL and not grant.never_was
    ]


def _application_row(book: Rulebook, account: AccountState, application: Application) -> Row:
    verified_ns = account.matches_and_applications.verified_time_ns
    start_ns, day = deadline(book, application, verified_ns)
    return (
        account.account_id,
        application.application_id,
        application.programme_id,
        application.received_time_ns,
        _end(verified_ns),
        start_ns,
        day,
        application.outcome,
        _end(application.settled_time_ns),
    )


def _match_row(account_id: str, match: Match) -> Row:
    requested_ns, settled_ns = match.requested_time_ns, _end(match.settled_time_ns)
    return (account_id, match.match_id, match.programme_id, match.tier, requested_ns, match.status, settled_ns)


def _withheld_rows(account_id: str, events: Iterable[Recorded]) -> list[Row]:
    """Return facts that were withheld, each with the first event that settled it, whenever that takes effect."""
    rows: dict[int, Row] = {}
    waiting: dict[int, dict[int, FactWithheld]] = {}  # by position of the fact, and their own
    for recorded in events:
        event, position, at_ns = recorded.event, recorded.position, recorded.envelope.effective_time_ns
        if not isinstance(event, FactWithheld | FactReleased | FactDeclined | FactWithdrawn):
            continue
        waits = waiting.get(event.fact_position, {})
        stays: dict[int, FactWithheld] = {}
        if isinstance(event, FactWithheld):
            stays = {each: one for each, one in waits.items() if waits_beside_another(one)} | {position: event}
            rows[position] = (account_id, position, event.fact_position, None, None)
        for settled in waits.keys() - stays.keys():
            rows[settled] = (account_id, settled, event.fact_position, position, at_ns)
        waiting[event.fact_position] = stays
    return list(rows.values())


def cell_columns(key: CellKey) -> Row:
    """Return the columns of `volume_days` that tell a cell."""
    names = (PRODUCT_NAMES[key.product], CHANNEL_NAMES[key.channel])
    return (key.quote_currency, *names, key.self_trade, key.banned, key.zero_fee)


def _end(time_ns: int) -> int | None:
    """Return an end as the tables say it: null for none."""
    return None if time_ns == NEVER_NS else time_ns
