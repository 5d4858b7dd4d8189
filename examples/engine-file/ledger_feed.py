"""The engine's line to the ledger: symbols, trials, and its fills as columns over StreamFills, without gaps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import grpc
import numpy as np
from market import START_NS, SYMBOLS, Columns, Market

from ledger.client import Client, LedgerError
from ledger.v1 import fill_service_pb2 as pb
from ledger.v1.fill_service_pb2_grpc import FillServiceStub

BATCH: Final = 5_000
_MINUTES: Final = 30


class Refused(Exception):
    """The ledger did not take what it was sent."""


@dataclass
class Fed:
    """Counts of what became of the fills."""

    ledger_id: str = ""
    recorded: int = 0
    replayed: int = 0


def send(address: str, market: Market, legs: Iterator[Columns]) -> Fed:
    """Send everything; what the ledger has of it already is trimmed. Raises Refused and grpc.RpcError."""
    _register(address, market)
    fed, sent = Fed(), 0

    def requests() -> Iterator[pb.StreamFillsRequest]:
        nonlocal sent
        for columns in legs:
            for first in range(0, len(columns["exec"]), BATCH):
                part = {name: column[first : first + BATCH] for name, column in columns.items()}
                batch = pb.RecordFillsRequest(
                    source=market.source, first_sequence=sent + 1, columns=_columns(market, part)
                )
                sent += len(part["exec"])
                yield pb.StreamFillsRequest(batch=batch)

    with grpc.insecure_channel(address) as channel:
        for answer in FillServiceStub(channel).StreamFills(requests(), timeout=60 * _MINUTES):
            batch = answer.batch
            if batch.refusals:
                first = batch.refusals[0]
                raise Refused(f"{len(batch.refusals)} fills of a batch were refused, the first: {first.message}")
            fed.ledger_id, fed.recorded, fed.replayed = (
                batch.ledger_id,
                fed.recorded + batch.recorded,
                fed.replayed + batch.replayed,
            )
    return fed


def _register(address: str, market: Market) -> None:
    with Client(address, connect_timeout_s=5) as ledger:
        try:
            for symbol in SYMBOLS:
                base, _, quote = symbol.name.partition("_")
                ledger.register_symbol(
                    symbol.name,
                    base_currency=base,
                    quote_currency=quote,
                    price_scale=symbol.price_scale,
                    quantity_scale=symbol.quantity_scale,
                    pair_class=symbol.pair_class,
                    request_id=f"engine-file-{symbol.name}",
                )
            for number in range(market.accounts):
                if market.is_member(number):
                    name = market.account(number)
                    ledger.start_trial(name, start_time=START_NS, request_id=f"trial-{name}")
        except LedgerError as error:
            raise Refused(f"the ledger at {address}: {error}") from error


def _columns(market: Market, legs: Columns) -> pb.FillColumns:
    accounts, index = np.unique(np.concatenate((legs["account"], legs["counterparty"])), return_inverse=True)
    names = [market.account(number) for number in accounts.tolist()]
    count = len(legs["exec"])
    exec_ids = [
        f"T{number:012}{'?MT'[leg]}" for number, leg in zip(legs["exec"].tolist(), legs["leg"].tolist(), strict=True)
    ]
    return pb.FillColumns(
        account_ids=names,
        account_index=_integers(index[:count]),
        symbols=[
            pb.SymbolScale(symbol=each.name, price_scale=each.price_scale, quantity_scale=each.quantity_scale)
            for each in SYMBOLS
        ],
        symbol_index=_integers(legs["symbol"]),
        exec_id=np.array(exec_ids, dtype=bytes).tobytes(),
        side=legs["side"].astype(np.uint8).tobytes(),
        liquidity=legs["liquidity"].astype(np.uint8).tobytes(),
        last_px=_integers(legs["price"]),
        last_qty=_integers(legs["quantity"]),
        transact_time_ns=_integers(legs["time_ns"]),
        trade_number=_integers(legs["trade"]),
        order_number=_integers(legs["order"]),
        counterparty_owner_id=np.array(names, dtype=bytes)[index[count:]].tobytes(),
    )


def _integers(values: Any) -> bytes:
    return bytes(values.astype("<u8").tobytes())
