"""A ledger on paper: a reckoner that counts positions itself, for what is worked out without a service."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from itertools import count
from typing import Any

from tests.properties.late_facts import SHARED, Fact, LateAccount, LateReckoner
from tests.properties.late_orders import Step, Written
from tests.properties.late_past import LateTrade, Restated
from tests.properties.notebook import DAY_NS, FOR_EVER, Noted
from tests.properties.reckoner import PERIODIC

NAME = "ada"
EVALUATED_NS = 20_492 * DAY_NS  # midnight of 8 February 2026
HOUR_NS = 3_600 * 10**9


class Paper:
    """One account, and what is noted about it one position after the other."""

    def __init__(self, switches: Mapping[str, str], now_ns: int = EVALUATED_NS + 12 * HOUR_NS) -> None:
        self.reckoner = LateReckoner({NAME: NAME}, switches)
        self.reckoner.now_ns = now_ns
        self.written = Written(self.account)
        self._positions = count(1)
        self._numbers = count(1)

    @property
    def account(self) -> LateAccount:
        return self.reckoner.accounts[NAME]

    def trade(self, at_ns: int, quantity: int, **changes: Any) -> Noted:
        """A taker's fill of so many XRP_USDT at 0.5 over the API."""
        values: dict[str, Any] = {
            "exec_id": f"E{next(self._numbers)}",
            "at_ns": at_ns,
            "symbol": "XRP_USDT",
            "maker": False,
            "api": True,
            "self_trade": False,
            "token_price": "",
            "price": Decimal("0.5"),
            "quantity": Decimal(quantity),
        }
        return self.reckoner.traded(next(self._positions), NAME, LateTrade(**{**values, **changes}))

    def say(self, what: str, **values: Any) -> None:
        """What is no fact about lines."""
        self.account.decided(next(self._positions), what, **values)

    def note(self, what: str, **values: Any) -> Fact:
        """A fact."""
        if what in SHARED:
            shared = self.reckoner.share(next(self._positions), what, values)
            if shared.is_released_at_once:
                self.reckoner.bring(shared, next(self._positions))
        else:
            self.account.decided(next(self._positions), what, **values)
        return self.account.facts[-1]

    def grant(self, tier: str, from_ns: int, days: int = 30, source: str = "MANUAL") -> Fact:
        """A grant."""
        return self.note("grant", tier=tier, source=source, from_ns=from_ns, until_ns=from_ns + days * DAY_NS)

    def run(self, at_ns: int = EVALUATED_NS) -> None:
        """An evaluation."""
        known = next(self._positions)
        self.reckoner.evaluated(next(self._positions), PERIODIC, self.reckoner.plan(PERIODIC, at_ns, known))

    def release(self, fact: Fact) -> None:
        """Somebody releases a fact: a shared one that each account is asked about, for this one."""
        shared = next((one for one in self.reckoner.shared if fact in one.facts.values()), None)
        if shared and not shared.is_released_at_once:
            self.reckoner.bring(shared, next(self._positions))
        else:
            self.account.release(next(self._positions), fact)

    def decline(self, fact: Fact) -> None:
        """Somebody declines it."""
        fact.declined = next(self._positions)

    def take(self, step: Step) -> bool:
        """A step of an order, unless the rules refuse it."""
        values = self.written.values(step)
        if values is None or self.written.refuses(step, values):
            return False
        if step.what == "ban":
            days, from_ns = values.pop("days"), values["from_ns"]
            running = [until for start, until in self.account.past(FOR_EVER).bans if start <= from_ns < until]
            values["until_ns"] = max([from_ns + days * DAY_NS, *running])
        self.note(step.what, **values)
        self.written.took(step)
        return True

    # -- what is asked ------------------------------------------------------------------------------------------------

    def line(self, noted: Noted, known: int = FOR_EVER) -> Restated:
        """A line with what was posted for it."""
        return self.account.as_known(noted, known)

    def fee(self, noted: Noted) -> str:
        """The fee of a line with its currency, USDT unless another one is said."""
        fee = self.line(noted).fee_at(FOR_EVER)
        return f"{fee.amount.normalize():f}{'' if fee.currency == 'USDT' else ' ' + fee.currency}"


def sums(account: LateAccount) -> dict[tuple[Any, ...], Decimal]:
    """Fees less credits by day and currency; volume by day and the reason that it does not count."""
    found: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for noted in account.inside(0, FOR_EVER, FOR_EVER):
        day, fee = noted.trade.at_ns // DAY_NS, noted.fee_at(FOR_EVER)
        found["fee", day, fee.currency] += fee.amount
        found["volume", day, noted.excluded()] += noted.trade.notional
    for credit in account.credits:
        found["fee", credit.day, credit.currency] -= credit.amount if credit.stands(FOR_EVER) else Decimal(0)
    return dict(found)
