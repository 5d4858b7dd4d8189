"""Makes commands and batches anew out of the events that they led to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ledger.arrays.columns import column, texts
from ledger.domain import commands as asked
from ledger.domain import events as told
from ledger.domain.commands import Command
from ledger.domain.events import Recorded, VolumeRecorded
from ledger.domain.grant_sources import MATCH
from ledger.domain.instants import DAY_NS
from ledger.domain.rules.application import STEPS
from ledger.domain.state.rulebook import Rulebook
from ledger.domain.streams import account_of, day_key, kind_and_subject, subject_of
from ledger.domain.traits import DECIDED_TRAITS
from ledger.fills.batch import CARRIED, NOT_SAID, FillBatch
from ledger.fills.lines import lines_of


def commands_of(recorded: Recorded, book: Rulebook) -> Sequence[Command]:
    """Return commands of which one recorded the event; none, where the event alone does not tell.

    There are several where the event does not name the programme that was asked: one for each. Times that were left
    out are those that the ledger put in.
    """
    kind, account_id = kind_and_subject(recorded.stream)
    if kind == "programme":
        return _of_shared(recorded, book)
    return (
        _of_account(account_id, recorded, book)
        or _of_member(account_id, recorded, book)
        or _of_day(recorded)
        or _of_reward(recorded, book)
        or _of_shared(recorded, book)
    )


def batch_of(account_id: str, run: VolumeRecorded) -> FillBatch:
    """Return the fills of a run as they may have been sent: without the traits that a decision adds."""
    lines = lines_of(run)
    terms = [run.symbols[line.symbol_index] for line in lines]
    symbols = list(dict.fromkeys(each.symbol for each in terms))
    carried: dict[str, Any] = {}
    for name in CARRIED:
        values = [getattr(line, name) for line in lines]
        packed = np.array(values, dtype=np.int64) if name == "order_time_ns" else texts(values) if any(values) else None
        carried[name] = NOT_SAID if packed is None else packed
    return FillBatch(
        run.venue,
        "",
        accounts=[account_id],
        symbols=symbols,
        sources=[span.source for span in run.sources],
        index=np.arange(len(lines)),
        account=np.zeros(len(lines), dtype=np.int64),
        symbol=np.array([symbols.index(each.symbol) for each in terms]),
        source=np.array([line.source_index for line in lines]),
        sequence=column([line.sequence for line in lines]),
        exec_id=texts([line.exec_id for line in lines]),
        traits=np.array([line.traits & ~DECIDED_TRAITS for line in lines]),
        product=np.array([each.product for each in terms]),
        price=column([line.price for line in lines]),
        price_decimals=np.array([each.price_scale for each in terms]),
        quantity=column([line.quantity for line in lines]),
        quantity_decimals=np.array([each.quantity_scale for each in terms]),
        transact_time_ns=np.array([line.transact_time_ns for line in lines], dtype=np.int64),
        **carried,
    )


def _of_account(account_id: str, recorded: Recorded, book: Rulebook) -> Sequence[Command]:
    match recorded.event:
        case told.AccountRegistered(owner_id=owner, parent_account_id=parent, registered_time_ns=at_ns):
            return [asked.RegisterAccount(account_id, owner, parent, at_ns)]
        case told.TrialStarted() as event:
            return [asked.StartTrial(account_id, event.valid_from_ns, event.programme_id)]
        case told.TierChanged(source=source) as event if source == MATCH:
            actor = recorded.envelope.actor
            return [asked.ApproveMatch(account_id, event.evidence, actor, event.valid_from_ns)]
        case told.TierChanged() as event:
            interval = (event.valid_from_ns, event.valid_until_ns)
            return [asked.ChangeTier(account_id, event.tier, *interval, event.programme_id)]
        case told.TierRevoked(grant_id=grant_id, revoked_time_ns=at_ns):
            return [asked.RevokeTier(account_id, grant_id, at_ns)]
        case told.AccountBanned() as event:
            return [_ban(account_id, event, book)]
        case told.BanLifted(lifted_time_ns=at_ns):
            return [asked.LiftBan(account_id, at_ns)]
        case told.AccountFlagged() as event:
            return [asked.FlagAccount(account_id, event.kind, event.flagged_time_ns, event.evidence_sha256)]
        case told.AccountUnflagged(unflagged_time_ns=at_ns):
            return [asked.UnflagAccount(account_id, at_ns)]
        case told.FactReleased(fact_position=position):
            return [asked.ReleaseFact(account_id, position)]
        case told.FactDeclined(fact_position=position):
            return [asked.DeclineFact(account_id, position)]
        case told.FactWithdrawn(fact_position=position):
            return [asked.WithdrawFact(account_id, position)]
    return ()


def _of_day(recorded: Recorded) -> Sequence[Command]:
    match recorded.event:
        case told.FeeCredited() as event:
            return [asked.CreditFee(*day_key(recorded.stream), event.amount, event.currency, event.reason_code)]
        case told.CreditWithdrawn() as event:
            return [asked.WithdrawCredit(account_of(recorded.stream), event.credit_position, event.reason_code)]
    return ()


def _ban(account_id: str, event: told.AccountBanned, book: Rulebook) -> Command:
    """Return a ban of as many whole days as fit: where an earlier ban ends later, any number says the same."""
    start_ns = event.start_time_ns
    most = min((programme.ban_days_max for programme in book.in_force(start_ns)), default=0)
    days = min((event.end_time_ns - start_ns) // DAY_NS, most)
    return asked.BanAccount(account_id, days, start_ns, event.reason_code, event.evidence_positions)


def _of_member(account_id: str, recorded: Recorded, book: Rulebook) -> Sequence[Command]:
    match recorded.event:
        case told.MatchRequested() as event:
            return [asked.RequestMatch(account_id, event.claim, event.requested_time_ns, event.programme_id)]
        case told.MatchRejected(claim=None) as event:
            return [asked.RejectMatch(account_id, event.match_id, event.reason_code, event.rejected_time_ns)]
        case told.MatchRejected(claim=claim) as event:
            assert claim is not None
            return [asked.RequestMatch(account_id, claim, event.rejected_time_ns, event.programme_id)]
        case told.ApplicationSubmitted() as event:
            steps = {step: getattr(event, step) for step in STEPS}
            return [asked.SubmitApplication(account_id, event.received_time_ns, steps, event.programme_id)]
        case told.ApiIdentityVerified(verified_time_ns=at_ns):
            return [asked.VerifyApiIdentity(account_id, at_ns)]
        case told.ApplicationSettled() as event:
            return [asked.SettleApplication(account_id, event.application_id, event.outcome, event.settled_time_ns)]
        case told.KamAssigned(manager_id=manager, assigned_time_ns=at_ns):
            return [asked.AssignKeyAccountManager(account_id, manager, at_ns, name) for name in book.programmes]
        case told.BehaviourMetricRecorded() as event:
            window = (event.window_from_ns, event.window_until_ns)
            return [asked.RecordBehaviourMetric(account_id, event.code, event.value, *window)]
    return ()


def _of_reward(recorded: Recorded, book: Rulebook) -> Sequence[Command]:
    week, envelope = subject_of(recorded.stream), recorded.envelope
    match recorded.event:
        case told.FeedbackReported() as event:
            return [asked.ReportFeedback(event.account_id, event.kind, event.channel, event.reported_time_ns)]
        case told.BountyAwarded(report_id=report, amount=amount, currency=currency):
            return [asked.AwardBounty(week, report, amount, currency, name) for name in book.programmes]
        case told.BountyRoundClosed():
            return [asked.CloseBountyRound(week)]
        case told.PromotionAnnounced() as event:
            span = (event.start_time_ns, event.end_time_ns)
            return [asked.AnnouncePromotion(event.promotion_id, event.promotion_type, *span)]
        case told.BonusAwarded() as event:
            share = (event.promotion_id, event.account_id, event.amount, event.currency, event.awarded_time_ns)
            by = (event.overridden, envelope.actor, envelope.approver)
            return [asked.AwardBonus(*share, *by, name) for name in book.programmes]
    return ()


def _of_shared(recorded: Recorded, book: Rulebook) -> Sequence[Command]:
    match recorded.event:
        case told.ProgrammePublished() as event:
            content = book.parse(event.content)
            return [asked.PublishProgramme(content, event.content, event.content_sha256, event.valid_from_ns)]
        case told.PairClassAssigned() as event:
            return [asked.AssignPairClass(event.symbol, event.pair_class, event.valid_from_ns, event.programme_id)]
        case told.PairRatesSet() as event:
            rates = (event.maker_ppm, event.taker_ppm)
            return [asked.SetPairRates(event.symbol, *rates, event.valid_from_ns, event.programme_id)]
        case told.FactReleased(fact_position=position):
            return [asked.ReleaseSharedFact(position)]
        case told.FactDeclined(fact_position=position):
            return [asked.DeclineSharedFact(position)]
        case told.SymbolRegistered() as event:
            return [registration(event)]
        case told.CurrencyRegistered(currency=currency, decimals=decimals):
            return [asked.RegisterCurrency(currency, decimals)]
        case told.DailyCloseRecorded() as event:
            close = (event.asset, event.currency, event.day, event.price)
            return [asked.RecordDailyClose(*close, event.source, event.source_sha256, event.restates)]
        case told.EvaluationStarted() as event:
            run = (event.programme_id, event.kind, event.instant_ns, event.read_position, event.complete_sources)
            return [asked.RunEvaluation(*run), asked.RunEvaluation(*run, automatic=True)]
    return ()


def registration(event: told.SymbolRegistered, assigned: told.PairClassAssigned | None = None) -> asked.RegisterSymbol:
    """Return the command that gave a symbol new terms, and its pair a class with them if one was `assigned`."""
    return asked.RegisterSymbol(
        event.symbol,
        event.base_currency,
        event.quote_currency,
        event.product,
        event.price_scale,
        event.quantity_scale,
        event.valid_from_ns,
        pair_class=assigned.pair_class if assigned else "",
        programme_id=assigned.programme_id if assigned else "",
    )
