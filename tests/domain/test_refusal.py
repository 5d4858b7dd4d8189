"""The reasons of the house are those of the contract."""

from __future__ import annotations

from ledger.domain.refusal import Reason
from ledger.v1 import refusal_pb2


def test_reasons_have_the_names_and_numbers_of_the_contract() -> None:
    contract = {name.removeprefix("REASON_"): number for name, number in refusal_pb2.Reason.items()}
    assert contract.pop("UNSPECIFIED") == 0
    assert {reason.name: reason.value for reason in Reason} == contract
