"""Commands for accounts, symbols and currencies of a test's own."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from ledger.programmes import packaged
from ledger.v1 import command_service_pb2 as pb
from ledger.v1 import programme_service_pb2 as programmes_pb
from tests.samples import FOUR_EYES, request_id


def register(account_id: str, owner_id: str = "", **changes: Any) -> pb.RegisterAccountRequest:
    """An account of an owner."""
    changes.setdefault("request_id", request_id())
    return pb.RegisterAccountRequest(account_id=account_id, owner_id=owner_id, **changes)


def family(owner_id: str, *account_ids: str) -> list[Message]:
    """Accounts of one owner."""
    return [register(account_id, owner_id) for account_id in account_ids]


def trial(account_id: str, **changes: Any) -> pb.StartTrialRequest:
    """A trial from now on."""
    changes.setdefault("request_id", request_id())
    return pb.StartTrialRequest(account_id=account_id, **changes)


def tier(account_id: str, name: str = "VIP1", **changes: Any) -> pb.ChangeTierRequest:
    """A tier from now on, without an end."""
    values = {"request_id": request_id(), "authority": FOUR_EYES, **changes}
    return pb.ChangeTierRequest(account_id=account_id, tier=name, **values)


def revoke(account_id: str, grant_id: str = "g1", **changes: Any) -> pb.RevokeTierRequest:
    """The end of a grant, now."""
    changes.setdefault("request_id", request_id())
    return pb.RevokeTierRequest(account_id=account_id, grant_id=grant_id, **changes)


def ban(account_id: str, days: int = 1, **changes: Any) -> pb.BanAccountRequest:
    """A ban from now on."""
    values = {"request_id": request_id(), "reason_code": "ORDER_SPAM", **changes}
    return pb.BanAccountRequest(account_id=account_id, days=days, **values)


def lift(account_id: str, **changes: Any) -> pb.LiftBanRequest:
    """The end of a ban, now."""
    values = {"request_id": request_id(), "authority": FOUR_EYES, **changes}
    return pb.LiftBanRequest(account_id=account_id, **values)


def publish(version: str, *texts: tuple[str, str], **changes: Any) -> programmes_pb.PublishProgrammeRequest:
    """A version of the packaged programme from now on, with some texts of the file replaced."""
    content = packaged().replace('version = "3.0"', f'version = "{version}"')
    for old, new in texts:
        assert old in content, old
        content = content.replace(old, new)
    values = {"request_id": request_id(), "authority": FOUR_EYES, "content": content, **changes}
    return programmes_pb.PublishProgrammeRequest(**values)


def assign(name: str, pair_class: str, **changes: Any) -> programmes_pb.AssignPairClassRequest:
    """A class of a pair from now on."""
    changes.setdefault("request_id", request_id())
    return programmes_pb.AssignPairClassRequest(symbol=name, pair_class=pair_class, **changes)


def own_rates(name: str, maker: str = "", taker: str = "", **changes: Any) -> programmes_pb.SetPairRatesRequest:
    """Rates of a pair's own from now on."""
    changes.setdefault("request_id", request_id())
    return programmes_pb.SetPairRatesRequest(symbol=name, maker_rate=maker, taker_rate=taker, **changes)


def currency(name: str, decimals: int = 6, **changes: Any) -> pb.RegisterCurrencyRequest:
    """A currency."""
    changes.setdefault("request_id", request_id())
    return pb.RegisterCurrencyRequest(currency=name, decimals=decimals, **changes)
