"""Volumes of many accounts in windows of time, as they were known at a position: what an evaluation reads.

Whole UTC days come out of the materialised tables where these have not moved on since, otherwise out of the running
totals in the log; only days that an edge of a window cuts are read line by line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import islice
from typing import Any, Final, NamedTuple

from psycopg.sql import SQL, Identifier

from ledger.domain.decide.evaluation import NO_TIME, Case
from ledger.domain.events import CellKey, FeeEvent, Recorded
from ledger.domain.instants import DAY_NS, day_number, day_text
from ledger.domain.state.volume_cells import NOTIONAL_SCALE, CellSums, exact
from ledger.domain.streams import day_key, fee_stream
from ledger.fills.partial_sums import add_event
from ledger.store.log import Log
from projections.tables.rows import CHANNEL_NAMES, PRODUCT_NAMES
from projections.tables.tables import read_schema

_STREAMS_PER_READ: Final = 64  # days that are read line by line may be long
_PRODUCTS: Final = {name: number for number, name in PRODUCT_NAMES.items()}
_CHANNELS: Final = {name: number for number, name in CHANNEL_NAMES.items()}

# One statement, so that both halves see the tables at one moment. Volume in the programme's own currency needs no day:
# days are kept apart only where they have closes of their own.
_VOLUMES: Final = """
WITH asked AS (
    SELECT * FROM unnest(%(places)s::int[], %(accounts)s::text[], %(from_days)s::date[], %(until_days)s::date[])
        AS w(place, account_id, from_day, until_day)
), late AS (
    SELECT DISTINCT w.place, f.account_id, f.day
    FROM asked w JOIN {read}.fee_days f ON f.account_id = w.account_id AND f.day >= w.from_day AND f.day < w.until_day
    WHERE f.position > %(known)s
)
SELECT w.place, CASE WHEN v.quote_currency = %(currency)s THEN NULL ELSE v.day::text END,
    v.quote_currency, v.product, v.channel, v.self_trade, v.banned, sum(v.notional)::text
