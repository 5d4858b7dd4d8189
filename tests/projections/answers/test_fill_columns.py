"""Fills as columns are the lines of the log, whatever their runs are like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ledger.domain.instants import SECOND_NS
from ledger.domain.money import decimal_text
from projections.answers.fill_columns import FillChunk, FillSpan, fill_chunks
from tests.conftest import NOON_NS, Ledger, at
from tests.samples import batch, fill, history, symbol
from tests.server.calls import head, send

BEYOND_INT64 = "9007199254740993.1"  # with 4 decimals of quantity


@pytest.fixture
def traded(ledger: Ledger) -> Ledger:
    """Runs of alice and bob, of two sources, one with an amount that int64 does not hold."""
    send(ledger, symbol())
    for number, quantity in enumerate(("10", BEYOND_INT64, "0.0001")):
        fills = [
            fill(
                account_id=account,
                exec_id=f"E{number}-{account}",
                last_qty=quantity,
                transact_time=at(NOON_NS - (3 - number) * SECOND_NS),
                trade_id="77" if number else "T7",
                order_id=f"O{number}",
                counterparty_owner_id="zoe",
            )
            for account in ("alice", "bob")
        ]
        send(ledger, batch(*fills, source=f"engine-{number % 2}", first_sequence=1 + 2 * (number // 2)))
    return ledger


def rows(chunks: Iterator[FillChunk]) -> list[dict[str, Any]]:
    return [
        dict(zip(chunk.columns, values, strict=True))
        for chunk in chunks
        for values in zip(*(column.tolist() for column in chunk.columns.values()), strict=True)
    ]


def span(ledger: Ledger, **changes: Any) -> FillSpan:
    return FillSpan(**{"from_ns": 0, "until_ns": NOON_NS, "known": head(ledger), **changes})


def test_each_line_has_its_values(traded: Ledger) -> None:
    found = {(row["account_id"], row["exec_id"]): row for row in rows(fill_chunks(traded.log, span(traded)))}
    lines = [line for account in ("alice", "bob") for line in history(traded, account)]
    assert len(found) == len(lines) == 6
    for line in lines:
        row = found[line.fill_ref.account_id, line.fill_ref.exec_id]
        assert (row["position"], row["line"], row["venue"]) == (line.line_ref.position, line.line_ref.line, "bitmart")
        assert row["time_ns"] == line.transact_time.ToNanoseconds()
        assert (row["symbol"], row["quote_currency"], row["fee_currency"]) == ("XRP_USDT", "USDT", "USDT")
        assert (row["side"], row["liquidity"], row["rate_ppm"]) == (line.side, line.liquidity, 2500)
        for name, text, scale in (
            ("price", line.last_px, row["price_scale"]),
            ("quantity", line.last_qty, row["quantity_scale"]),
            ("fee", line.fee_amount, row["fee_decimals"]),
        ):
            assert decimal_text(int(row[name]), scale) == text
        assert (row["trade_id"], row["order_id"]) == (line.trade_id, line.order_id)
        assert row["counterparty_owner_id"] == "zoe"


def test_wide_amounts_come_in_chunks_of_their_own_with_their_notional(traded: Ledger) -> None:
    chunks = list(fill_chunks(traded.log, span(traded)))
    assert sorted((chunk.wide, len(chunk)) for chunk in chunks) == [(False, 4), (True, 2)]
    (wide,) = (chunk for chunk in chunks if chunk.wide)
    assert wide.columns["notional"].tolist() == [str(int(wide.columns["price"][0]) * 90071992547409931000)] * 2


@pytest.mark.parametrize(
    ("changes", "exec_ids"),
    [
        ({"until_ns": NOON_NS - SECOND_NS}, ["E0", "E1"]),
        ({"until_ns": NOON_NS - SECOND_NS + 1}, ["E0", "E1", "E2"]),
        ({"from_ns": NOON_NS - SECOND_NS}, ["E2"]),
        ({"from_ns": NOON_NS - SECOND_NS + 1}, []),
        ({"sources": ["engine-1"]}, ["E1"]),
        ({"sources": ["engine-2"]}, []),
        ({"venues": ["elsewhere"]}, []),
        ({"known": 0}, []),
    ],
    ids=str,
)
def test_a_span_holds_its_period_its_sources_and_what_was_known(
    traded: Ledger, changes: dict[str, Any], exec_ids: list[str]
) -> None:
    found = rows(fill_chunks(traded.log, span(traded, **changes)))
    assert sorted({row["exec_id"].partition("-")[0] for row in found}) == exec_ids
    assert {row["account_id"] for row in rows(fill_chunks(traded.log, span(traded, accounts=["bob"])))} == {"bob"}
