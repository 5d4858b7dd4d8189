"""Lives of many accounts in one ledger to which facts come late: sent over gRPC, and told to a reckoner.

Any decision may be about a time of which lines are recorded already. What the ledger refuses is believed: which
commands it takes is compared in the long lives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from ledger.v1 import command_service_pb2 as commands
from ledger.v1 import evaluation_service_pb2, fill_pb2
from ledger.v1 import member_service_pb2 as members
from ledger.v1.command_pb2 import Authority
from tests.conftest import NOON_NS, Ledger, at
from tests.properties import late_boundary as boundary
from tests.properties.late_facts import REFUSED, Fact, LateAccount, LateReckoner
from tests.properties.late_orders import owners_of
from tests.properties.late_past import LateTrade
from tests.properties.notebook import DAY_NS, FOR_EVER, TIERS, Trade, next_evaluation_ns
from tests.properties.reckoner import CLASSLESS, MARKETS, PERIODIC, POST_TRIAL, SYMBOLS
from tests.samples import FOUR_EYES, batch, fill, request_id, symbol
from tests.server.calls import CALL_S_MAX, await_tables

ROUNDS = 11
PREVIEWED = 0.1  # share of the orders
PAID = ("USDT", "ETH", "XRP", "BMX", "NIX")  # the last one is no currency
HOUR_NS = 3_600 * 10**9
BEGIN_NS = NOON_NS + DAY_NS // 2  # midnight of 5 October 2024
CLOSED_DAYS = 45  # before it
PRICES = {"USDT": "0.5", "ETH": "0.00025"}
PAIRS = [*MARKETS, *CLASSLESS, "XRP_USDT", "LTC_USDT"]
APPROVING = Authority(actor="ops-3", approver="ops-4", reason="agreed on the phone")
EVALUATIONS = {
    PERIODIC: evaluation_service_pb2.EVALUATION_KIND_PERIODIC,
    POST_TRIAL: evaluation_service_pb2.EVALUATION_KIND_POST_TRIAL,
}

Order = tuple[Any, Any, str, dict[str, Any]]  # stub, request, what it is and what to note of it
Sent = tuple[LateAccount, Any, str, dict[str, Any]]  # the same with the answer to come


class LateLives:
    """Accounts in rounds of one or three days: a decision of each at once, a batch of fills, what is due."""

    def __init__(self, ledger: Ledger, seed: int, reckoner: LateReckoner) -> None:
        self.ledger, self.random, self.reckoner = ledger, Random(seed), reckoner
        self.settled: list[int] = []  # positions at which nothing was under way
        self.differences: list[tuple[Any, ...]] = []
        self.foreseen: list[tuple[int, Any]] = []  # what was recorded of shared facts, with its preview
        self.outcomes: Counter[tuple[str, str]] = Counter()  # (what was asked for, why it was refused)
        self.due: list[tuple[int, int]] = []  # instant, and from when on it is run
        self.next_ns = next_evaluation_ns(BEGIN_NS - 1)
        self.closed_to = BEGIN_NS // DAY_NS - CLOSED_DAYS
        self.fills = 0

    @property
    def now_ns(self) -> int:
        return self.ledger.clock.now_ns

    def prepare(self) -> None:
        """Markets, a currency, and closes of the days before."""
        self.move_to(BEGIN_NS)
        asks = {"request_id": request_id(), "authority": FOUR_EYES}
        self.ledger.commands.RegisterCurrency(commands.RegisterCurrencyRequest(currency="USDT", decimals=8, **asks))
        for name, (pair_class, _) in SYMBOLS.items():
            self.ledger.commands.RegisterSymbol(symbol(name, pair_class=pair_class))
        self.close()

    def live(self, *acts: Callable[[LateLives], None], rounds: int = ROUNDS) -> None:
        """All rounds; `acts` are what is done in each beside decisions, trades and evaluations."""
        for _ in range(rounds):
            self.move_to(self.now_ns + self.random.choice((1, 2, 3)) * DAY_NS + self.random.randrange(6 * HOUR_NS))
            self.close()
            self._come()
            steps = [self.decide, self.trade, self.trade, self.evaluate, *(partial(act, self) for act in acts)]
            for step in self.random.sample(steps, len(steps)):
                step()
                self.settle()
                self.move_to(self.now_ns + self.random.randrange(HOUR_NS))
        self.evaluate(all_due=True)
        self.settle()

    def settle(self) -> None:
        """Remember a position at which all is posted."""
        head = self.ledger.log.head().position
        if not self.settled or self.settled[-1] != head:
            self.settled.append(head)

    def move_to(self, now_ns: int) -> None:
        """Set the clock of the ledger, and of the reckoner."""
        self.ledger.clock.now_ns = self.reckoner.now_ns = now_ns

    # -- steps --------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Closes of the days that have ended."""
        record, today = self.ledger.evaluations.RecordDailyClose.future, self.now_ns // DAY_NS
        days = range(self.closed_to, today)
        sent = [(day, price := self._price(), record(_close(day, price))) for day in days]
        for day, price, answer in sent:
            self.reckoner.closes.append((answer.result(CALL_S_MAX).receipt.position, day, price))
        self.closed_to = today

    def _price(self) -> Decimal:
        return Decimal(self.random.randrange(150_000, 250_000)).scaleb(-2)

    def trade(self) -> None:
        """One or two fills of some accounts, in one batch."""
        names = [name for name in self.reckoner.accounts if self.random.random() < 0.35]
        trades = [(name, self.any_trade(name)) for name in names for _ in range(self.random.choice((1, 1, 2)))]
        self.random.shuffle(trades)
        self.send(trades)

    def send(self, trades: Sequence[tuple[str, Trade]]) -> None:
        """Have trades recorded, and compare what each costs."""
        if not trades:
            return
        answer = self.ledger.fills.RecordFills(batch(*(_fill(*each) for each in trades)), timeout=CALL_S_MAX)
        assert answer.recorded == len(trades), answer.refusals
        for (name, trade), fee in zip(trades, answer.fees, strict=True):
            noted = self.reckoner.traded(answer.position, name, trade)
            expected = (noted.fee.amount, noted.fee.currency, noted.fee.rate)
            found = (Decimal(fee.fee_amount), fee.fee_currency, Decimal(fee.fee_rate))
            if expected != found:
                self.differences.append((name, f"fee of {trade.exec_id}", expected, found))

    def decide(self) -> None:
        """A decision about some accounts, all at once."""
        chosen = [account for account in self.reckoner.accounts.values() if self.random.random() < 0.45]
        self.order([(account, order) for account in chosen if (order := self.any_order(account)) is not None])

    def order(self, orders: Sequence[tuple[LateAccount, Order]]) -> list[bool]:
        """Give orders at once, one to an account, and note what was done: whether each was. Some are previewed."""
        chosen = [order for order in orders if self.random.random() < PREVIEWED]
        foreseen = [(account, boundary.foresee(stub, request)) for account, (stub, request, *_) in chosen]
        for _, preview in foreseen:
            preview.exception(CALL_S_MAX)
        sent = {account: (stub.future(request), what, note) for account, (stub, request, what, note) in orders}
        done = [self._noted(account, *order) for account, order in sent.items()]
        for account, preview in foreseen:
            self._compare_preview(account, preview, sent[account][0])
        return done

    def _compare_preview(self, account: LateAccount, preview: Any, answer: Any) -> None:
        """What was foreseen is what is posted, or the reason for which it is refused."""
        if (error := answer.exception()) is not None:
            expected, found = reason_of(error), preview.exception() and reason_of(preview.exception())
        else:
            expected, found = account.posted(answer.result().receipt.position), boundary.differences(preview.result())
        if expected != found:
            self.differences.append((account.account_id, "preview", expected, found))

    def _noted(self, account: LateAccount, answer: Any, what: str, note: dict[str, Any]) -> bool:
        expected = account.refuses(what, note)
        try:
            position = answer.result(CALL_S_MAX).receipt.position
        except grpc.RpcError as error:
            self._compare_refusal(account, what, expected, reason_of(error))
            account.decided(refused_at(error), REFUSED)
            return False
        self._compare_refusal(account, what, expected, "")
        account.decided(position, what, **note)
        return True

    def _compare_refusal(self, account: LateAccount, what: str, expected: str | None, found: str) -> None:
        self.outcomes[what, found] += 1
        if expected is not None and expected != found:
            self.differences.append((account.account_id, f"refusal of {what}", expected, found))

    # -- evaluations --------------------------------------------------------------------------------------------------

    def evaluate(self, *, all_due: bool = False) -> None:
        """Run what is due, up to six days late; and what follows trials."""
        for at_ns, run_ns in list(self.due):
            if run_ns <= self.now_ns or all_due:
                self.run(PERIODIC, at_ns)
                self.due.remove((at_ns, run_ns))
        if self.random.random() < 0.3:
            self.run(POST_TRIAL, self.now_ns)

    def _come(self) -> None:
        while self.next_ns <= self.now_ns:
            self.due.append((self.next_ns, self.next_ns + self.random.randrange(DAY_NS, 6 * DAY_NS)))
            self.next_ns = next_evaluation_ns(self.next_ns)

    def run(self, kind: str, at_ns: int) -> None:
        """Run an evaluation, and compare how many accounts go where."""
        await_tables(self.ledger)
        known = self.ledger.log.head().position
        request = evaluation_service_pb2.RunEvaluationRequest(
            request_id=request_id(), authority=FOUR_EYES, kind=EVALUATIONS[kind], instant=at(at_ns)
        )
        *_, last = self.ledger.evaluations.RunEvaluation(request, timeout=CALL_S_MAX)
        cases = self.reckoner.plan(kind, at_ns, known)
        expected = self.reckoner.counts(cases)
        found = {name: getattr(last.counts, name.lower()) for name in expected}
        if expected != found:
            self.differences.append(("", f"{kind} of {at_ns} at {known}", expected, found))
        self.reckoner.since = known
        self.reckoner.evaluated(self.ledger.log.head().position, kind, cases)
        self.reckoner.since = 0

    # -- chance -------------------------------------------------------------------------------------------------------

    def any_trade(self, account_id: str, **changes: Any) -> LateTrade:
        """Of today, of days ago, or of an instant at which something changes."""
        random = self.random
        self.fills += 1
        name = changes.pop("symbol", None) or random.choice(PAIRS)
        values: dict[str, Any] = {
            "exec_id": f"E{self.fills}",
            "at_ns": min(self.any_ns(self.reckoner.accounts[account_id]), self.now_ns),
            "symbol": name,
            "maker": random.random() < 0.5,
            "api": random.random() < 0.85,
            "self_trade": False,
            "owner": random.choice(owners_of(account_id)) if random.random() < 0.05 else "",
            "counterparty": random.choice((account_id, *owners_of(account_id), "", "", "", "another")),
            "token_price": random.choice(("", "", "", "0.25", "0.7")),
            "price": Decimal(PRICES[SYMBOLS[name][1]]),
            "quantity": Decimal(int(10 ** random.uniform(6, 10.5))).scaleb(-4),
        }
        return LateTrade(**values | changes)

    def any_ns(self, account: LateAccount) -> int:
        """Now, since an evaluation that is due, within twelve days, or near an instant at which something changes."""
        random, now_ns = self.random, self.now_ns
        edges = [*account.past(FOR_EVER).changes(), *(noted.trade.at_ns for noted in account.trades)]
        edges += [from_ns for *_, from_ns in self.reckoner.dated()]
        near = [edge for edge in edges if now_ns - 12 * DAY_NS < edge <= now_ns]
        waiting = [at_ns for at_ns, _ in self.due if at_ns < now_ns]
        if waiting and random.random() < 0.4:
            return random.randint(waiting[0], now_ns)
        if random.random() < 0.3:
            return now_ns
        if near and random.random() < 0.5:
            return random.choice(near) + random.choice((-1, 0, 1, random.randrange(12 * HOUR_NS)))
        return now_ns - random.randrange(12 * DAY_NS)

    def any_order(self, account: LateAccount) -> Order | None:
        """A decision about it; None: it was refused already."""
        past, at_ns = account.past(FOR_EVER), min(self.any_ns(account), self.now_ns)
        steps = [self.trial] * (1 if past.grants else 4) + [self.grant] * 3 + [self.ban, self.flag]
        steps += [self.match] * (1 if past.grants else 4)
        steps += [self.revoke] * (2 * bool(past.grants)) + [self.lift] * (2 * bool(past.bans))
        steps += [self.unflag] * (3 * past.flagged(at_ns)) + [self.register] * (1 if account.is_registered else 3)
        steps += [self.withdraw] * (2 * bool(account.facts)) + [self.credit] + [self.uncredit] * bool(account.credits)
        return self.random.choice(steps)(account, at_ns)

    def trial(self, account: LateAccount, at_ns: int) -> Order:
        """StartTrial."""
        note = {"tier": "VIP3", "source": "TRIAL", "from_ns": at_ns, "until_ns": at_ns + 30 * DAY_NS}
        request = commands.StartTrialRequest(start_time=at(at_ns), **asks(account))
        return self.ledger.commands.StartTrial, request, "grant", note

    def grant(self, account: LateAccount, at_ns: int) -> Order:
        """ChangeTier; some begin later."""
        tier, from_ns = self.random.choice(TIERS[1:]), at_ns + self.random.choice((0, 0, 0, 3 * DAY_NS))
        return self.given(account, tier, from_ns, from_ns + 1 + self.random.randrange(25 * DAY_NS))

    def given(self, account: LateAccount, tier: str, from_ns: int, until_ns: int) -> Order:
        """ChangeTier."""
        note = {"tier": tier, "source": "MANUAL", "from_ns": from_ns, "until_ns": until_ns}
        times = {"valid_from": at(from_ns), "valid_until": at(until_ns)}
        request = commands.ChangeTierRequest(tier=tier, **times, **asks(account))
        return self.ledger.commands.ChangeTier, request, "grant", note

    def revoke(self, account: LateAccount, at_ns: int) -> Order:
        """RevokeTier; some from the grant's start on."""
        grants = account.past(FOR_EVER).grants
        number = self.random.randrange(len(grants))
        revoke_ns = min(grants[number]["from"], self.now_ns) if self.random.random() < 0.4 else at_ns
        return self.revoked(account, number, revoke_ns)

    def revoked(self, account: LateAccount, number: int, at_ns: int) -> Order:
        """RevokeTier."""
        request = commands.RevokeTierRequest(grant_id=f"g{number + 1}", revoke_time=at(at_ns), **asks(account))
        return self.ledger.commands.RevokeTier, request, "revoke", {"number": number, "at_ns": at_ns}

    def ban(self, account: LateAccount, at_ns: int) -> Order:
        """BanAccount."""
        return self.banned(account, at_ns, self.random.randint(1, 7))

    def banned(self, account: LateAccount, at_ns: int, days: int) -> Order:
        """BanAccount; what runs already ends no earlier."""
        bans = account.past(FOR_EVER).bans
        running = [until_ns for from_ns, until_ns in bans if from_ns <= at_ns < until_ns]
        request = commands.BanAccountRequest(days=days, start_time=at(at_ns), reason_code="ORDER_SPAM", **asks(account))
        note = {"from_ns": at_ns, "until_ns": max([at_ns + days * DAY_NS, *running])}
        return self.ledger.commands.BanAccount, request, "ban", note

    def lift(self, account: LateAccount, at_ns: int) -> Order:
        """LiftBan."""
        request = commands.LiftBanRequest(lift_time=at(at_ns), **asks(account))
        return self.ledger.commands.LiftBan, request, "lift", {"at_ns": at_ns}

    def flag(self, account: LateAccount, at_ns: int) -> Order:
        """FlagAccount."""
        return self.flagged(account, at_ns, self.random.choice(("FAKE", "ROBOT")))

    def flagged(self, account: LateAccount, at_ns: int, kind: str) -> Order:
        """FlagAccount."""
        request = members.FlagAccountRequest(flag_time=at(at_ns), kind=f"FLAG_KIND_{kind}", **asks(account))
        return self.ledger.members.FlagAccount, request, "flag", {"from_ns": at_ns, "kind": kind}

    def unflag(self, account: LateAccount, at_ns: int) -> Order:
        """UnflagAccount."""
        request = members.UnflagAccountRequest(unflag_time=at(at_ns), **asks(account))
        return self.ledger.members.UnflagAccount, request, "unflag", {"at_ns": at_ns}

    def register(self, account: LateAccount, at_ns: int) -> Order:
        """RegisterAccount; now and then of an account that is registered."""
        return self.registered(account, self.random.choice(owners_of(account.account_id)), at_ns)

    def registered(self, account: LateAccount, owner_id: str, at_ns: int) -> Order:
        """RegisterAccount; the owner is that of all time, whenever it was opened."""
        request = commands.RegisterAccountRequest(owner_id=owner_id, registered_time=at(at_ns), **asks(account))
        note = {"owner": owner_id, "until_then": account.account_id, "from_ns": 0}
        return self.ledger.commands.RegisterAccount, request, "owner", note

    def withdraw(self, account: LateAccount, _: int) -> Order | None:
        """WithdrawFact; the position of an evaluation is not known here, and a shared fact is none of the account."""
        facts = [fact for fact in account.facts if fact.since == fact.position - 1 and not fact.is_shared]
        return self.withdrawn(account, self.random.choice(facts)) if facts else None

    def withdrawn(self, account: LateAccount, fact: Fact) -> Order:
        """WithdrawFact."""
        request = commands.WithdrawFactRequest(fact_position=fact.position, **asks(account))
        return self.ledger.commands.WithdrawFact, request, "withdraw", {"fact": fact}

    def credit(self, account: LateAccount, at_ns: int) -> Order:
        """CreditFee; now and then of a currency that no symbol has, or too fine."""
        random = self.random
        amount = Decimal(random.randrange(1, 10**9)).scaleb(-random.choice((0, 2, 8, 8, 9)))
        note = {"day": at_ns // DAY_NS, "currency": random.choice(PAID), "amount": amount}
        values = {"day": at(at_ns).ToJsonString()[:10], "amount": f"{amount:f}", "currency": note["currency"]}
        request = commands.CreditFeeRequest(**values, reason_code="GOODWILL", **asks(account))
        return self.ledger.commands.CreditFee, request, "credit", note

    def uncredit(self, account: LateAccount, _: int) -> Order:
        """WithdrawCredit."""
        credit = self.random.choice(account.credits)
        values = {"credit_position": credit.position, "reason_code": "MISTAKE"}
        request = commands.WithdrawCreditRequest(**values, **asks(account))
        return self.ledger.commands.WithdrawCredit, request, "uncredit", {"credit": credit}

    def match(self, account: LateAccount, at_ns: int) -> Order | None:
        """ApproveMatch, once it is asked for, where the account is eligible."""
        volume = self.random.choice((150_000, 600_000, 6_000_000))
        request = members.RequestMatchRequest(
            venues=["another-exchange"],
            external_tier="vip-2",
            period_from=at(at_ns - 30 * DAY_NS),
            period_until=at(at_ns),
            external_volume=members.ExternalVolume(spot=str(volume)),
            evidence_sha256=self.random.randbytes(32),
            request_time=at(at_ns),
            **asks(account),
        )
        try:
            answer = self.ledger.members.RequestMatch(request, timeout=CALL_S_MAX)
        except grpc.RpcError as error:
            account.decided(refused_at(error), REFUSED)
            return None
        account.decided(answer.receipt.position, "nothing")
        if answer.refused_because:
            return None
        tier = self.reckoner.terms_at(at_ns, FOR_EVER).tier_of(Decimal(volume))
        note = {"tier": tier, "source": "MATCH", "from_ns": at_ns, "until_ns": at_ns + 30 * DAY_NS}
        values = {**asks(account), "authority": APPROVING, "match_id": answer.match_id, "approve_time": at(at_ns)}
        return self.ledger.members.ApproveMatch, members.ApproveMatchRequest(**values), "grant", note


def asks(account: LateAccount) -> dict[str, Any]:
    """What every command about an account says."""
    return {"request_id": request_id(), "authority": FOUR_EYES, "account_id": account.account_id}


def refused_at(error: grpc.RpcError) -> int:
    """The position at which the log says that a command was refused."""
    info = _info(error)
    assert "position" in info.metadata, error
    return int(info.metadata["position"])


def reason_of(error: grpc.RpcError) -> str:
    """Why it was refused."""
    return _info(error).reason


def _info(error: grpc.RpcError) -> ErrorInfo:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None, error
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    return info


def _close(day: int, price: Decimal) -> evaluation_service_pb2.RecordDailyCloseRequest:
    return evaluation_service_pb2.RecordDailyCloseRequest(
        request_id=request_id(),
        authority=FOUR_EYES,
        asset="ETH",
        day=at(day * DAY_NS).ToJsonString()[:10],
        price=str(price),
        source="index",
        source_sha256=bytes(32),
    )


def _fill(account_id: str, trade: Trade) -> fill_pb2.Fill:
    values: dict[str, Any] = {}
    if isinstance(trade, LateTrade):
        values = {"owner_id": trade.owner, "counterparty_owner_id": trade.counterparty}
    if trade.token_price:
        values["token_payment"] = fill_pb2.TokenPayment(token="BMX", price=trade.token_price)
    return fill(
        account_id=account_id,
        exec_id=trade.exec_id,
        symbol=trade.symbol,
        liquidity=fill_pb2.LIQUIDITY_MAKER if trade.maker else fill_pb2.LIQUIDITY_TAKER,
        channel=fill_pb2.CHANNEL_API if trade.api else fill_pb2.CHANNEL_WEB,
        last_px=f"{trade.price:f}",
        last_qty=f"{trade.quantity:f}",
        transact_time=at(trade.at_ns),
        **values,
    )
