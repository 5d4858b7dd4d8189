"""Credits by hand."""

from __future__ import annotations

from datetime import date
from typing import Unpack

from ledger.client.generated import Generated
from ledger.client.plain import Amount, amount, utc_day
from ledger.client.requests import Command
from ledger.v1 import command_service_pb2 as commands_pb


class BackOffice(Generated):
    """Methods of the back office with other values than the contract has."""

    def credit_fee(
        self,
        account_id: str,
        *,
        day: date | str,
        credit: Amount,
        currency: str,
        reason_code: str,
        **command: Unpack[Command],
    ) -> commands_pb.CreditFeeResponse:
        """Credit an account on a UTC day; it takes an approver. The position of the receipt names the credit."""
        request = commands_pb.CreditFeeRequest(
            account_id=account_id,
            day=utc_day(day, "day"),
            amount=amount(credit, "credit"),
            currency=currency,
            reason_code=reason_code,
        )
        return self._command(self._command_service.CreditFee, request, **command)
