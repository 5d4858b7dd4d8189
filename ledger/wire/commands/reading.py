"""Which command a request asks for. The service reads what was sent, the audit what an event has kept of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from ledger.domain.commands import Command
from ledger.v1 import command_service_pb2 as back_office_pb
from ledger.v1 import evaluation_service_pb2 as evaluations_pb
from ledger.v1 import member_service_pb2 as members_pb
from ledger.v1 import programme_service_pb2 as programmes_pb
from ledger.v1 import reward_service_pb2 as rewards_pb
from ledger.wire.commands import back_office, evaluations, members, programmes, rewards
from ledger.wire.fields import Shape

# Read a request field by field; what says that something has happened says an instant of at most so many ns.
Read = Callable[[Shape, Any, int], Command]

READERS: Final[Mapping[type, Read]] = {
    back_office_pb.RegisterAccountRequest: back_office.register_account,
    back_office_pb.RegisterSymbolRequest: back_office.register_symbol,
    back_office_pb.RegisterCurrencyRequest: back_office.register_currency,
    back_office_pb.StartTrialRequest: back_office.start_trial,
    back_office_pb.ChangeTierRequest: back_office.change_tier,
    back_office_pb.RevokeTierRequest: back_office.revoke_tier,
    back_office_pb.BanAccountRequest: back_office.ban_account,
    back_office_pb.LiftBanRequest: back_office.lift_ban,
    members_pb.FlagAccountRequest: members.flag_account,
    members_pb.UnflagAccountRequest: members.unflag_account,
    members_pb.RequestMatchRequest: members.request_match,
    members_pb.ApproveMatchRequest: members.approve_match,
    members_pb.RejectMatchRequest: members.reject_match,
    members_pb.SubmitApplicationRequest: members.submit_application,
    members_pb.VerifyApiIdentityRequest: members.verify_api_identity,
    members_pb.SettleApplicationRequest: members.settle_application,
    members_pb.AssignKeyAccountManagerRequest: members.assign_key_account_manager,
    members_pb.RecordBehaviourMetricRequest: members.record_behaviour_metric,
    rewards_pb.ReportFeedbackRequest: rewards.report_feedback,
    rewards_pb.AwardBountyRequest: rewards.award_bounty,
    rewards_pb.CloseBountyRoundRequest: rewards.close_bounty_round,
    rewards_pb.AnnouncePromotionRequest: rewards.announce_promotion,
    rewards_pb.AwardBonusRequest: rewards.award_bonus,
    programmes_pb.PublishProgrammeRequest: programmes.publish_programme,
    programmes_pb.AssignPairClassRequest: programmes.assign_pair_class,
    programmes_pb.SetPairRatesRequest: programmes.set_pair_rates,
    evaluations_pb.RecordDailyCloseRequest: evaluations.record_daily_close,
    evaluations_pb.RunEvaluationRequest: evaluations.run_evaluation,
}


def command_of(shape: Shape, request: Any, latest_ns: int) -> Command:
    """Return the command that a request asks for; `shape` takes what is wrong with it."""
    return READERS[type(request)](shape, request, latest_ns)
