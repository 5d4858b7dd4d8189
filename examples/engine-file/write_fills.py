"""The export of a matching engine at the end of the day: a file of fills. The same fills can be sent to a ledger too.

    .venv/bin/python examples/engine-file/write_fills.py --trades 50000 --out fills.csv --send 127.0.0.1:50051

Exit code 0: done. 1: the ledger refused fills. 2: unusable arguments, or no ledger. 130: interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

try:
    import duckdb
    import grpc
    import numpy as np
    from ledger_feed import Refused, send
    from market import FEE_DECIMALS, SYMBOLS, Columns, Market, charge, chunks, read_rates
    from plants import WRITTEN, choose, plant_true, plant_written
except ImportError as error:
    print(f"write_fills.py lacks packages ({error}): run `make run` once, or use .venv/bin/python", file=sys.stderr)
    sys.exit(2)

FOLDER: Final = Path(__file__).parent
EPILOG: Final = """\
examples:
  %(prog)s --trades 50000 --out fills.csv --send 127.0.0.1:50051
  %(prog)s --trades 50000 --out fills.parquet --send 127.0.0.1:50051 --plant planted.json
  .venv/bin/fee-ledger reconcile fills.parquet --data FOLDER --html breaks.html

A market is made of its seed: the same one gives the same fills everywhere. Its source and its accounts are named for
all that makes it, and every third account gets a trial when fills are sent. Amounts are exact: text in CSV and JSON
lines, DECIMAL(38,18) in Parquet.
"""
_FEE_UNIT: Final = "0." + "1".rjust(FEE_DECIMALS, "0")
_FORMATS: Final = {".csv": "(FORMAT csv, HEADER)", ".jsonl": "(FORMAT json)", ".parquet": "(FORMAT parquet)"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    rates = read_rates(options.rates)
    market = Market(options.seed, options.trades, options.accounts, options.days, rates, planted=bool(options.plant))
    try:
        with _Exported(market) as exported:
            fed = _told(market, exported, options)
            if options.send:
                told = send(options.send, market, fed)
                counts = f"{told.recorded:,} recorded, {told.replayed:,} replayed"
                print(f"{counts} by {told.ledger_id}, from {market.source}")
            else:
                for _ in fed:
                    pass
            if options.out:
                print(f"{exported.write(options.out):,} fills in {options.out}")
    except (ValueError, OSError) as error:
        print(f"write_fills.py: {error}", file=sys.stderr)
        return 2
    except Refused as error:
        print(f"write_fills.py: {error}", file=sys.stderr)
        return 1
    except grpc.RpcError as error:
        details = " ".join((error.details() or "").split())  # type: ignore[attr-defined]
        print(f"write_fills.py: no answer of a ledger at {options.send}: {details}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("write_fills.py: interrupted: the same command goes on with the ledger where it stopped", file=sys.stderr)
        return 130
    return 0


def _told(market: Market, exported: _Exported, options: argparse.Namespace) -> Iterator[Columns]:
    """Yield the fills that the ledger is told, chunk by chunk; what the file will say is put aside on the way."""
    for number, legs in enumerate(chunks(market)):
        if number or not options.plant:
            charge(market, legs)
            exported.add(legs)
            yield legs
            continue
        told, written = _planted(market, legs, options.plant)
        exported.add(written)
        yield told


def _planted(market: Market, legs: Columns, listed: Path) -> tuple[Columns, Columns]:
    """(what the ledger is told, what the file says), with breaks in it that are `listed`."""
    plants = choose(market, legs)
    names = {plant: (int(legs["exec"][plant.place]), int(legs["leg"][plant.place])) for plant in plants}
    true = plant_true(legs, plants)
    charge(market, true)
    places = {name: place for place, name in enumerate(zip(true["exec"].tolist(), true["leg"].tolist(), strict=True))}
    rows = [
        {"kind": _kind(plant.kind), "exec_id": _exec_id(*names[plant]), "trade_id": str(names[plant][0])}
        for plant in plants
    ]
    listed.write_text(json.dumps(rows, indent=1) + "\n")
    return plant_written(
        market, true, [(plant.kind, places[names[plant]]) for plant in plants if plant.kind in WRITTEN]
    )


def _kind(kind: str) -> str:
    return "TIMING" if kind == "TIMING_DAY" else kind


def _exec_id(number: int, leg: int) -> str:
    return f"T{number:012}{'?MT'[leg]}"


class _Exported:
    """The file while it is made: a table of duckdb, which writes every format."""

    def __init__(self, market: Market) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="write-fills-")
        self._duckdb = duckdb.connect(
            f"{self._folder.name}/fills.duckdb", config={"memory_limit": "1GB", "threads": "2"}
        )
        self._accounts = np.array([market.account(number) for number in range(market.accounts)], dtype=object)
        self._columns: dict[str, Any] = {}

    def __enter__(self) -> _Exported:
        amounts = ", ".join(f"{name} DECIMAL(38,18)" for name in ("last_px", "last_qty", "notional"))
        self._duckdb.execute(
            "CREATE TABLE fills (exec_id VARCHAR, account_id VARCHAR, symbol VARCHAR, side VARCHAR, liquidity VARCHAR,"
            f" {amounts}, transact_time TIMESTAMP_NS, trade_id VARCHAR, order_id VARCHAR,"
            " counterparty_owner_id VARCHAR, fee_amount DECIMAL(38,18), fee_currency VARCHAR, fee_rate DECIMAL(9,6))"
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._duckdb.close()
        self._folder.cleanup()

    def add(self, legs: Columns) -> None:
        """Some more fills."""
        names = np.array([symbol.name for symbol in SYMBOLS], dtype=object)
        price = np.array([symbol.price_scale for symbol in SYMBOLS])[legs["symbol"]]
        quantity = np.array([symbol.quantity_scale for symbol in SYMBOLS])[legs["symbol"]]
        columns = {
            **legs,
            "name": names[legs["symbol"]],
            "of": self._accounts[legs["account"]],
            "against": self._accounts[legs["counterparty"]],
            **{f"{name}_unit": _units(scale) for name, scale in (("price", price), ("quantity", quantity))},
            "notional_unit": _units(price + quantity),
        }
        self._duckdb.register("legs", columns)
        self._duckdb.execute(
            "INSERT INTO fills SELECT 'T' || lpad(exec::VARCHAR, 12, '0') || CASE leg WHEN 1 THEN 'M' ELSE 'T' END,"
            " of, name, CASE side WHEN 1 THEN 'buy' ELSE 'sell' END,"
            " CASE liquidity WHEN 1 THEN 'maker' ELSE 'taker' END,"
            f" {_decimal('price')}, {_decimal('quantity')}, {_decimal('notional')}, make_timestamp_ns(time_ns),"
            f' trade::VARCHAR, "order"::VARCHAR, against, fee::DECIMAL(19,0) * {_FEE_UNIT}::DECIMAL(19,18),'
            " fee_currency, rate_ppm::DECIMAL(9,0) * 0.000001::DECIMAL(7,6)"
            " FROM legs"
        )
        self._duckdb.unregister("legs")

    def write(self, path: Path) -> int:
        """The file; how many fills it has."""
        chosen = "*"
        if path.suffix != ".parquet":  # decimals without the zeros of their type, times as ISO 8601
            texts = ", ".join(
                f"rtrim(rtrim({name}::VARCHAR, '0'), '.') AS {name}"
                for name in ("last_px", "last_qty", "notional", "fee_amount", "fee_rate")
            )
            nanos = "lpad((epoch_ns(transact_time) % 1000000000)::VARCHAR, 9, '0')"
            time = f"strftime(transact_time, '%Y-%m-%dT%H:%M:%S.') || {nanos} || 'Z'"
            chosen = f"* REPLACE ({texts}, {time} AS transact_time)"
        named = str(path).replace("'", "''")
        count: int = self._duckdb.execute(
            f"COPY (SELECT {chosen} FROM fills ORDER BY transact_time, exec_id) TO '{named}' {_FORMATS[path.suffix]}"
        ).fetchall()[0][0]
        return count


def _units(scales: Any) -> Any:
    """One tick, in units of 10^-18."""
    return 10 ** (18 - scales)


def _decimal(name: str) -> str:
    return f"({name}::HUGEINT * {name}_unit)::DECIMAL(38,0) * 0.000000000000000001::DECIMAL(18,18)"


def _out(text: str) -> Path:
    path = _written(text)
    if path.suffix not in _FORMATS:
        raise argparse.ArgumentTypeError(f"{text!a} ends with none of {', '.join(_FORMATS)}")
    return path


def _written(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!a} is no place for a file")
    return path


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 100_000_000:
        raise argparse.ArgumentTypeError(f"{text!a} is not a number from 1 to 100,000,000")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="write_fills.py",
        description=__doc__.partition("\n")[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--trades", type=_count, default=50_000, metavar="N", help="two fills each (default %(default)s)")
    add("--seed", type=_count, default=7, metavar="S", help="another one is another market (default %(default)s)")
    add("--accounts", type=_count, default=1_000, metavar="N", help="default %(default)s")
    add("--days", type=_count, default=2, metavar="N", help="from 2024-06-03 (default %(default)s)")
    add("--rates", type=Path, default=FOLDER / "rates.csv", metavar="FILE", help="what the engine charges, in ppm"
        " (default: rates.csv beside this)")  # fmt: skip
    add("--out", type=_out, metavar="FILE", help="the file: .csv, .jsonl or .parquet")
    add("--send", metavar="HOST:PORT", help="send the fills to this ledger too")
    add("--plant", type=_written, metavar="FILE", help="put one of each kind of break in, and list them in this file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
