"""Random lives of some accounts, day by day on a moving clock: sent over gRPC, and told to a reckoner at the same time.

Nothing is decided about a time of which trades are recorded already: such orders stand in
tests/e2e/test_backdated_grants.py. Nobody is flagged while an evaluation is due: a run still pays an account that is
flagged, instead of waiting for the un-flag (F17).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from random import Random
from typing import Any

from ledger.v1 import command_service_pb2 as commands
from ledger.v1 import evaluation_service_pb2 as pb
from ledger.v1 import fill_pb2, fill_service_pb2, programme_service_pb2
from ledger.v1.programme_service_pb2_grpc import ProgrammeServiceStub
from ledger.v1.refusal_pb2 import Reason
from tests.conftest import NOON_NS, Ledger, at
from tests.properties.life_evaluations import Evaluations
from tests.properties.life_orders import HOUR_NS, Orders, Scene, instant
from tests.properties.notebook import BANDS, DAY_NS, FOR_EVER, Noted, Trade
from tests.properties.reckoner import SYMBOLS, Reckoner, Terms
from tests.samples import FOUR_EYES, batch, fill, request_id, symbol
from tests.server.calls import CALL_S_MAX

DAYS = 110
BEGIN_NS = NOON_NS - DAY_NS // 2 + DAY_NS
SOURCES = {"me-1": DAYS, "me-2": DAYS, "otc-desk": 20, "": DAYS}  # and the day from which on each is idle
OWNERS = {"ada": "house", "bob": "house", "cyd": "cyd", "dan": "dan", "eve": "eve", "flo": "flo", "gil": "gil"}
PRICES = {"USDT": "0.5", "ETH": "0.00025"}
# What the second version says otherwise; its file is that of the first one with these words replaced.
SECOND = {
    'version = "3.0"': 'version = "3.1"',
    'maker = "0.25%"\n': 'maker = "0.19%"\n',
    'taker = "0.25%"\n': 'taker = "0.22%"\n',
    "[rates.VIP1]\n": '[base_rates.B]\nmaker = "0.08%"\ntaker = "0.11%"\n[rates.VIP1]\n',
    'VIP1 = "100000", VIP2 = "500000", VIP3': 'VIP1 = "150000", VIP2 = "400000", VIP3',
    "further_days = 30": "further_days = 15",
}
SECOND_BASE, SECOND_BANDS = {"": ("0.19", "0.22"), "B": ("0.08", "0.11")}, {**BANDS, "VIP1": 150_000, "VIP2": 400_000}


class LongLife:
    """110 days of some accounts that know each other by nothing but their owners."""

    def __init__(self, ledger: Ledger, seed: int) -> None:
        self.scene = Scene(ledger, Random(seed), Reckoner(OWNERS))
        self.orders, self.evaluations = Orders(self.scene), Evaluations(self.scene, BEGIN_NS)
        self.sequences = dict.fromkeys(SOURCES, 0)
        self.last: dict[str, tuple[Any, list[Noted]]] = {}  # the last batch of each source
        self.fills = 0
        self.unclosed: dict[int, int] = {}  # UTC days without a close, and the day on which they get one

    def live(self) -> None:
        """All days, or up to the first one with a difference."""
        self._begin()
        steps = (self._close, self._order, self._trade, self._trade, self._evaluate, self._heartbeat)
        for day in range(DAYS):
            self.scene.ledger.clock.now_ns = BEGIN_NS + day * DAY_NS + self.scene.random.randrange(2 * HOUR_NS)
            if day == DAYS // 2:
                self._publish()
            for step in self.scene.random.sample(steps, len(steps)):
                step(day)
                if self.scene.differences:
                    return
                self.scene.ledger.clock.now_ns += self.scene.random.randrange(3 * HOUR_NS)

    # -- steps --------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        scene = self.scene
        scene.ledger.clock.now_ns = BEGIN_NS
        for name, (pair_class, _) in SYMBOLS.items():
            scene.ledger.commands.RegisterSymbol(symbol(name, pair_class=pair_class))
        for name, owner in OWNERS.items():
            asks = {"request_id": request_id(), "authority": FOUR_EYES, "account_id": name}
            position, *_ = scene.send(
                scene.ledger.commands.RegisterAccount, commands.RegisterAccountRequest(owner_id=owner, **asks)
            )
            scene.reckoner.accounts[name].decided(position, "nothing")
        for day in range(BEGIN_NS // DAY_NS - 20, BEGIN_NS // DAY_NS):
            self._record_close(day)

    def _publish(self) -> None:
        """A second version, from soon on."""
        scene, programmes = self.scene, ProgrammeServiceStub(self.scene.ledger.channel)
        text = programmes.GetProgramme(programme_service_pb2.GetProgrammeRequest()).programme.content
        for old, new in SECOND.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        from_ns = scene.now_ns + scene.random.randrange(6 * DAY_NS)
        request = programme_service_pb2.PublishProgrammeRequest(
            request_id=request_id(), authority=FOUR_EYES, content=text, valid_from=at(from_ns)
        )
        position, refused, _ = scene.send(programmes.PublishProgramme, request)
        assert not refused, refused
        scene.tell("", f"{position}: version 3.1 from {instant(from_ns)}")
        scene.reckoner.terms.append((position, Terms("3.1", from_ns, SECOND_BASE, SECOND_BANDS, 15)))

    def _close(self, day: int) -> None:
        """Closes of days that have ended, some of them days late; now and then one is restated."""
        random, today = self.scene.random, BEGIN_NS // DAY_NS + day
        if day:
            self.unclosed[today - 1] = day + random.choice((0, 0, 0, 0, 1, 4, 9))
        for closing in [closing for closing, when in self.unclosed.items() if when <= day]:
            del self.unclosed[closing]
            self._record_close(closing)
        if self.scene.chance(8):
            _, closing, _ = random.choice(self.scene.reckoner.closes[-15:])
            self._record_close(closing)

    def _record_close(self, day: int) -> None:
        scene = self.scene
        restates = max((at for at, closed, _ in scene.reckoner.closes if closed == day), default=0)
        price = Decimal(scene.random.randrange(150_000, 250_000)).scaleb(-2)
        request = pb.RecordDailyCloseRequest(
            request_id=request_id(),
            authority=FOUR_EYES,
            asset="ETH",
            day=instant(day * DAY_NS)[:10],
            price=str(price),
            source="index",
            source_sha256=bytes(32),
            restates=restates,
        )
        position, refused, _ = scene.send(scene.ledger.evaluations.RecordDailyClose, request)
        assert not refused, refused
        scene.tell("", f"{position}: close of {request.day} is {price}{' (restated)' if restates else ''}")
        scene.reckoner.closes.append((position, day, price))

    def _order(self, day: int) -> None:
        for name in OWNERS:
            if self.scene.chance(40 if day < 4 else 14) and not self.scene.differences:
                self.orders.order(name, may_flag=not self.evaluations.is_due(name))

    def _evaluate(self, day: int) -> None:
        self.evaluations.run_due(between=lambda: self._trade(day) if self.scene.chance(40) else None)

    def _heartbeat(self, day: int) -> None:
        """A source says that it has sent everything; the one that is idle says it too."""
        if self.scene.chance(15):
            self.scene.heartbeat(self.scene.random.choice([source for source in SOURCES if source]))

    # -- trades -------------------------------------------------------------------------------------------------------

    def _trade(self, day: int) -> None:
        """Trades of some accounts in one batch; now and then the last one of the source comes once more."""
        scene = self.scene
        source = scene.random.choice([name for name, idle_from in SOURCES.items() if day < idle_from])
        names = [name for name in OWNERS if scene.chance(28)]
        trades = [(name, self._any_trade(name)) for name in names for _ in range(scene.random.choice((1, 1, 2)))]
        scene.random.shuffle(trades)
        if trades:
            self._send(source, trades)
        if source in self.last and scene.chance(10):
            self._resend(source)

    def _resend(self, source: str) -> None:
        """What was recorded comes again, and one fill of it with another quantity: that one alone is a conflict."""
        scene, (request, noted) = self.scene, self.last[source]
        request, other = fill_service_pb2.RecordFillsRequest.FromString(request.SerializeToString()), -1
        if scene.chance(50):
            other = scene.random.randrange(len(noted))
            request.fills[other].last_qty = f"1{request.fills[other].last_qty}"
        known = scene.head()
        answer = scene.ledger.fills.RecordFills(request, timeout=CALL_S_MAX)
        if answer.position not in scene.recorded_ns:
            scene.acknowledged(answer.position)  # the conflict is recorded
        found = (answer.recorded, answer.replayed, [(one.index, Reason.Name(one.reason)) for one in answer.refusals])
        refused = [(other, "REASON_FILL_CONFLICT")] if other >= 0 else []
        scene.compare("", f"resent fills of {source}", (0, len(noted) - len(refused), refused), found)
        fees = ["" if number == other else one.fee_at(known).amount for number, one in enumerate(noted)]
        amounts = [Decimal(fee.fee_amount) if fee.fee_amount else "" for fee in answer.fees]
        scene.compare("", f"fees of resent fills of {source}", fees, amounts)

    def _send(self, source: str, trades: Sequence[tuple[str, Trade]]) -> None:
        scene = self.scene
        fills = [_fill(name, trade) for name, trade in trades]
        numbers = {"source": source, "first_sequence": self.sequences[source] + 1} if source else {}
        request = batch(*fills, **numbers)
        answer = scene.ledger.fills.RecordFills(request, timeout=CALL_S_MAX)
        assert answer.recorded == len(trades), answer.refusals
        self.last[source] = request, []
        self.sequences[source] += len(trades)
        position = scene.acknowledged(answer.position)
        if source:
            scene.signed(position, source, max(trade.at_ns for _, trade in trades))
        for (name, trade), fee in zip(trades, answer.fees, strict=True):
            noted = scene.reckoner.traded(position, name, trade)
            self.last[source][1].append(noted)
            scene.tell(name, f"{position}: {_told(noted)}{f' by {source}' if source else ''}")
            expected = (noted.fee.amount, noted.fee.currency, noted.fee.rate)
            found = (Decimal(fee.fee_amount), fee.fee_currency, Decimal(fee.fee_rate))
            scene.compare(name, f"fee of {trade.exec_id}", expected, found)

    def _any_trade(self, account_id: str) -> Trade:
        random = self.scene.random
        self.fills += 1
        name = random.choice(("XRP_USDT", "XRP_USDT", "DOGE_USDT", "XRP_ETH", "LTC_USDT"))
        return Trade(
            exec_id=f"E{self.fills}",
            at_ns=self._moment_ns(account_id),
            symbol=name,
            maker=random.random() < 0.5,
            api=random.random() < 0.85,
            self_trade=random.random() < 0.1,
            token_price=random.choice(("", "", "", "0.25", "0.7")),
            price=Decimal(PRICES[SYMBOLS[name][1]]),
            quantity=Decimal(int(10 ** random.uniform(4, 10.7))).scaleb(-4),
        )

    def _moment_ns(self, account_id: str) -> int:
        """Today, days ago, or at an instant at which something changes: an evaluation, a grant, a ban."""
        scene, random = self.scene, self.scene.random
        if scene.chance(50):
            return scene.now_ns - random.randrange(4 * HOUR_NS)
        if scene.chance(40):
            return scene.now_ns - random.randrange(12 * DAY_NS)
        edges = [*scene.reckoner.accounts[account_id].past(FOR_EVER).changes(), *self.evaluations.instants()]
        near = [edge for edge in edges if scene.now_ns - 12 * DAY_NS < edge <= scene.now_ns]
        if not near:
            return scene.now_ns
        return min(random.choice(near) + random.choice((-1, 0, 1, random.randrange(12 * HOUR_NS))), scene.now_ns)


def _fill(account_id: str, trade: Trade) -> fill_pb2.Fill:
    values: dict[str, Any] = {"counterparty_owner_id": OWNERS[account_id]} if trade.self_trade else {}
    if trade.token_price:
        values["token_payment"] = fill_pb2.TokenPayment(token="BMX", price=trade.token_price)
    return fill(
        account_id=account_id,
        exec_id=trade.exec_id,
        symbol=trade.symbol,
        liquidity=fill_pb2.LIQUIDITY_MAKER if trade.maker else fill_pb2.LIQUIDITY_TAKER,
        channel=fill_pb2.CHANNEL_API if trade.api else fill_pb2.CHANNEL_APP,
        last_px=f"{trade.price:f}",
        last_qty=f"{trade.quantity:f}",
        transact_time=at(trade.at_ns),
        **values,
    )


def _told(noted: Noted) -> str:
    trade, fee = noted.trade, noted.fee
    side, why = "maker" if trade.maker else "taker", noted.excluded(noted.position)
    told = f"{trade.exec_id} of {instant(trade.at_ns)}: {side} {trade.quantity} {trade.symbol} at {trade.price}"
    return f"{told}{f' ({why})' if why else ''} costs {fee.amount} {fee.currency} as {fee.tier}"
