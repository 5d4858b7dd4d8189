"""The statement that reads texts of a file as what they mean; a text that means nothing is named in `fault`.

A time is read from its text to whole nanoseconds, never rounded: ISO 8601 in UTC or with an offset, or a number since
1970 in the unit of its column, with decimals.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ledger.domain.instants import DAY_NS, EARLIEST_NS, LATEST_NS
from ledger.tools.duck import sql
from ledger.tools.duck.database import SCALE
from ledger.tools.engine_files.columns import wanted
from ledger.tools.engine_files.limits import CELL_CHARACTERS_MAX
from ledger.tools.engine_files.presets import AMOUNTS, TIMES, YES_NO
from ledger.tools.engine_files.printed import Printed

_ZONE: Final = r"( ?UTC|Z|[+-]([01]\d|2[0-3])(:?[0-5]\d)?)"
_TIME: Final = rf"\d{{4}}-\d{{2}}-\d{{2}}([T ]\d{{2}}:\d{{2}}(:\d{{2}}(\.\d{{1,9}}0*)?)?{_ZONE}?)?"
# `digits` is how many a unit has after the point: 3 of a millisecond in seconds, 9 - 3 of a nanosecond in milliseconds.
MACROS: Final = rf"""
CREATE MACRO zone_minutes(z) AS
  CASE WHEN z LIKE '+%' OR z LIKE '-%' THEN (CASE WHEN z LIKE '-%' THEN -1 ELSE 1 END)
    * (substr(z, 2, 2)::BIGINT * 60 + coalesce(TRY_CAST(right(replace(z[4:], ':', ''), 2) AS BIGINT), 0)) ELSE 0 END;
CREATE MACRO utc_ns(day, clock) AS
  epoch_ns(TRY_CAST(day || regexp_replace(regexp_replace(clock, '{_ZONE}$', ''), '(\.\d{{9}})0*$', '\1')
                    AS TIMESTAMP_NS))
  - 60000000000 * zone_minutes(regexp_extract(clock, '{_ZONE}$'));
CREATE MACRO instant(t) AS CASE WHEN regexp_full_match(t, '{_TIME}') THEN utc_ns(left(t, 10), substr(t, 11)) END;
CREATE MACRO plain_time(t) AS
  CASE WHEN regexp_full_match(t, '[0-9]{{1,19}}(\.[0-9]+)?') THEN t WHEN is_number(t) THEN plain(t) END;
CREATE MACRO fraction(t) AS rtrim(split_part(t, '.', 2), '0');
CREATE MACRO since_1970(t, digits) AS
  CASE WHEN length(fraction(t)) <= digits
       THEN TRY_CAST(split_part(t, '.', 1) || rpad(fraction(t), digits, '0') AS BIGINT) END;
