"""All that these tests ask of the mechanism: the one module that knows how its commands and fields are called."""

from __future__ import annotations

import re
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
from tests.conftest import Ledger, at
from tests.properties.late_facts import FLAGS, GRANTS, REVOCATIONS, VOLUME
from tests.properties.notebook import Trade
from tests.samples import FOUR_EYES, request_id

KEYS = {GRANTS: ["grants"], REVOCATIONS: ["revocations"], FLAGS: ["flags", "unflags"], VOLUME: ["volume"]}
DECIDING = Authority(actor="ops-5", approver="ops-6", reason="seen and agreed")


def with_switches(content: str, version: str, switches: Mapping[str, str]) -> str:
    """A programme file as another version, with what becomes of late facts by cause."""
    content = re.sub(r'^version = ".*"', f'version = "{version}"', content, count=1, flags=re.M)
    content = re.sub(r"^(late_grant|clawback) = .*\n", "", content, flags=re.M)
    content = re.sub(r"^\[adjust\]\n(?:[^\[].*\n|\n)*", "", content, flags=re.M)
    lines = [f'{key} = "{switch}"' for cause, switch in switches.items() for key in KEYS[cause]]
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


def release(ledger: Ledger, account_id: str, fact_position: int) -> int:
    """Have a fact released; the position of that."""
    request = commands.ReleaseFactRequest(**_ruling(account_id, fact_position))
    return int(ledger.commands.ReleaseFact(request).receipt.position)


def decline(ledger: Ledger, account_id: str, fact_position: int) -> int:
    """Have a fact declined; the position of that."""
    request = commands.DeclineFactRequest(**_ruling(account_id, fact_position))
    return int(ledger.commands.DeclineFact(request).receipt.position)


def _ruling(account_id: str, fact_position: int) -> dict[str, Any]:
    asks = {"request_id": request_id(), "authority": DECIDING}
    return {**asks, "account_id": account_id, "fact_position": fact_position}


def withheld(ledger: Ledger, account_id: str, known: int = 0) -> set[int]:
    """The positions of facts of an account that are withheld, as known at a position or now."""
    at_position = ReadAt(known_at_position=known) if known else ReadAt()
    request = controls.ListWithheldRequest(account_id=account_id, at=at_position)
    return {int(one.fact_position) for one in ControlServiceStub(ledger.channel).ListWithheld(request).facts}


class Told(NamedTuple):
    """A line as GetFill says it, and the facts that it was adjusted for."""

    now: tuple[Decimal, str, Decimal, Decimal, str, bool]  # fee, currency, rate, discount, tier, banned
    causes: list[int]


def fill(ledger: Ledger, account_id: str, trade: Trade, read_at: ReadAt) -> Told:
    """A line."""
    day = at(trade.at_ns).ToJsonString()[:10]
    ref = fill_pb2.FillRef(account_id=account_id, day=day, exec_id=trade.exec_id)
    found = ledger.queries.GetFill(pb.GetFillRequest(fill_ref=ref, at=read_at))
    line, basis = found.line, found.line.basis
    rests = (Decimal(basis.rate), Decimal(basis.discount), basis.tier, line.banned)
    causes = [int(one.adjustment.cause_position) for one in found.adjustments]
    return Told((Decimal(line.fee_amount), line.fee_currency, *rests), causes)
