"""Calls to the services of a ledger, all the time: what they are told as the present is compared with a history.

One thread writes, to whichever service takes it. Threads ask each service for its state, a quote and its head, and
threads are refused by each service: for a gap in the numbers, for a replay, and for a ban that must be there.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from itertools import cycle
from typing import Final, Self

import grpc

from ledger.client.errors import error_of
from ledger.domain.refusal import Reason
from ledger.v1.command_pb2 import Authority
from ledger.v1.command_service_pb2 import (
    BanAccountRequest,
    LiftBanRequest,
    RegisterAccountRequest,
    RegisterSymbolRequest,
)
from ledger.v1.command_service_pb2_grpc import CommandServiceStub
from ledger.v1.fill_pb2 import CHANNEL_API, LIQUIDITY_TAKER, SIDE_BUY, Fill
from ledger.v1.fill_service_pb2 import RecordFillsRequest
from ledger.v1.fill_service_pb2_grpc import FillServiceStub
from ledger.v1.query_service_pb2 import GetLedgerInfoRequest, GetVipStateRequest, QuoteFeeRequest
from ledger.v1.query_service_pb2_grpc import QueryServiceStub
from scripts.torture.engine import TortureError
from scripts.torture.history import History
from scripts.torture.served import Served

_SYMBOL: Final = "XRP_USDT"
_ACCOUNT: Final = "alice"
_CALL_S_MAX: Final = 20
_ASK_S: Final = (0.3, 3.0)  # deadlines: who waits at a service that stands still asks it anew, knowing more
_WRITER_S_MAX: Final = 60
_WRITE_S_MAX: Final = 0.5
_PAUSE_S: Final = 0.02  # after a refusal
_PACE_S: Final = 0.002
_BAN_EVERY_S: Final = 0.05
_BAN_S_MAX: Final = 2
_GAP: Final = 10**9  # numbers that no source has reached
_WHO: Final = Authority(actor="ops-1", approver="ops-2", reason="a probe")


class Load:
    """Calls to services until the block ends; `history` says what was wrong."""

    def __init__(self, dsn: str, schema: str, *services: Served) -> None:
        """`dsn` is that of PostgreSQL itself, which no fault cuts off from here."""
        self.history = History(dsn, schema)
        self._channels = [
            grpc.insecure_channel(each.address, [("grpc.max_reconnect_backoff_ms", 200)]) for each in services
        ]
        self._source = f"engine-{time.time_ns()}"
        self._over = threading.Event()
        self._mutex = threading.Lock()
        self.sequence = 0  # acknowledged
        self._banned = 0  # rounds of bans that are acknowledged, one account for each service
        self._lifted = [0] * len(services)
        self.writes: list[tuple[float, int]] = []  # when each was acknowledged, and by which service
        self.asked = Counter[tuple[int, str]]()  # (service, what it answered)
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._write, self._ban)]
        for place in range(len(services)):
            for ask in (self._state, self._quote, self._head, self._be_refused, self._repeat, self._lift):
                self._threads.append(threading.Thread(target=self._ask, args=(place, ask), daemon=True))

    def __enter__(self) -> Self:
        self.history.__enter__()
        self._prepare()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self.history.__exit__()
        for channel in self._channels:
            channel.close()

    def writer(self) -> int:
        """Return the place of the service that takes what is written now. Raises TortureError if none does."""
        if self.seconds_to_write(time.monotonic(), _WRITER_S_MAX) == float("inf"):
            raise TortureError(f"nobody writes within {_WRITER_S_MAX} s")
        return self.writes[-1][1]

    def seconds_to_write(self, after_s: float, wait_s: float, by: int | None = None) -> float:
        """From an instant of the monotonic clock to the first acknowledgement after it; infinite: none in time."""
        until_s = time.monotonic() + wait_s
        while time.monotonic() < until_s:
            for at_s, place in list(self.writes):
                if at_s > after_s and by in (None, place):
                    return at_s - after_s
            time.sleep(0.01)
        return float("inf")

    def refusal(self, place: int) -> str:
        """The reason with which a service refuses a command now; empty: it took it."""
        request = RegisterAccountRequest(request_id=f"probe-{time.monotonic_ns()}", account_id=_ACCOUNT, authority=_WHO)
        try:
            CommandServiceStub(self._channels[place]).RegisterAccount(request, timeout=_CALL_S_MAX)
        except grpc.RpcError as error:
            return _told(error)
        return ""

    def _prepare(self) -> None:
        """The symbol, and the first fill."""
        symbol = RegisterSymbolRequest(request_id="symbol", symbol=_SYMBOL, base_currency="XRP", quote_currency="USDT",
                                       price_scale=8, quantity_scale=4, pair_class="A")  # fmt: skip
        until_s = time.monotonic() + _CALL_S_MAX
        for channel in cycle(self._channels):
            try:
                CommandServiceStub(channel).RegisterSymbol(symbol, timeout=_CALL_S_MAX)
                break
            except grpc.RpcError:
                if time.monotonic() > until_s:
                    raise
                time.sleep(0.1)
        self._fill = Fill(account_id=_ACCOUNT, symbol=_SYMBOL, side=SIDE_BUY, liquidity=LIQUIDITY_TAKER, last_px="0.5",
                          last_qty="10", channel=CHANNEL_API)  # fmt: skip
        self._fill.transact_time.GetCurrentTime()

    def _request(self, sequence: int) -> RecordFillsRequest:
        fill = Fill(exec_id=f"{self._source}-{sequence}")
        fill.MergeFrom(self._fill)
        return RecordFillsRequest(source=self._source, first_sequence=sequence, fills=[fill])

    def _write(self) -> None:
        """One fill after another, to whichever service takes it."""
        place = 0
        while not self._over.wait(_PACE_S):
            request = self._request(self.sequence + 1)
            try:
                answer = FillServiceStub(self._channels[place]).RecordFills(request, timeout=_WRITE_S_MAX)
            except grpc.RpcError:
                place = (place + 1) % len(self._channels)
                self._over.wait(_PAUSE_S)
                continue
            self.history.acknowledge(answer.position)
            self.sequence = answer.source_sequence
            self.writes.append((time.monotonic(), place))

    def _ban(self) -> None:
        """Ban an account for each service, round after round; the thread of that service lifts the ban."""
        while not self._over.wait(_BAN_EVERY_S):
            if all(self._ban_one(self._to_ban(self._banned + 1, place)) for place in range(len(self._lifted))):
                self._banned += 1

    def _ban_one(self, name: str) -> bool:
        """Ask one service after another until it is acknowledged; False: the block ends."""
        request = BanAccountRequest(
            request_id=f"ban-{name}", account_id=name, days=7, reason_code="ORDER_SPAM", authority=_WHO
        )
        for channel in cycle(self._channels):
            if self._over.is_set():
                break
            try:
                answer = CommandServiceStub(channel).BanAccount(request, timeout=_BAN_S_MAX)
            except grpc.RpcError:
                self._over.wait(_PAUSE_S)
                continue
            self.history.acknowledge(answer.receipt.position)
            return True
        return False

    def _to_ban(self, round_: int, place: int) -> str:
        return f"{self._source}.{round_}.{place}"

    def _ask(self, place: int, ask: Callable[[int, float], None]) -> None:
        chance = random.Random()  # noqa: S311 - a load
        while not self._over.wait(_PACE_S):
            try:
                ask(place, chance.uniform(*_ASK_S))
                told = "answers"
            except grpc.RpcError as error:
                told = _told(error)
                self._over.wait(_PAUSE_S)
            with self._mutex:
                self.asked[place, told] += 1

    def _state(self, place: int, timeout_s: float) -> None:
        before, request = self.history.before(), GetVipStateRequest(account_id=_ACCOUNT)
        answer = QueryServiceStub(self._channels[place]).GetVipState(request, timeout=timeout_s)
        self.history.compare(before, answer.basis.known_at_position, f"a state by service {place}")

    def _quote(self, place: int, timeout_s: float) -> None:
        before, request = self.history.before(), QuoteFeeRequest(account_id=_ACCOUNT, symbol=_SYMBOL, side=SIDE_BUY,
            liquidity=LIQUIDITY_TAKER, last_px="0.5", last_qty="10", channel=CHANNEL_API)  # fmt: skip
        answer = QueryServiceStub(self._channels[place]).QuoteFee(request, timeout=timeout_s)
        self.history.compare(before, answer.basis.known_at_position, f"a quote by service {place}")

    def _head(self, place: int, timeout_s: float) -> None:
        before = self.history.before()
        answer = QueryServiceStub(self._channels[place]).GetLedgerInfo(GetLedgerInfoRequest(), timeout=timeout_s)
        self.history.compare(before, answer.position, f"the head by service {place}")

    def _be_refused(self, place: int, timeout_s: float) -> None:
        """A gap is told with the number that follows all that was acknowledged before."""
        before = self.sequence
        try:
            FillServiceStub(self._channels[place]).RecordFills(self._request(_GAP), timeout=timeout_s)
        except grpc.RpcError as error:
            refused = error_of(error)
            if refused.reason != Reason.SEQUENCE_GAP:
                raise
            if (expected := int(refused.metadata["expected_sequence"])) <= before:
                self.history.find_stale(
                    f"service {place} expects number {expected}, and {before} had been acknowledged"
                )
            return
        self.history.find_stale(f"service {place} took number {_GAP}")

    def _repeat(self, place: int, timeout_s: float) -> None:
        """A replay, which records nothing, tells of no position before what was acknowledged."""
        if not self.sequence:
            return
        before = self.history.before()
        answer = FillServiceStub(self._channels[place]).RecordFills(self._request(1), timeout=timeout_s)
        self.history.compare(before, answer.position, f"a replay by service {place}")

    def _lift(self, place: int, timeout_s: float) -> None:
        """A ban that was acknowledged can be lifted, once."""
        banned = self._banned
        if banned == self._lifted[place]:
            return
        name = self._to_ban(banned, place)
        request = LiftBanRequest(request_id=f"lift-{name}", account_id=name, authority=_WHO)
        try:
            answer = CommandServiceStub(self._channels[place]).LiftBan(request, timeout=timeout_s)
        except grpc.RpcError as error:
            if error_of(error).reason != Reason.NOT_BANNED:
                raise
            self.history.find_stale(f"service {place} says {name} is not banned, and its ban had been acknowledged")
        else:
            self.history.acknowledge(answer.receipt.position)
        self._lifted[place] = banned


def _told(error: grpc.RpcError) -> str:
    """Return the reason of a refusal, or the status where nobody gave one."""
    found = error_of(error)
    return found.reason.name if found.reason is not None else found.code.name
