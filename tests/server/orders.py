"""Commands for accounts, symbols and currencies of a test's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.message import Message

from ledger.domain.instants import DAY_NS
from ledger.programmes import packaged
from ledger.v1 import command_service_pb2 as pb
from ledger.v1 import evaluation_service_pb2 as closes_pb
from ledger.v1 import member_service_pb2 as members_pb
from ledger.v1 import programme_service_pb2 as programmes_pb
from ledger.v1 import reward_service_pb2 as rewards_pb
from ledger.v1.command_pb2 import Authority
from tests.conftest import at
from tests.samples import FOUR_EYES, request_id
from tests.server.instants import A_DAY_AGO, IN_A_DAY, NOON


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
    values = {"request_id": request_id(), "authority": FOUR_EYES, **changes}
    return pb.RevokeTierRequest(account_id=account_id, grant_id=grant_id, **values)


def credit(amount: str = "5", **changes: Any) -> pb.CreditFeeRequest:
    """So many USDT that alice gets back on the day of noon."""
    values = {"account_id": "alice", "day": "2024-10-04", "currency": "USDT", "reason_code": "OUTAGE", **changes}
    return pb.CreditFeeRequest(request_id=request_id(), authority=FOUR_EYES, amount=amount, **values)


def withdraw(credit_position: int, **changes: Any) -> pb.WithdrawCreditRequest:
    """The end of a credit of alice."""
    values = {"account_id": "alice", "reason_code": "MISTAKE", "authority": FOUR_EYES, **changes}
    return pb.WithdrawCreditRequest(request_id=request_id(), credit_position=credit_position, **values)


def release_fact(fact_position: int, **changes: Any) -> pb.ReleaseFactRequest:
    """The release of a fact of alice that is withheld."""
    return pb.ReleaseFactRequest(**_about_fact(fact_position, changes))


def decline_fact(fact_position: int, **changes: Any) -> pb.DeclineFactRequest:
    """The end of all waiting for such a release."""
    return pb.DeclineFactRequest(**_about_fact(fact_position, changes))


def withdraw_fact(fact_position: int, **changes: Any) -> pb.WithdrawFactRequest:
    """The withdrawal of a fact of alice."""
    return pb.WithdrawFactRequest(**_about_fact(fact_position, changes))


def _about_fact(fact_position: int, changes: Mapping[str, Any]) -> dict[str, Any]:
    asks = {"request_id": request_id(), "authority": FOUR_EYES, "account_id": "alice"}
    return {**asks, "fact_position": fact_position, **changes}


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


def close(
    asset: str = "BTC", day: str = "2024-10-03", price: str = "60000", **changes: Any
) -> closes_pb.RecordDailyCloseRequest:
    """A daily close."""
    values = {"request_id": request_id(), "source": "binance-1d", "source_sha256": b"\x01" * 32, **changes}
    return closes_pb.RecordDailyCloseRequest(asset=asset, day=day, price=price, **values)


def run_evaluation(**changes: Any) -> closes_pb.RunEvaluationRequest:
    """The evaluation that was due last."""
    values = {"request_id": request_id(), "authority": FOUR_EYES, **changes}
    return closes_pb.RunEvaluationRequest(**values)


def classify(name: str, pair_class: str, **changes: Any) -> programmes_pb.AssignPairClassRequest:
    """A class of a pair from now on."""
    values = {"request_id": request_id(), "authority": FOUR_EYES, **changes}
    return programmes_pb.AssignPairClassRequest(symbol=name, pair_class=pair_class, **values)


def own_rates(name: str, maker: str = "", taker: str = "", **changes: Any) -> programmes_pb.SetPairRatesRequest:
    """Rates of a pair's own from now on."""
    values = {"request_id": request_id(), "authority": FOUR_EYES, **changes}
    return programmes_pb.SetPairRatesRequest(symbol=name, maker_rate=maker, taker_rate=taker, **values)


def currency(name: str, decimals: int = 6, **changes: Any) -> pb.RegisterCurrencyRequest:
    """A currency."""
    changes.setdefault("request_id", request_id())
    return pb.RegisterCurrencyRequest(currency=name, decimals=decimals, **changes)


DIGEST: Final = b"\x01" * 32
BOTH: Final = Authority(actor="ops-7", approver="ops-8")  # two persons


def flag(account_id: str, kind: int = 1, **changes: Any) -> members_pb.FlagAccountRequest:
    """A flag from now on, FAKE unless said."""
    changes.setdefault("request_id", request_id())
    return members_pb.FlagAccountRequest(account_id=account_id, kind=kind, **changes)


def unflag(account_id: str, **changes: Any) -> members_pb.UnflagAccountRequest:
    """The end of all flags, now."""
    values = {"request_id": request_id(), "authority": BOTH, **changes}
    return members_pb.UnflagAccountRequest(account_id=account_id, **values)


