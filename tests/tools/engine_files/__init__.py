"""Engine's files for tests: the fills of a ledger as an engine would export them, in every format, with changes."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from ledger.v1 import fill_pb2
from ledger.v1.query_service_pb2 import FeeLine

Row = dict[str, str]


def row_of(line: FeeLine) -> Row:
    """A line of the ledger under the names that ListFeeHistory gives, as an engine prints it."""
    time = line.transact_time
    return {
        "exec_id": line.fill_ref.exec_id,
        "account_id": line.fill_ref.account_id,
        "symbol": line.symbol,
        "side": fill_pb2.Side.Name(line.side).removeprefix("SIDE_").lower(),
        "liquidity": fill_pb2.Liquidity.Name(line.liquidity).removeprefix("LIQUIDITY_").lower(),
        "last_px": line.last_px,
        "last_qty": line.last_qty,
        "notional": line.notional,
        "transact_time": f"{time.ToDatetime():%Y-%m-%dT%H:%M:%S}.{time.nanos:09}Z",
        "trade_id": line.trade_id,
        "order_id": line.order_id,
        "counterparty_owner_id": line.counterparty_owner_id,
        "fee_amount": line.fee_amount,
        "fee_currency": line.fee_currency,
        "fee_rate": line.basis.rate,
    }


def write_csv(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """With the columns of the first row."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def write_json_lines(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """Amounts are numbers, printed as they are, not texts."""
    path.write_text("".join(f"{_object(row)}\n" for row in rows))
    return path


def write_json_list(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """The same as one list."""
    path.write_text(f"[{', '.join(map(_object, rows))}]")
    return path


def write_parquet(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """Amounts are DECIMAL(38,18), times are timestamps."""
    types = {"last_px": "DECIMAL(38,18)", "last_qty": "DECIMAL(38,18)", "fee_amount": "DECIMAL(38,18)"}
    types |= {"fee_rate": "DECIMAL(9,6)", "transact_time": "TIMESTAMP_NS"}
    with duckdb.connect() as connection:
        declared = ", ".join(f"{name} {types.get(name, 'VARCHAR')}" for name in rows[0])
        connection.execute(f"CREATE TABLE fills ({declared})")
        for row in rows:
            values = [value.removesuffix("Z") if name == "transact_time" else value for name, value in row.items()]
            connection.execute(f"INSERT INTO fills VALUES ({', '.join('?' for _ in values)})", values)
        connection.execute(f"COPY fills TO '{path}' (FORMAT parquet)")
    return path


_NUMBERS = ("last_px", "last_qty", "notional", "fee_amount", "fee_rate")


def _object(row: Mapping[str, str]) -> str:
    parts = []
    for name, value in row.items():
        printed = value if name in _NUMBERS and value else json.dumps(value)
        parts.append(f"{json.dumps(name)}: {printed}")
    return f"{{{', '.join(parts)}}}"