FROM asked w JOIN {read}.volume_days v ON v.account_id = w.account_id AND v.day >= w.from_day AND v.day < w.until_day
WHERE NOT EXISTS (SELECT FROM late l WHERE l.place = w.place AND l.account_id = v.account_id AND l.day = v.day)
GROUP BY 1, 2, 3, 4, 5, 6, 7
UNION ALL
SELECT place, day::text, NULL, account_id, NULL, NULL, NULL, NULL FROM late
"""
# Accounts that follow each other: a row for each cell, with the accounts that have volume in it, and their amounts.
# To sort by account first, and not in arrays, takes a fifth of the time: the cells are nearly all the same.
_OF_MANY: Final = """
SELECT quote_currency, product, channel, self_trade, banned, array_agg(account_id), array_agg(notional)
FROM (
    SELECT account_id, quote_currency, product, channel, self_trade, banned, trim_scale(sum(notional))::text AS notional
    FROM {read}.volume_days
    WHERE account_id >= %(first)s AND account_id <= %(last)s AND day = ANY(%(days)s::date[])
    GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(notional) <> 0
) AS found GROUP BY 1, 2, 3, 4, 5
"""
_LATER: Final = """
SELECT DISTINCT account_id FROM {read}.fee_days
WHERE account_id >= %(first)s AND account_id <= %(last)s AND day = ANY(%(days)s::date[]) AND position > %(known)s
"""

Cells = dict[int, dict[CellKey, int]]  # notional with 36 decimals, by UTC day and cell


class Alike(NamedTuple):
    """Accounts that have volume in the same cells, all in the volume currency; `notionals` are decimals, by cell."""

    cells: tuple[CellKey, ...]
    account_ids: list[str]
    notionals: list[tuple[str, ...]]


class Volumes:
    """Reads at a fixed position of the log. The tables have reached it."""

    def __init__(self, log: Log, schema: str, *, currency: str, known: int) -> None:
        self._log = log
        names = {"read": Identifier(read_schema(schema))}
        self._statement = SQL(_VOLUMES).format(**names)
        self._of_many, self._later = SQL(_OF_MANY).format(**names), SQL(_LATER).format(**names)
        self._currency = currency
        self._known = known

    def of_many(self, first: str, last: str, window: tuple[int, int]) -> tuple[list[Alike], set[str]]:
        """Return the volume of all accounts from one id to another in a window, and those with another volume.

        These have to be asked for one by one: their volume is in other currencies, or has changed since the position.
        So have all where the window cuts a day: that is for the caller to know.
        """
        from_ns, until_ns = window
        days = [day_text(day) for day in range(from_ns // DAY_NS, until_ns // DAY_NS)]
        span = {"first": first, "last": last, "days": days, "known": self._known}
        # The tables only move on: what has not changed after the volume was read had not before.
        cells = sorted(
            (_key(*cell), accounts, notionals) for *cell, accounts, notionals in self._log.query(self._of_many, span)
        )
        others = {name for (name,) in self._log.query(self._later, span)}
        for key, account_ids, _ in cells:
            if key.quote_currency != self._currency:
                others.update(account_ids)
        if len(cells) == 1 and not others:
            ((key, account_ids, notionals),) = cells
            amounts = dict(sorted(zip(account_ids, zip(notionals, strict=True), strict=True)))
            return [Alike((key,), list(amounts), list(amounts.values()))], others
        return list(_alike(cells, others)), others

    def of(self, cases: Sequence[Case], members: Mapping[str, Sequence[str]]) -> list[Cells]:
        """Return the volume of each case; `members` are accounts whose volume counts for another one, too.

        A cell of credits, or from which all fills have moved, is left out.
        """
        found: list[Cells] = [{} for _ in cases]
        spans = [
            (place, account_id, *case.window)
            for place, case in enumerate(cases)
            for account_id in (case.account_id, *members.get(case.account_id, ()))
        ]
        late = self._whole_days(found, spans)
        self._late_days(found, late)
        self._cut_days(found, spans)
        return [_traded(cells) for cells in found]

    def _whole_days(self, found: list[Cells], spans: Sequence[tuple[int, str, int, int]]) -> list[tuple[int, str, int]]:
        """Add what the tables hold; (place, account, day) of what they hold as of a later position."""
        whole = [
            (place, account_id, first, end)
            for place, account_id, from_ns, until_ns in spans
            if (first := -(-from_ns // DAY_NS)) < (end := until_ns // DAY_NS)
        ]
        parameters = {
            "places": [place for place, *_ in whole],
            "accounts": [account_id for _, account_id, *_ in whole],
            "from_days": [day_text(first) for *_, first, _ in whole],
            "until_days": [day_text(end) for *_, end in whole],
            "currency": self._currency,
            "known": self._known,
        }
        late = []
        for place, day, quote, product, *cell in self._log.query(self._statement, parameters) if whole else ():
            if quote is None:
                late.append((place, product, day_number(day)))
                continue
            channel, self_trade, banned, notional = cell
            key = _key(quote, product, channel, self_trade, banned)
            _add(found[place], NO_TIME if day is None else day_number(day), key, exact(notional, NOTIONAL_SCALE))
        return late

    def _late_days(self, found: list[Cells], late: Sequence[tuple[int, str, int]]) -> None:
        places: dict[tuple[str, int], list[int]] = {}
        for place, account_id, day in late:
            places.setdefault((account_id, day), []).append(place)
        for totals in self._log.totals_of_days(places, self._known) if places else ():
            day = day_number(totals.day)
            for cell in totals.totals:
                key, notional = cell.key._replace(zero_fee=False), exact(cell.notional, NOTIONAL_SCALE)
                for place in places[totals.account_id, day]:
                    _add(found[place], day, key, notional)

    def _cut_days(self, found: list[Cells], spans: Sequence[tuple[int, str, int, int]]) -> None:
        """Add the fills of days that begin or end outside their window, as late facts left them."""
        cut: dict[str, list[tuple[int, int, int]]] = {}
        for place, account_id, from_ns, until_ns in spans:
            for day in _days_cut(from_ns, until_ns):
                cut.setdefault(fee_stream(account_id, day), []).append((place, from_ns, until_ns))
        for names in _batches(cut):
            for recorded in self._log.streams(names, self._known):
                for place, from_ns, until_ns in cut[recorded.stream]:
                    _add_event(found[place], recorded, from_ns, until_ns)


def cuts_a_day(window: tuple[int, int]) -> bool:
    """Return True if a window holds only a part of some UTC day."""
    return bool(_days_cut(*window))


def _alike(cells: Iterable[tuple[CellKey, list[str], list[str]]], others: Set[str]) -> Iterator[Alike]:
    """Yield accounts together that have volume in the same cells, but for some."""
    keys = list[CellKey]()
    places: dict[str, list[int]] = {}  # of the cells of each account
    amounts: dict[str, list[str]] = {}
    for place, (key, account_ids, notionals) in enumerate(cells):
        keys.append(key)
        for account_id, notional in zip(account_ids, notionals, strict=True):
            if account_id not in others:
                places.setdefault(account_id, []).append(place)
                amounts.setdefault(account_id, []).append(notional)
    together: dict[tuple[int, ...], list[str]] = {}
    for account_id in sorted(places):
        together.setdefault(tuple(places[account_id]), []).append(account_id)
    for found, account_ids in together.items():
        notionals_of_each = [tuple(amounts[account_id]) for account_id in account_ids]
        yield Alike(tuple(keys[place] for place in found), account_ids, notionals_of_each)


def _key(quote: str, product: str, channel: str, self_trade: bool, banned: bool) -> CellKey:
    """Return the cell of a row of `volume_days`, whatever the rates were."""
    return CellKey(quote, _PRODUCTS[product], _CHANNELS[channel], self_trade, banned, False)


def _days_cut(from_ns: int, until_ns: int) -> set[int]:
    """Return UTC days of which a window holds only a part."""
    edges = (edge for edge in (from_ns, until_ns) if edge % DAY_NS)
    return {edge // DAY_NS for edge in edges if from_ns < until_ns}


def _add_event(cells: Cells, recorded: Recorded, from_ns: int, until_ns: int) -> None:
    """Add what an event of a fee stream changes in [from, until): before `until`, less what is before `from`."""
    assert isinstance(recorded.event, FeeEvent), recorded
    _, day = day_key(recorded.stream)
    for sign, instant_ns in ((1, until_ns), (-1, from_ns)):
        sums: CellSums = {}
        add_event(sums, recorded.event, instant_ns)
        for key, cell in sums.items():
            _add(cells, day, key._replace(zero_fee=False), sign * cell.notional)


def _traded(cells: Cells) -> Cells:
    traded = {day: {key: notional for key, notional in found.items() if notional} for day, found in cells.items()}
    return {day: found for day, found in traded.items() if found}


def _add(cells: Cells, day: int, key: CellKey, notional: int) -> None:
    by_cell = cells.setdefault(day, {})
    by_cell[key] = by_cell.get(key, 0) + notional


def _batches(names: Iterable[str]) -> Iterator[list[Any]]:
    rest = iter(names)
    while batch := list(islice(rest, _STREAMS_PER_READ)):
        yield batch
