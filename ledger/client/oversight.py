"""Rates of a pair's own, and the controls there are."""

from __future__ import annotations

from typing import Unpack

from ledger.client.generated import Generated
from ledger.client.plain import Amount, Time, amount, timestamp
from ledger.client.requests import Command
from ledger.v1 import control_service_pb2 as controls_pb
from ledger.v1 import programme_service_pb2 as programmes_pb


class Oversight(Generated):
    """Methods about programmes and controls with other values than the contract has."""

    def set_pair_rates(
        self,
        symbol: str,
        *,
        maker_rate: Amount | None = None,
        taker_rate: Amount | None = None,
        valid_from: Time | None = None,
        programme_id: str = "",
        **command: Unpack[Command],
    ) -> programmes_pb.SetPairRatesResponse:
        """Give a pair rates of its own, as decimal fractions, from now on if not said; without any, end them."""
        request = programmes_pb.SetPairRatesRequest(
            symbol=symbol,
            maker_rate="" if maker_rate is None else amount(maker_rate, "maker_rate"),
            taker_rate="" if taker_rate is None else amount(taker_rate, "taker_rate"),
            valid_from=timestamp(valid_from, "valid_from"),
            programme_id=programme_id,
        )
        return self._command(self._programme_service.SetPairRates, request, **command)

    def list_controls(self, *, timeout_s: float | None = None) -> list[controls_pb.Control]:
        """The controls there are."""
        found = self._call(self._control_service.ListControls, controls_pb.ListControlsRequest(), timeout_s)
        return list(found.controls)
