"""Trade tapes for tests, what they must come to, and what a ledger has of them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from ledger.v1.query_service_pb2 import FeeLine, ListFeeHistoryRequest
from tests.tools import running

SYMBOL: Final = "XRP_ETH"
ACCOUNTS: Final = 7  # few, so that many trades are self-trades
NOBODY: Final = "127.0.0.1:1"  # no ledger listens there

_START_MS: Final = 1_570_838_390_000  # 2019-10-11 23:59:50 UTC
_PRICES: Final = ("0.00141342", "0.0014158", "1e-05", "9.7e-7", "2E-06", "0.25", "3", "0.001415570")
_AMOUNTS: Final = (
    "9007199254740993.0",
    "23.0",
    "581.0",
    "0.5",
    "1.0",
    "3.0",
    "1e3",
    "12.345",
    "0.00000001",
)  # no float holds the first
_NOISE: Final = ("0", "0", "-0.000000000000000002", "0.000000000000000064")  # as of costs that were floats once

Row = tuple[str, str, str, str, str, str]  # time_ms, id, side, price, amount, cost: as the file prints them
Totals = dict[str, tuple[int, Decimal]]  # by account: (lines, fees)


def tape(trades: int, seed: int = 1) -> list[Row]:
    """Rows with several trades in one millisecond, days that cross midnight, exponents, costs that are a little off."""
    chance = random.Random(seed)
    rows: list[Row] = [(str(_START_MS), "13519812", "buy", "0.00141557", "11.0", "0.015571269999999998")]
    time_ms = _START_MS
    for number in range(1, trades):
        time_ms += chance.choice((0, 0, 1, 977, 700_000_000 // trades))
        price, amount = chance.choice(_PRICES), chance.choice(_AMOUNTS)
        cost = Decimal(price) * Decimal(amount) + Decimal(chance.choice(_NOISE))
        side = chance.choice(("buy", "sell"))
        rows.append((str(time_ms), str(13_520_000 + number), side, price, amount, format(cost, chance.choice("fe"))))
    return rows


def as_json(rows: list[Row]) -> bytes:
    """A list of rows; every other id is a number."""
    lines = (
        f'[{time_ms},{number if index % 2 else json.dumps(number)},null,"{side}",{price},{amount},{cost}]'
        for index, (time_ms, number, side, price, amount, cost) in enumerate(rows)
    )
    return f"[{','.join(lines)}]".encode()


def as_csv(rows: list[Row]) -> bytes:
    """Columns in another order, and one that nobody asked for."""
    lines = (
        f'{number},"{side}",,{price},{cost},{amount},{time_ms}' for time_ms, number, side, price, amount, cost in rows
    )
    return "\r\n".join(["id,side,note,price,cost,amount,time_ms", *lines, ""]).encode()


def reckon(path: Path, symbol: str = SYMBOL) -> Totals:
    """What each account pays for a tape at 0.25 %: knows nothing of the tool or of the ledger."""
    content = path.read_bytes()
    text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode()
    if text.startswith("["):
        rows = [(row[1], row[4], row[5]) for row in json.loads(text, parse_float=Decimal, parse_int=Decimal)]
    else:
        table = csv.DictReader(io.StringIO(text))
        rows = [(row["id"], Decimal(row["price"]), Decimal(row["amount"])) for row in table]
    totals: Totals = {}
    with localcontext() as exact:
        exact.prec = 90
        for number, price, amount in rows:
            fee = (price * amount * Decimal("0.0025")).quantize(Decimal("0.00000001"), ROUND_HALF_EVEN)
            for leg in ("M", "T"):
                digest = sha256(f"{symbol}-{number}-{leg}".encode()).hexdigest()
                account_id = f"acct-{int(digest, 16) % ACCOUNTS + 1:05d}"
                lines, total = totals.get(account_id, (0, Decimal(0)))
                totals[account_id] = (lines + 1, total + fee)
    return totals


def recorded_lines(queries: Any, symbol: str = SYMBOL) -> dict[str, list[FeeLine]]:
    """A symbol's fee lines by account, of all accounts a tape can have met; no fill stands in two of them."""
    found: dict[str, list[FeeLine]] = {}
    for number in range(1, ACCOUNTS + 1):
        request = ListFeeHistoryRequest(account_id=f"acct-{number:05d}", page_size=100)
        while request.page_token or request.account_id not in found:
            page = queries.ListFeeHistory(request)
            found.setdefault(request.account_id, []).extend(page.lines)
            request.page_token = page.next_page_token
        nets = [Decimal(total.net) for total in page.totals]
        assert sum(nets) == sum(Decimal(line.fee_amount) for line in found[request.account_id])
        found[request.account_id] = [line for line in found[request.account_id] if line.symbol == symbol]
    exec_ids = [line.fill_ref.exec_id for lines in found.values() for line in lines]
    assert len(exec_ids) == len(set(exec_ids))
    return found


def recorded(queries: Any, symbol: str = SYMBOL) -> Totals:
    """What a ledger has charged each account."""
    return {
        account_id: (len(lines), sum((Decimal(line.fee_amount) for line in lines), Decimal(0)))
        for account_id, lines in recorded_lines(queries, symbol).items()
        if lines
    }


def command(path: Path, address: str, *more: str, symbol: str = SYMBOL) -> list[str]:
    """What is typed after fee-ledger for an import."""
    names = ["--symbol", symbol, "--pair-class", "C", "--accounts", str(ACCOUNTS), "--address", address]
    return ["import", str(path), *names, *more]


def run(path: Path, address: str, *more: str, symbol: str = SYMBOL) -> running.Ran:
    """An import, run to its end."""
    return running.run(*command(path, address, *more, symbol=symbol))


def summary(output: str) -> dict[str, str]:
    """The table that an import prints."""
    return {line[:20].strip(): line[20:] for line in output.splitlines()}


def source_of(path: Path, symbol: str = SYMBOL) -> str:
    """The name under which an import numbers the fills of a tape."""
    return summary(run(path, NOBODY, "--dry-run", symbol=symbol).out)["source"]
