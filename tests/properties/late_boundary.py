"""All that these tests ask of the mechanism: the one module that knows how its commands and fields are called."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from ledger.v1 import command_service_pb2 as commands
from ledger.v1 import control_service_pb2 as controls
from ledger.v1 import fill_pb2, programme_service_pb2
from ledger.v1 import query_service_pb2 as pb
from ledger.v1.command_pb2 import Authority
from ledger.v1.control_service_pb2_grpc import ControlServiceStub
from ledger.v1.programme_service_pb2_grpc import ProgrammeServiceStub
from ledger.v1.read_pb2 import ReadAt
from projections.repricings import open_repricings
from tests.conftest import Ledger, at
from tests.properties.notebook import Trade
from tests.samples import FOUR_EYES, request_id
from tests.waiting import wait_for

DECIDING = Authority(actor="ops-5", approver="ops-6", reason="seen and agreed")


def with_switches(content: str, version: str, switches: Mapping[str, str]) -> str:
    """A programme file as another version, with what becomes of late facts by cause."""
    content = re.sub(r'^version = ".*"', f'version = "{version}"', content, count=1, flags=re.M)
    content = re.sub(r"^(late_grant|clawback) = .*\n", "", content, flags=re.M)
    content = re.sub(r"^\[adjust\]\n(?:[^\[].*\n|\n)*", "", content, flags=re.M)
    lines = [f'{cause} = "{switch}"' for cause, switch in switches.items()]
    return "\n".join([content, "[adjust]", *lines, ""])


def publish(ledger: Ledger, version: str, switches: Mapping[str, str], from_ns: int) -> None:
    """Publish such a version of the programme in force, from an instant on."""
    programmes = ProgrammeServiceStub(ledger.channel)
    content = programmes.GetProgramme(programme_service_pb2.GetProgrammeRequest()).programme.content
    request = programme_service_pb2.PublishProgrammeRequest(
        request_id=request_id(),
        authority=FOUR_EYES,
        content=with_switches(content, version, switches),
        valid_from=at(from_ns),
    )
    programmes.PublishProgramme(request)


def releasing(ledger: Ledger, account_id: str, fact_position: int) -> tuple[Any, Any]:
    """ReleaseFact, and what it is asked."""
    return ledger.commands.ReleaseFact, commands.ReleaseFactRequest(**_ruling(account_id, fact_position))


def declining(ledger: Ledger, account_id: str, fact_position: int) -> tuple[Any, Any]:
    """DeclineFact, and what it is asked."""
    return ledger.commands.DeclineFact, commands.DeclineFactRequest(**_ruling(account_id, fact_position))


def release(ledger: Ledger, account_id: str, fact_position: int) -> int:
    """Have a fact released; the position of that."""
    stub, request = releasing(ledger, account_id, fact_position)
    return int(stub(request).receipt.position)


def decline(ledger: Ledger, account_id: str, fact_position: int) -> int:
    """Have a fact declined; the position of that."""
    stub, request = declining(ledger, account_id, fact_position)
    return int(stub(request).receipt.position)


def _ruling(account_id: str, fact_position: int) -> dict[str, Any]:
    asks = {"request_id": request_id(), "authority": DECIDING}
    return {**asks, "account_id": account_id, "fact_position": fact_position}


def withheld(ledger: Ledger, account_id: str, known: int = 0) -> set[int]:
    """The positions of facts of an account that are withheld, as known at a position or now."""
    return all_withheld(ledger, account_id, known)[account_id]


def all_withheld(ledger: Ledger, account_id: str = "", known: int = 0) -> dict[str, set[int]]:
    """The same by account, of one or of all."""
    at_position = ReadAt(known_at_position=known) if known else ReadAt()
    request = controls.ListWithheldRequest(account_id=account_id, at=at_position, page_size=10_000)
    found: dict[str, set[int]] = defaultdict(set)
    for one in ControlServiceStub(ledger.channel).ListWithheld(request).facts:
        found[one.account_id].add(int(one.fact_position))
    return found


def foresee(stub: Any, request: Any) -> Any:
    """The answer to come, where a command is decided and not recorded."""
    asked = type(request)()
    asked.CopyFrom(request)
    asked.validate_only = True
    return stub.future(asked)


def differences(answer: Any) -> dict[str, Decimal]:
    """By how much more or less lines would be charged, by currency, as a preview says it."""
    found = {one.currency: Decimal(one.amount) for one in answer.receipt.preview.differences}
    return {currency: amount for currency, amount in found.items() if amount}


def await_repricings(ledger: Ledger) -> None:
    """Wait until all lines that are restated part by part are."""
    wait_for(lambda: not open_repricings(ledger.log, ledger.log.head().position), 60)


class Told(NamedTuple):
    """A line as GetFill says it, and the facts that it was adjusted for."""

    now: tuple[Decimal, str, Decimal, Decimal, str, str, bool]  # fee, currency, rate, discount, tier, grant, banned
    causes: list[int]


def fill(ledger: Ledger, account_id: str, trade: Trade, read_at: ReadAt) -> Told:
    """A line."""
    day = at(trade.at_ns).ToJsonString()[:10]
    ref = fill_pb2.FillRef(account_id=account_id, day=day, exec_id=trade.exec_id)
    found = ledger.queries.GetFill(pb.GetFillRequest(fill_ref=ref, at=read_at))
    line, basis = found.line, found.line.basis
    rests = (Decimal(basis.rate), Decimal(basis.discount), basis.tier, basis.grant_id, line.banned)
    causes = [int(one.adjustment.cause_position) for one in found.adjustments]
    return Told((Decimal(line.fee_amount), line.fee_currency, *rests), causes)
