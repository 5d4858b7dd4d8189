"""The engine's side: fills of its files in the table `engine`, looked at value by value. Raises UnusableError."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

import duckdb

from ledger.cli.errors import UnusableError
from ledger.tools.duck.database import SCALE, Database
from ledger.tools.engine_files.columns import Mapped
from ledger.tools.engine_files.csv_header import line_of
from ledger.tools.engine_files.meaning import MACROS, expected, insertion, is_key
from ledger.tools.engine_files.own_history import folded
from ledger.tools.engine_files.printed import Printed, one_line, printed
from ledger.tools.engine_files.symbols import matching

PLACE_BITS: Final = 40  # of `place` for the line; above them is the number of the file
SYMBOLS_MAX: Final = 100_000
# `other_fees` are those in other currencies than the fee's, as text: `0.1 BMX, 2 OKB`.
_TABLE: Final = """
CREATE TABLE engine (
  place BIGINT, unit_ns BIGINT, venue VARCHAR, account_id VARCHAR, exec_id VARCHAR, time_ns BIGINT, symbol VARCHAR,
  side VARCHAR, liquidity VARCHAR, price BIGNUM, quantity BIGNUM, notional BIGNUM, fee BIGNUM, fee_currency VARCHAR,
  other_fees VARCHAR, rate BIGNUM, counterparty VARCHAR, order_id VARCHAR, trade_id VARCHAR, fault VARCHAR, day INTEGER,
  volume BIGNUM)
"""


class EngineFiles:
    """The files that were read, and how many fills each has."""

    def __init__(
        self, database: Database, mapped: Mapped, constants: Mapping[str, str], registered: Collection[str]
    ) -> None:
        """`constants` are venue and account of every fill, where the command line gives them; `registered` symbols."""
        self._database = database
        self._mapped = mapped
        self._constants = constants
        self._registered = registered
        self.names: list[str] = []
        self.fills: list[int] = []
        database.run(MACROS)
        database.run(_TABLE)

    def load(self, path: Path, kind: str, unit_ns: int, *, negated: bool) -> None:
        """Add a file. Times are cut to `unit_ns` (0: as their column says); `negated`: it writes charges below zero."""
        first = len(self.names) << PLACE_BITS
        self.names.append(str(path))
        before = self._database.one("SELECT count(*) FROM engine")
        try:
            said = printed(self._database, path, kind, self._mapped, self._constants, negated=negated)
            if negated and said.shape.negated:
                raise UnusableError(f"--negate-fees: preset {self._mapped.preset} does that by itself")
            if said.columns:
                said = folded(self._database, path, said)
                self._database.run(
                    insertion(said, self._constants, first, unit_ns, negated=negated or said.shape.negated)
                )
        except duckdb.OutOfMemoryException:
            raise  # the file is not to blame
        except duckdb.Error as error:
            raise UnusableError(f"{path}: {one_line(error)}") from error
        except UnicodeDecodeError as error:
            raise UnusableError(f"{path}: is no UTF-8 text") from error
        except (OSError, EOFError) as error:
            raise UnusableError(f"{path}: cannot be read: {getattr(error, 'strerror', '') or error}") from error
        self.fills.append(self._database.one("SELECT count(*) FROM engine") - before)
        self._check(said)
        self._finest(first)
        self._name_symbols(first, said.shape.currencies)
        self._multiply()

    def where(self, place: int) -> str:
        """File and line of a fill, for a person; in JSON the number of the fill."""
        return f"{Path(self.names[place >> PLACE_BITS]).name}:{place & (1 << PLACE_BITS) - 1}"

    def _check(self, said: Printed) -> None:
        """Raise for the first value that means nothing."""
        found = self._database.all("SELECT place, fault FROM engine WHERE fault IS NOT NULL ORDER BY place LIMIT 1")
        for place, fault in found:
            column, _, value = fault.partition("\x1f")
            named = self._mapped.names(said.shape).get(column, column)
            what = f"{value!a} is not {expected(column, said)}" if value else "is empty"
            rest = "; if the line is a total or a comment, take it out of the file" if is_key(column) else ""
            file, row = self.names[place >> PLACE_BITS], place & (1 << PLACE_BITS) - 1
            line = line_of(Path(file), said.header, row) if said.header else row
            raise UnusableError(f"{file}:{line}: column {named}: {what}{rest}")

    def _finest(self, first: int) -> None:
        """Give all fills of a file the unit of the finest time in it: 0.6 s beside 0.8921 s is 0.6000 s."""
        (units,) = self._database.all("SELECT min(unit_ns), max(unit_ns) FROM engine WHERE place >= ?", [first])
        if units[0] != units[1]:
            self._database.run("UPDATE engine SET unit_ns = ? WHERE place >= ?", [units[0], first])

    def _name_symbols(self, first: int, currencies: Mapping[str, str]) -> None:
        """Write symbols as the ledger does."""
        query = "SELECT DISTINCT symbol FROM engine WHERE place >= ? AND symbol IS NOT NULL LIMIT ?"
        symbols = [symbol for (symbol,) in self._database.all(query, [first, SYMBOLS_MAX + 1])]
        if len(symbols) > SYMBOLS_MAX:
            raise UnusableError(f"{self.names[-1]}: has more than {SYMBOLS_MAX:,} symbols: is their column right?")
        try:
            found = matching(symbols, self._registered, currencies)
        except UnusableError as error:
            raise UnusableError(f"{self.names[-1]}: {error}") from error
        if found:
            self._database.run("CREATE OR REPLACE TABLE written (theirs VARCHAR, ours VARCHAR)")
            for pair in found.items():
                self._database.run("INSERT INTO written VALUES (?, ?)", list(pair))
            self._database.run(
                "UPDATE engine SET symbol = ours FROM written WHERE symbol = theirs AND place >= ?", [first]
            )

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
