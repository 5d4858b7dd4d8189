"""What the wire says of a refusal is what the contract's comments promise."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
from google.rpc.code_pb2 import Code

from ledger.domain.refusal import Reason
from ledger.wire.status import code_of

CONTRACT: Final = Path(__file__).parents[2] / "proto/ledger/v1/refusal.proto"
_REASON: Final = re.compile(r"^ *// ([A-Z_]+)\. .*\n(?: *//.*\n)* *REASON_([A-Z0-9_]+) = \d+;", re.MULTILINE)


def promised() -> dict[str, str]:
    """The status code named first in the comment of each reason, by reason."""
    return {reason: code for code, reason in _REASON.findall(CONTRACT.read_text())}


def test_the_contract_names_a_status_code_for_every_reason() -> None:
    assert set(promised()) == {reason.name for reason in Reason}


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.name)
def test_the_status_code_of_a_reason_is_the_one_its_comment_names_first(reason: Reason) -> None:
    assert Code.Name(code_of(reason)) == promised()[reason.name]
