"""The engine's side: fills of its files in the table `engine`, looked at value by value. Raises UnusableError."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import duckdb

from ledger.cli.errors import UnusableError
from ledger.tools.reconcile.columns import AMOUNTS, OPTIONAL, TIMES, Mapped
from ledger.tools.reconcile.database import SCALE, Database
from ledger.tools.reconcile.engine_formats import Printed, one_line, printed

PLACE_BITS: Final = 40  # of `place` for the line; above them is the number of the file
_DAY_NS: Final = 86_400_000_000_000
_TIME: Final = r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}(:\d{2})?)?)?"
_ZONE: Final = r"(Z|[+-]\d{2}(:\d{2})?)$"
_MACROS: Final = rf"""
CREATE MACRO zone_minutes(z) AS
  CASE WHEN length(z) >= 3 THEN (CASE WHEN z LIKE '-%' THEN -1 ELSE 1 END)
    * (substr(z, 2, 2)::BIGINT * 60 + coalesce(TRY_CAST(substr(z, 5, 2) AS BIGINT), 0)) ELSE 0 END;
CREATE MACRO utc_ns(day, clock) AS
  epoch_ns(TRY_CAST(day || regexp_replace(clock, '{_ZONE}', '') AS TIMESTAMP_NS))
  - 60000000000 * zone_minutes(regexp_extract(clock, '{_ZONE}'));
CREATE MACRO instant(t) AS
  CASE WHEN t LIKE 'ns%' THEN TRY_CAST(substr(t, 3) AS BIGINT)
       WHEN regexp_full_match(t, '{_TIME}') THEN utc_ns(left(t, 10), substr(t, 11)) END;
"""
_WORDS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "side": {"BUY": ("BUY", "SIDE_BUY", "B", "1"), "SELL": ("SELL", "SIDE_SELL", "S", "2")},
    "liquidity": {
        "MAKER": ("MAKER", "LIQUIDITY_MAKER", "ADDED", "M", "1"),
        "TAKER": ("TAKER", "LIQUIDITY_TAKER", "REMOVED", "T", "2"),
    },
}
OURS: Final[Mapping[str, str]] = {  # column of the table by our name of the file's
    "last_px": "price",
    "last_qty": "quantity",
    "fee_amount": "fee",
    "fee_rate": "rate",
    "counterparty_owner_id": "counterparty",
}
_TABLE: Final = """
CREATE TABLE engine (
  place BIGINT, unit_ns BIGINT, venue VARCHAR, account_id VARCHAR, exec_id VARCHAR, time_ns BIGINT, symbol VARCHAR,
  side VARCHAR, liquidity VARCHAR, price BIGNUM, quantity BIGNUM, notional BIGNUM, fee BIGNUM, fee_currency VARCHAR,
  rate BIGNUM, counterparty VARCHAR, order_id VARCHAR, trade_id VARCHAR, fault VARCHAR, day INTEGER, volume BIGNUM)
