"""All that these tests ask of the mechanism: the one module that knows how its commands and fields are called."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from ledger.domain.events import FactReleased, ReleaseAdvanced
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
PROGRAMME = "bitmart-api-vip"


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


def classifying(ledger: Ledger, name: str, pair_class: str, from_ns: int) -> tuple[Any, Any]:
    """AssignPairClass, and what it is asked."""
    request = programme_service_pb2.AssignPairClassRequest(pair_class=pair_class, **_of_pair(name, from_ns))
    return ProgrammeServiceStub(ledger.channel).AssignPairClass, request


def pricing(ledger: Ledger, name: str, rates: tuple[str, str], from_ns: int) -> tuple[Any, Any]:
    """SetPairRates, and what it is asked; two empty rates take those of the pair away."""
    maker, taker = rates
    request = programme_service_pb2.SetPairRatesRequest(maker_rate=maker, taker_rate=taker, **_of_pair(name, from_ns))
    return ProgrammeServiceStub(ledger.channel).SetPairRates, request


def _of_pair(name: str, from_ns: int) -> dict[str, Any]:
    return {"request_id": request_id(), "authority": FOUR_EYES, "symbol": name, "valid_from": at(from_ns)}


def releasing(ledger: Ledger, account_id: str, fact_position: int) -> tuple[Any, Any]:
    """ReleaseFact, and what it is asked; without an account it is about one of all accounts."""
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


def withheld_from_all(ledger: Ledger, known: int = 0) -> set[int]:
    """The positions of facts of many accounts that are withheld from all of them."""
    return all_withheld(ledger, "", known)[""]


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
    """By how much more or less lines would be charged, by currency, as a preview says it of all commits."""
    preview, found = answer.receipt.preview, defaultdict[str, Decimal](Decimal)
    assert preview.later.complete or not preview.HasField("later"), preview.later
    for one in (*preview.differences, *preview.later.differences):
        found[one.currency] += Decimal(one.amount)
    return {currency: amount for currency, amount in found.items() if amount}


def await_releases(ledger: Ledger) -> int:
    """Wait until each shared fact that is released has come to all accounts; the position at which that is so."""
    wait_for(lambda: not _under_way(ledger), 60)
    return int(ledger.log.head().position)


def _under_way(ledger: Ledger) -> set[int]:
    """The positions of releases that have not come to all accounts."""
    names = [f"programme/{PROGRAMME}", f"release/{PROGRAMME}"]
    events = [(each.position, each.event) for each in ledger.log.streams(names, ledger.log.head().position)]
    ended = {
        event.release_position
        for _, event in events
        if isinstance(event, ReleaseAdvanced) and not event.until_account_id
    }
    return {position for position, event in events if isinstance(event, FactReleased)} - ended


def await_repricings(ledger: Ledger) -> None:
    """Wait until all lines that are restated part by part are."""
    wait_for(lambda: not open_repricings(ledger.log, ledger.log.head().position), 60)


class Told(NamedTuple):
    """A line as GetFill says it, and the facts that it was adjusted for."""

    now: tuple[Any, ...]  # fee, currency, rate, discount, tier, and what `rests` says
    causes: list[int]


def fill(ledger: Ledger, account_id: str, trade: Trade, read_at: ReadAt) -> Told:
    """A line."""
    day = at(trade.at_ns).ToJsonString()[:10]
    ref = fill_pb2.FillRef(account_id=account_id, day=day, exec_id=trade.exec_id)
    found = ledger.queries.GetFill(pb.GetFillRequest(fill_ref=ref, at=read_at))
    line, basis = found.line, found.line.basis
    causes = [int(one.adjustment.cause_position) for one in found.adjustments]
    fee = (Decimal(line.fee_amount), line.fee_currency, Decimal(basis.rate), Decimal(basis.discount), basis.tier)
    return Told((*fee, *rests(line)), causes)


def quote(ledger: Ledger, account_id: str, trade: Trade, read_at: ReadAt) -> tuple[Any, ...]:
    """What a trade over the API would cost, and what that rests on, as `fill` says it of a line."""
    request = pb.QuoteFeeRequest(
        account_id=account_id,
        symbol=trade.symbol,
        side=fill_pb2.SIDE_BUY,
        liquidity=fill_pb2.LIQUIDITY_MAKER if trade.maker else fill_pb2.LIQUIDITY_TAKER,
        channel=fill_pb2.CHANNEL_API,
        last_px=f"{trade.price:f}",
        last_qty=f"{trade.quantity:f}",
        at=read_at,
    )
    found = ledger.queries.QuoteFee(request)
    basis = found.fee_basis
    fee = (Decimal(found.fee_amount), found.fee_currency, Decimal(basis.rate), Decimal(basis.discount), basis.tier)
    return (*fee, found.banned, basis.grant_id, False, basis.pair_class, basis.rate_source)


def rests(line: pb.FeeLine) -> tuple[bool, str, bool, str, str]:
    """(banned, grant, self-trade, pair class, source of the rate) of a line."""
    return line.banned, line.basis.grant_id, line.self_trade, line.basis.pair_class, line.basis.rate_source