def request_match(account_id: str, spot: str = "500000", futures: str = "", **changes: Any) -> Any:
    """A match by `requester`, for the 30 days of volume before it, up to noon if nothing else is said."""
    until = changes.get("request_time", NOON)
    values = {
        "request_id": request_id(),
        "authority": Authority(actor="requester"),
        "venues": ["okx"],
        "external_tier": "VIP2",
        "period_from": at(until.ToNanoseconds() - 30 * DAY_NS),
        "period_until": until,
        "external_volume": members_pb.ExternalVolume(spot=spot, futures=futures),
        "evidence_sha256": DIGEST,
        **changes,
    }
    return members_pb.RequestMatchRequest(account_id=account_id, **values)


def approve_match(account_id: str, match_id: str = "m1", **changes: Any) -> members_pb.ApproveMatchRequest:
    """An approval by `ops-7`, now."""
    values = {"request_id": request_id(), "authority": BOTH, **changes}
    return members_pb.ApproveMatchRequest(account_id=account_id, match_id=match_id, **values)


def reject_match(account_id: str, match_id: str = "m1", **changes: Any) -> members_pb.RejectMatchRequest:
    """A no to a match, now."""
    values = {"request_id": request_id(), "reason_code": "EVIDENCE_FALSE", **changes}
    return members_pb.RejectMatchRequest(account_id=account_id, match_id=match_id, **values)


def application(account_id: str, **changes: Any) -> members_pb.SubmitApplicationRequest:
    """An application received now, with every step done but the community."""
    steps = dict.fromkeys(("account_opened", "api_key_created", "form_submitted"), True)
    return members_pb.SubmitApplicationRequest(
        account_id=account_id, **{"request_id": request_id(), **steps, **changes}
    )


def verify(account_id: str, **changes: Any) -> members_pb.VerifyApiIdentityRequest:
    """The identity is verified, now."""
    changes.setdefault("request_id", request_id())
    return members_pb.VerifyApiIdentityRequest(account_id=account_id, **changes)


def settle(account_id: str, application_id: str = "p1", **changes: Any) -> members_pb.SettleApplicationRequest:
    """An application is granted, now."""
    values = {"request_id": request_id(), "outcome": 1, **changes}
    return members_pb.SettleApplicationRequest(account_id=account_id, application_id=application_id, **values)


def assign(account_id: str, manager_id: str = "kam-1", **changes: Any) -> members_pb.AssignKeyAccountManagerRequest:
    """A key account manager from now on."""
    changes.setdefault("request_id", request_id())
    return members_pb.AssignKeyAccountManagerRequest(account_id=account_id, manager_id=manager_id, **changes)


def metric(account_id: str, **changes: Any) -> members_pb.RecordBehaviourMetricRequest:
    """A fill ratio of the day until noon."""
    values = {
        "request_id": request_id(),
        "code": "LOW_FILL_RATIO",
        "value": "0.001",
        "window_from": A_DAY_AGO,
        "window_until": NOON,
        **changes,
    }
    return members_pb.RecordBehaviourMetricRequest(account_id=account_id, **values)


def feedback(account_id: str, **changes: Any) -> rewards_pb.ReportFeedbackRequest:
    """A bug, now."""
    values = {"request_id": request_id(), "kind": 1, "channel": 2, **changes}
    return rewards_pb.ReportFeedbackRequest(account_id=account_id, **values)


def bounty(week: str, report_id: str = "r1", **changes: Any) -> rewards_pb.AwardBountyRequest:
    """50 USDT for a report."""
    values = {"request_id": request_id(), "authority": BOTH, "amount": "50", "currency": "USDT", **changes}
    return rewards_pb.AwardBountyRequest(week=week, report_id=report_id, **values)


def close_round(week: str, **changes: Any) -> rewards_pb.CloseBountyRoundRequest:
    """The end of a round."""
    changes.setdefault("request_id", request_id())
    return rewards_pb.CloseBountyRoundRequest(week=week, **changes)


def promotion(promotion_id: str, kind: str = "API_EXCLUSIVE", **changes: Any) -> rewards_pb.AnnouncePromotionRequest:
    """A promotion of the two days around noon."""
    values = {"request_id": request_id(), "start_time": A_DAY_AGO, "end_time": IN_A_DAY, **changes}
    return rewards_pb.AnnouncePromotionRequest(promotion_id=promotion_id, promotion_type=kind, **values)


def bonus(account_id: str, promotion_id: str, **changes: Any) -> rewards_pb.AwardBonusRequest:
    """10 USDT of a promotion's bonus, now."""
    values = {"request_id": request_id(), "authority": BOTH, "amount": "10", "currency": "USDT", **changes}
    return rewards_pb.AwardBonusRequest(account_id=account_id, promotion_id=promotion_id, **values)
