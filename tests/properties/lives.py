"""Random lives of many accounts in one ledger: each thing that happens is sent over gRPC and written in a notebook."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from ledger.v1 import command_service_pb2 as commands
from ledger.v1 import evaluation_service_pb2, fill_pb2, member_service_pb2
from tests.conftest import NOON_NS, Ledger, at
from tests.properties.notebook import DAY_NS, ETH_CLOSE, FOR_EVER, MARKETS, TIERS, Credit, Notebook, Trade
from tests.samples import FOUR_EYES, batch, fill, request_id, symbol
from tests.server.calls import CALL_S_MAX, await_tables

DAYS = 60  # of history before the tests' clock stands still
ROUNDS = 10
MIDNIGHT_NS = NOON_NS - DAY_NS // 2
EVALUATIONS = {4: MIDNIGHT_NS - 26 * DAY_NS, 6: MIDNIGHT_NS - 16 * DAY_NS, 8: MIDNIGHT_NS - 6 * DAY_NS}  # after a round

Sent = tuple[Notebook, Any, Callable[[int], None]]  # an answer to come, and what to note once it is there


class Lives:
    """Accounts in rounds: decisions of all of them at once, then one batch of fills, now and then an evaluation."""

    def __init__(self, ledger: Ledger, seed: int, accounts: int) -> None:
        self.ledger, self.random = ledger, Random(seed)
        self.notebooks = {name: Notebook(name) for name in (f"life{number:04}" for number in range(accounts))}
        self.busy_ns = {name: [self.any_ns() for _ in range(3)] for name in self.notebooks}
        self.due_ns = dict(EVALUATIONS)
        self.positions: list[int] = []  # that answers were given at
        self.fills = 0

    def prepare(self) -> None:
        """Markets, and closes for all days."""
        for name, (pair_class, _) in MARKETS.items():
            self.ledger.commands.RegisterSymbol(symbol(name, pair_class=pair_class))
        record = self.ledger.evaluations.RecordDailyClose.future
        days = [at((NOON_NS // DAY_NS - number) * DAY_NS).ToJsonString()[:10] for number in range(1, DAYS + 45)]
        for recorded in [record(_close(day)) for day in days]:
            recorded.result(CALL_S_MAX)

    def live(self, rounds: int = ROUNDS) -> None:
        """All of it."""
        for number in range(rounds):
            deciding = [name for name in self.notebooks if self.random.random() < 0.4]
            self._settle([sent for name in deciding if (sent := self._decide(name)) is not None])
            self.trade([name for name in self.notebooks if self.random.random() < 0.6])
            if number in self.due_ns:
                self._evaluate(self.due_ns.pop(number))

    def trade(self, accounts: Sequence[str]) -> None:
        """One to three fills of each of some accounts, in one batch."""
        trades = [(name, self._trade(name)) for name in accounts for _ in range(self.random.randint(1, 3))]
        self.random.shuffle(trades)
        answer = self.ledger.fills.RecordFills(batch(*(_fill(name, trade) for name, trade in trades)))
        assert answer.recorded == len(trades), answer.refusals
        self.positions.append(answer.position)
        for name, trade in trades:
            self.notebooks[name].traded(answer.position, trade)

    def any_ns(self) -> int:
        return NOON_NS - self.random.randrange(DAYS * DAY_NS)

    def moment_ns(self, account_id: str) -> int:
        """Any instant, or one near those at which much happens to an account."""
        if self.random.random() < 0.3:
            return self.any_ns()
        return min(self.random.choice(self.busy_ns[account_id]) + self.random.randrange(DAY_NS // 2), NOON_NS)

    # -- steps --------------------------------------------------------------------------------------------------------

    def _trade(self, account_id: str) -> Trade:
        random = self.random
        self.fills += 1
        return Trade(
            exec_id=f"E{self.fills}",
            at_ns=self.moment_ns(account_id),
            symbol=random.choice(("XRP_USDT", "XRP_USDT", "DOGE_USDT", "XRP_ETH")),
            maker=random.random() < 0.5,
            api=random.random() < 0.8,
            self_trade=random.random() < 0.2,
            token_price=random.choice(("", "", "", "0.25", "0.7")),
            price=Decimal(random.choice(("0.5", "0.00000003", "0.0123"))),
            quantity=Decimal(random.randint(1, 10 ** random.randint(1, 11))).scaleb(-4),
        )

    def _decide(self, account_id: str) -> Sent | None:
        step = self.random.choice(
            (
                *(self._trial, self._grant, self._grant, self._revoke, self._ban, self._lift, self._flag),
                *(self._credit, self._withdraw, self._withdraw),
            )
        )
        return step(account_id, self.moment_ns(account_id))

    def _settle(self, sent: Sequence[Sent]) -> None:
        """Wait for answers, and note them; also that something was refused."""
        for book, answer, note in sent:
            try:
                position = answer.result(CALL_S_MAX).receipt.position
            except grpc.RpcError as error:
                book.decided(_refused_at(error), "nothing")
                continue
            self.positions.append(position)
            note(position)

    def _ask(
        self, stub: Any, request: Callable[..., Any], account_id: str, what: str, note: Any, **values: Any
    ) -> Sent:
        asked = request(request_id=request_id(), authority=FOUR_EYES, account_id=account_id, **values)
        book = self.notebooks[account_id]
        return book, stub.future(asked), lambda position: book.decided(position, what, **note)

    def _trial(self, account_id: str, at_ns: int) -> Sent:
        note = {"tier": "VIP3", "source": "TRIAL", "from_ns": at_ns, "until_ns": at_ns + 30 * DAY_NS}
        stub = self.ledger.commands.StartTrial
        return self._ask(stub, commands.StartTrialRequest, account_id, "grant", note, start_time=at(at_ns))

    def _grant(self, account_id: str, at_ns: int) -> Sent:
        tier, from_ns = self.random.choice(TIERS[1:]), at_ns + self.random.choice((0, 0, 3 * DAY_NS))
        until_ns = self.random.choice((FOR_EVER, from_ns + 1 + self.random.randrange(40 * DAY_NS)))
        note = {"tier": tier, "source": "MANUAL", "from_ns": from_ns, "until_ns": until_ns}
        times = {"valid_from": at(from_ns), **({} if until_ns == FOR_EVER else {"valid_until": at(until_ns)})}
        stub = self.ledger.commands.ChangeTier
        return self._ask(stub, commands.ChangeTierRequest, account_id, "grant", note, tier=tier, **times)

    def _revoke(self, account_id: str, at_ns: int) -> Sent | None:
        grants = self.notebooks[account_id].past(FOR_EVER).grants
        if not grants:
            return None
        number = self.random.randrange(len(grants))
        note = {"number": number, "at_ns": at_ns}
        values = {"grant_id": f"g{number + 1}", "revoke_time": at(at_ns)}
        stub = self.ledger.commands.RevokeTier
        return self._ask(stub, commands.RevokeTierRequest, account_id, "revoke", note, **values)

    def _ban(self, account_id: str, at_ns: int) -> Sent:
        days, bans = self.random.randint(1, 7), self.notebooks[account_id].past(FOR_EVER).bans
        running = [until_ns for from_ns, until_ns in bans if from_ns <= at_ns < until_ns]
        note = {"from_ns": at_ns, "until_ns": max([at_ns + days * DAY_NS, *running])}
        values = {"days": days, "start_time": at(at_ns), "reason_code": "ORDER_SPAM"}
        stub = self.ledger.commands.BanAccount
        return self._ask(stub, commands.BanAccountRequest, account_id, "ban", note, **values)

    def _lift(self, account_id: str, at_ns: int) -> Sent:
        stub, note = self.ledger.commands.LiftBan, {"at_ns": at_ns}
        return self._ask(stub, commands.LiftBanRequest, account_id, "lift", note, lift_time=at(at_ns))

    def _flag(self, account_id: str, at_ns: int) -> Sent:
        """Flag an account; unflag one that is flagged."""
        if self.notebooks[account_id].past(FOR_EVER).flagged(at_ns):
            stub, note = self.ledger.members.UnflagAccount, {"at_ns": at_ns}
            request = member_service_pb2.UnflagAccountRequest
            return self._ask(stub, request, account_id, "unflag", note, unflag_time=at(at_ns))
        kind = self.random.choice(("FAKE", "ROBOT"))
        stub, note = self.ledger.members.FlagAccount, {"from_ns": at_ns, "kind": kind}
        values = {"flag_time": at(at_ns), "kind": f"FLAG_KIND_{kind}"}
        return self._ask(stub, member_service_pb2.FlagAccountRequest, account_id, "flag", note, **values)

    def _credit(self, account_id: str, at_ns: int) -> Sent:
        """A credit on any day, with fills or without, of little or of much more than its fees."""
        amount = Decimal(self.random.randint(1, 10 ** self.random.randint(1, 12))).scaleb(-8)
        credit = Credit(0, at_ns // DAY_NS, amount, self.random.choice(("USDT", "USDT", "BMX")))
        request = commands.CreditFeeRequest(
            request_id=request_id(),
            authority=FOUR_EYES,
            account_id=account_id,
            day=at(at_ns).ToJsonString()[:10],
            amount=f"{amount:f}",
            currency=credit.currency,
            reason_code="OUTAGE",
        )
        book = self.notebooks[account_id]
        note = lambda position: book.credits.append(replace(credit, position=position))  # noqa: E731
        return book, self.ledger.commands.CreditFee.future(request), note

    def _withdraw(self, account_id: str, _: int) -> Sent | None:
        book = self.notebooks[account_id]
        if not book.credits:
            return None
        credit = self.random.choice(book.credits)  # one that is withdrawn is refused
        request = commands.WithdrawCreditRequest(
            request_id=request_id(),
            authority=FOUR_EYES,
            account_id=account_id,
            credit_position=credit.position,
            reason_code="MISTAKE",
        )
        return book, self.ledger.commands.WithdrawCredit.future(request), lambda at: setattr(credit, "withdrawn", at)

    def _evaluate(self, at_ns: int) -> None:
        await_tables(self.ledger)
        request = evaluation_service_pb2.RunEvaluationRequest(
            request_id=request_id(),
            authority=FOUR_EYES,
            kind=evaluation_service_pb2.EVALUATION_KIND_PERIODIC,
            instant=at(at_ns),
        )
        *_, last = self.ledger.evaluations.RunEvaluation(request, timeout=CALL_S_MAX)
        assert last.HasField("counts"), last
        position = self.ledger.log.head().position
        self.positions.append(position)
        for book in self.notebooks.values():
            book.evaluated(position, at_ns)


def _refused_at(error: grpc.RpcError) -> int:
    """The position at which the log says that a command was refused."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None, error
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    return int(info.metadata["position"])


def _close(day: str) -> evaluation_service_pb2.RecordDailyCloseRequest:
    return evaluation_service_pb2.RecordDailyCloseRequest(
        request_id=request_id(),
        authority=FOUR_EYES,
        asset="ETH",
        day=day,
        price=str(ETH_CLOSE),
        source="index",
        source_sha256=bytes(32),
    )


def _fill(account_id: str, trade: Trade) -> fill_pb2.Fill:
    values: dict[str, Any] = {"counterparty_owner_id": account_id} if trade.self_trade else {}
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