CREATE MACRO known_time(ns) AS CASE WHEN ns >= {EARLIEST_NS} AND ns < {LATEST_NS} THEN ns END;
"""
_WORDS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "side": {"BUY": ("BUY", "SIDE_BUY", "B", "1"), "SELL": ("SELL", "SIDE_SELL", "S", "2")},
    "liquidity": {
        "MAKER": ("MAKER", "LIQUIDITY_MAKER", "ADDED", "M", "1"),
        "TAKER": ("TAKER", "LIQUIDITY_TAKER", "REMOVED", "T", "2"),
    },
    "is_buyer": {"BUY": ("TRUE",), "SELL": ("FALSE",)},
    "is_maker": {"MAKER": ("TRUE",), "TAKER": ("FALSE",)},
}
_OURS: Final[Mapping[str, str]] = {  # column of the table by our name of the file's
    "last_px": "price",
    "last_qty": "quantity",
    "fee_amount": "fee",
    "fee_rate": "rate",
    "counterparty_owner_id": "counterparty",
    **YES_NO,
    **dict.fromkeys(TIMES, "time_ns"),
}
_KEYS: Final = (*TIMES, "account_id", "exec_id")  # without which a line is no fill


def insertion(said: Printed, constants: Mapping[str, str], first: int, unit_ns: int, *, negated: bool) -> str:
    """Return it. `first` is the place before the first line, `unit_ns` cuts times (0: as they are printed).

    Each step is a SELECT of its own, so that duckdb works out once what the next one asks for several times.
    """
    names = [*constants, *said.columns]
    texts = [
        f"{sql.text(constants[name])} AS {name}" if name in constants else f"nullif(trim({name}), '') AS {name}"
        for name in names
    ]
    plain = [f"CASE WHEN is_number({name}) THEN plain({name}) END AS plain_{name}" for name in names if name in AMOUNTS]
    plain += [f"plain_time({name}) AS plain_{name}" for name in names if name in TIMES]
    values = [f"{_meaning(name)} AS v_{name}" for name in names]
    told = [name for name in names if name != "fees" and not wanted(name, said.shape)]
    ours = [_OURS.get(name, name) for name in told]
    read = [f"-v_{name}" if negated and name in ("fee_amount", "fee_rate") else f"v_{name}" for name in told]
    named = [f"{value} AS {name}" for value, name in zip(read, ours, strict=True)]
    return (
        f"INSERT INTO engine (place, unit_ns, {', '.join(ours)}, fault, day, volume)"
        f" SELECT *, time_ns // {DAY_NS}, {_volume(ours)}"
        f" FROM (SELECT {first} + row, {_unit(names, unit_ns, said)}, {', '.join(named)}, {_fault(names, said)}"
        f" FROM (SELECT *, {', '.join(values)} FROM (SELECT {', '.join(['*', *plain])}"
        f" FROM (SELECT row, {', '.join(texts)} FROM ({said.select})))))"
    )


def expected(column: str, said: Printed) -> str:
    """Return what a text in a column must be, and what to do about one that is not."""
    if column in AMOUNTS:
        return f"a decimal number of at most {SCALE} decimals"
    if column in _WORDS:
        words = ("true", "false") if column in YES_NO else (word.lower() for word in _WORDS[column])
        return f"{' or '.join(words)}; --columns {column}= leaves the column out"
    if column == "fees":
        return "a list that can be read here: write JSON, or leave it out with --columns fees="
    if only := wanted(column, said.shape):
        return f"{only[1]}, so the entry is no such fill as is compared: leave it out of the file"
    if column == "transact_time":
        return "a time in UTC from 2009 to 2199, to the nanosecond at most, for example 2024-09-30T23:59:59.999Z"
    if column in TIMES:
        unit = column.rpartition("_")[2]
        return f"a number of {unit} since 1970, from 2009 to 2199, to the nanosecond at most"
    return f"a text of at most {CELL_CHARACTERS_MAX:,} characters"


def is_key(column: str) -> bool:
    """Return True for a column without which a line is no fill."""
    return column in _KEYS


def _meaning(name: str) -> str:
    """Return the expression that reads a column; NULL for a text that means nothing."""
    if name in AMOUNTS:
        return f"plain_amount(plain_{name})"
    if name == "transact_time":
        return f"known_time(instant({name}))"
    if name in TIMES:
        return f"known_time(since_1970(plain_{name}, {_digits(name)}))"
    if name in _WORDS:
        cases = (
            f"WHEN upper({name}) IN ({', '.join(map(sql.text, words))}) THEN {sql.text(word)}"
            for word, words in _WORDS[name].items()
        )
        return f"CASE {' '.join(cases)} END"
    return f"CASE WHEN length({name}) <= {CELL_CHARACTERS_MAX} AND NOT contains({name}, chr(0)) THEN {name} END"


def _digits(name: str) -> int:
    """Return how many digits after the point a nanosecond has in the unit of a column."""
    return len(str(TIMES[name])) - 1


def _unit(names: list[str], unit_ns: int, said: Printed) -> str:
    """Return the unit of a time: what was asked for, else that of its last printed digit, else that of the file."""
    (time,) = (name for name in names if name in TIMES)
    if unit_ns or said.shape.unit_ns or time == "transact_time" or not _digits(time):
        return str(unit_ns or said.shape.unit_ns or said.unit_ns)
    printed = f"least(length(split_part(plain_{time}, '.', 2)), {_digits(time)})"
    return f"coalesce(10 ** ({_digits(time)} - {printed}), {TIMES[time]})::BIGINT"


def _fault(names: list[str], said: Printed) -> str:
    """Return the expression for the first column whose text means nothing, and that text."""
    cases = []
    for name in names:
        told = f"'{name}' || chr(31) || coalesce(left({name}, 60), '')"
        if name in _KEYS:
            cases.append(f"WHEN v_{name} IS NULL THEN {told}")
        elif name == "fees":
            cases.append(f"WHEN {name} IS NOT NULL AND {name} <> '[]' THEN {told}")
        elif only := wanted(name, said.shape):
            cases.append(f"WHEN lower({name}) <> {sql.text(only[1].lower())} THEN {told}")
        else:
            cases.append(f"WHEN v_{name} IS NULL AND {name} IS NOT NULL THEN {told}")
    return f"CASE {' '.join(cases)} END AS fault"


def _volume(ours: list[str]) -> str:
    """Return the engine's own notional, otherwise price times quantity."""
    both = "product(price, quantity)" if {"price", "quantity"} <= set(ours) else "NULL::BIGNUM"
    return f"coalesce(notional, {both})" if "notional" in ours else both