"""


class EngineFiles:
    """What was read: the files, how many fills each has, and which columns they have."""

    def __init__(self, database: Database, mapped: Mapped, constants: Mapping[str, str]) -> None:
        """`constants` are venue and account of every fill, where the command line gives them."""
        self._database = database
        self._mapped = mapped
        self._constants = constants
        self.names: list[str] = []
        self.fills: list[int] = []
        self.columns: set[str] = set()
        database.run(_MACROS)
        database.run(_TABLE)

    def load(self, path: Path, kind: str, unit_ns: int, *, negated: bool) -> None:
        """Add a file. Times are cut to `unit_ns` (0: as their column says); `negated`: it writes charges below zero."""
        first = len(self.names) << PLACE_BITS
        self.names.append(str(path))
        before = self._database.one("SELECT count(*) FROM engine")
        try:
            said = printed(self._database, path, kind, self._mapped, self._constants)
            if said.columns:
                self._database.run(self._insertion(said, first, unit_ns or said.unit_ns, negated=negated))
        except duckdb.OutOfMemoryException:
            raise  # the file is not to blame
        except duckdb.Error as error:
            raise UnusableError(f"{path}: {one_line(error)}") from error
        except UnicodeDecodeError as error:
            raise UnusableError(f"{path}: is no UTF-8 text") from error
        except (OSError, EOFError) as error:
            raise UnusableError(f"{path}: cannot be read: {getattr(error, 'strerror', '') or error}") from error
        self.columns |= set(said.columns)
        self.fills.append(self._database.one("SELECT count(*) FROM engine") - before)
        self._check()
        self._multiply()

    def without(self) -> list[str]:
        """Columns that no file has: not compared."""
        return [name for name in OPTIONAL if name not in self.columns]

    def silent(self) -> dict[str, int]:
        """How many fills say nothing in a column that is there: not compared in it."""
        counts = ", ".join(f"count(*) FILTER ({OURS.get(name, name)} IS NULL)" for name in OPTIONAL)
        (row,) = self._database.all(f"SELECT {counts} FROM engine")
        return {name: count for name, count in zip(OPTIONAL, row, strict=True) if count and name in self.columns}

    def where(self, place: int) -> str:
        """File and line of a fill, for a person."""
        return f"{Path(self.names[place >> PLACE_BITS]).name}:{place & (1 << PLACE_BITS) - 1}"

    def _insertion(self, said: Printed, first: int, unit_ns: int, *, negated: bool) -> str:
        """The statement that reads texts as what they mean; what means nothing is named in `fault`.

        Each step is a SELECT of its own, so that duckdb works out once what the next one asks for several times.
        """
        names = [*self._constants, *said.columns]
        amounts = [name for name in names if name in AMOUNTS]
        texts = [
            f"'{self._constants[name]}' AS {name}" if name in self._constants else f"nullif(trim({name}), '') AS {name}"
            for name in names
        ]
        plain = [f"CASE WHEN is_number({name}) THEN plain({name}) END AS plain_{name}" for name in amounts]
        values = [f"{_meaning(name)} AS v_{name}" for name in names]
        ours = ["time_ns" if name in TIMES else OURS.get(name, name) for name in names]
        read = [f"-v_{name}" if negated and name in ("fee_amount", "fee_rate") else f"v_{name}" for name in names]
        named = [f"{value} AS {name}" for value, name in zip(read, ours, strict=True)]
        return (
            f"INSERT INTO engine (place, unit_ns, {', '.join(ours)}, fault, day, volume)"
            f" SELECT *, time_ns // {_DAY_NS}, {_volume(ours)}"
            f" FROM (SELECT {first} + row, {unit_ns}, {', '.join(named)}, {_fault(names)}"
            f" FROM (SELECT *, {', '.join(values)} FROM (SELECT {', '.join(['*', *plain])}"
            f" FROM (SELECT row, {', '.join(texts)} FROM ({said.select})))))"
        )

    def _check(self) -> None:
        """Raise for the first value that means nothing."""
        found = self._database.all("SELECT place, fault FROM engine WHERE fault IS NOT NULL ORDER BY place LIMIT 1")
        for place, fault in found:
            column, _, value = fault.partition("\x1f")
            named = self._mapped.names().get(column, column)
            what = f"{value[:60]!a} is not {_expected(column)}" if value else "is empty"
            file, line = self.names[place >> PLACE_BITS], place & (1 << PLACE_BITS) - 1
            raise UnusableError(f"{file}:{line}: column {named}: {what}")

    def _multiply(self) -> None:
        """Volumes that duckdb's own integers are too short for: a few fills of very large numbers."""
        missing = self._database.all(
            "SELECT place, price::VARCHAR, quantity::VARCHAR FROM engine"
            " WHERE volume IS NULL AND price IS NOT NULL AND quantity IS NOT NULL"
        )
        for place, price, quantity in missing:
            volume, rest = divmod(int(price) * int(quantity), 10**SCALE)
            if rest:
                raise UnusableError(f"{self.where(place)}: price times quantity has more than {SCALE} decimals")
            self._database.run("UPDATE engine SET volume = ?::VARCHAR::BIGNUM WHERE place = ?", [str(volume), place])


def _meaning(name: str) -> str:
    """The expression that reads a column; NULL for a text that means nothing."""
    if name in AMOUNTS:
        return f"plain_amount(plain_{name})"
    if name == "transact_time":
        return f"instant({name})"
    if name in TIMES:
        return (
            f"CASE WHEN {name} LIKE 'ns%' THEN TRY_CAST(substr({name}, 3) AS BIGINT)"
            f" ELSE TRY(TRY_CAST({name} AS BIGINT) * {TIMES[name]}) END"
        )
    if name in _WORDS:
        cases = (
            f"WHEN upper({name}) IN ({', '.join(map(repr, words))}) THEN '{word}'"
            for word, words in _WORDS[name].items()
        )
        return f"CASE {' '.join(cases)} END"
    if name == "symbol":
        return f"replace({name}, '/', '_')"  # ccxt writes BTC/USDT
    return name


def _fault(names: list[str]) -> str:
    """The expression for the first column whose text means nothing, and that text."""
    cases = []
    for name in names:
        if name in (*TIMES, "account_id", "exec_id"):
            cases.append(f"WHEN v_{name} IS NULL THEN '{name}' || chr(31) || coalesce({name}, '')")
        elif name in AMOUNTS or name in _WORDS:
            cases.append(f"WHEN v_{name} IS NULL AND {name} IS NOT NULL THEN '{name}' || chr(31) || {name}")
    return f"CASE {' '.join(cases)} END AS fault"


def _expected(name: str) -> str:
    if name in AMOUNTS:
        return f"a decimal number of at most {SCALE} decimals"
    if name in _WORDS:
        return " or ".join(_WORDS[name]).lower()
    return "a time in UTC, for example 2024-09-30T23:59:59.999Z" if name == "transact_time" else "a whole number"


def _volume(ours: list[str]) -> str:
    """The engine's own notional, otherwise price times quantity."""
    both = "product(price, quantity)" if {"price", "quantity"} <= set(ours) else "NULL::BIGNUM"
    return f"coalesce(notional, {both})" if "notional" in ours else both
