"""What the back office orders about accounts in a random life; each order is told to a reckoner, refused or not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from ledger.v1 import command_service_pb2 as commands
from ledger.v1 import member_service_pb2 as members
from ledger.v1.command_pb2 import Authority
from ledger.v1.fill_service_pb2 import RecordFillsRequest
from ledger.v1.query_service_pb2 import GetLedgerInfoRequest
from tests.conftest import Ledger, at
from tests.properties.notebook import DAY_NS, FOR_EVER, TIERS, ends
from tests.properties.reckoner import Account, Reckoner
from tests.samples import FOUR_EYES, request_id

MATCHED_BY_OWNER = True  # R7 asks the account alone as yet, and not its owner: F7
HOUR_NS = 3_600 * 10**9
APPROVING = Authority(actor="ops-3", approver="ops-4", reason="agreed on the phone")  # others than those who asked


class Difference(NamedTuple):
    """Where the ledger says otherwise than the reckoner; without an account it is about the ledger as a whole."""

    account_id: str
    what: str
    expected: object
    found: object


@dataclass
class Scene:
    """A life under way: the service, chance, the reckoner, and what was found."""

    ledger: Ledger
    random: Random
    reckoner: Reckoner
    recorded_ns: dict[int, int] = field(default_factory=dict)  # when each acknowledged position was recorded
    stories: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # "" is of no account
    differences: list[Difference] = field(default_factory=list)

    @property
    def now_ns(self) -> int:
        return self.ledger.clock.now_ns

    def chance(self, percent: int) -> bool:
        """True so many times in a hundred."""
        return self.random.randrange(100) < percent

    def tell(self, account_id: str, text: str) -> None:
        """One more line of a story."""
        self.stories[account_id].append(f"{instant(self.now_ns)} {text}")

    def compare(self, account_id: str, what: str, expected: object, found: object) -> None:
        """Note a difference if there is one."""
        if expected != found:
            self.differences.append(Difference(account_id, what, expected, found))

    def acknowledged(self, position: int) -> int:
        """Remember a position."""
        self.recorded_ns[position] = self.reckoner.now_ns = self.now_ns
        return position

    def head(self) -> int:
        """The last position of the ledger."""
        return int(self.ledger.queries.GetLedgerInfo(GetLedgerInfoRequest()).position)

    def signed(self, position: int, source: str, until_ns: int) -> None:
        """Note that a source is complete until an instant."""
        self.reckoner.signs.append((position, source, until_ns, self.now_ns))

    def heartbeat(self, source: str) -> None:
        """A source without fills to send says that it has sent all of them up to now."""
        request = RecordFillsRequest(source=source, complete_until=at(self.now_ns))
        position = self.acknowledged(self.ledger.fills.RecordFills(request).position)
        self.tell("", f"{position}: {source} is complete")
        self.signed(position, source, self.now_ns)

    def send(self, stub: Any, request: Any) -> tuple[int, str, Any]:
        """(position, reason of the refusal, answer) of a command."""
        try:
            answer = stub(request)
        except grpc.RpcError as error:
            info = _info(error)
            return self.acknowledged(int(info.metadata["position"])), info.reason, None
        return self.acknowledged(answer.receipt.position), "", answer


class Orders:
    """One order at a time, about an account."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def order(self, account_id: str, *, may_flag: bool) -> None:
        """Any order."""
        account = self.scene.reckoner.accounts[account_id]
        flagged = account.past(FOR_EVER).flagged(self.scene.now_ns)
        grants = account.past(FOR_EVER).grants
        orders = [self._grant, self._ban] + [self._trial] * (1 if grants else 8)
        orders += [self._match] * (1 if grants else 4) * (MATCHED_BY_OWNER or account.owner_id == account_id)
        orders += [self._revoke, self._void] * bool(grants) + [self._lift] * bool(account.past(FOR_EVER).bans)
        orders += [self._unflag] * 4 if flagged else [self._flag] * may_flag
        self.scene.random.choice(orders)(account)

    def instant_ns(self, account: Account, *, ahead: bool = True) -> int:
        """Now, some days ahead, or in the past if the account has traded nothing since."""
        now_ns, random = self.scene.now_ns, self.scene.random
        if ahead and self.scene.chance(20):
            return now_ns + random.randrange(5 * DAY_NS)
        if self.scene.chance(30):
            return random.randint(min(max(account.free_ns(), now_ns - 4 * DAY_NS), now_ns), now_ns)
        return now_ns

    def _trial(self, account: Account) -> None:
        at_ns = self.instant_ns(account, ahead=False)
        reason = self.scene.reckoner.refuses_trial(account.account_id, at_ns)
        times = {"from_ns": at_ns, "until_ns": at_ns + 30 * DAY_NS}
        note = ("grant", {"tier": "VIP3", "source": "TRIAL", **times})
        request = commands.StartTrialRequest(start_time=at(at_ns), **self._asks(account))
        self._ask(account, self.scene.ledger.commands.StartTrial, request, reason, note)
        if not reason and self.scene.chance(30):
            self._void(account)

    def _grant(self, account: Account) -> None:
        tier, from_ns = self.scene.random.choice(TIERS[1:]), self.instant_ns(account)
        until_ns = from_ns + 1 + self.scene.random.randrange(25 * DAY_NS)
        note = ("grant", {"tier": tier, "source": "MANUAL", "from_ns": from_ns, "until_ns": until_ns})
        times = {"valid_from": at(from_ns), "valid_until": at(until_ns)}
        request = commands.ChangeTierRequest(tier=tier, **times, **self._asks(account))
        self._ask(account, self.scene.ledger.commands.ChangeTier, request, "", note)

    def _revoke(self, account: Account) -> None:
        number = self.scene.random.randrange(len(account.past(FOR_EVER).grants))
        self._revoke_at(account, number, self.instant_ns(account))

    def _void(self, account: Account) -> None:
        """A mistake: the grant never was. It is seen before anything is traded under it."""
        free_ns, grants = account.free_ns(), account.past(FOR_EVER).grants
        unused = [number for number, grant in enumerate(grants) if grant["from"] >= free_ns]
        if unused:
            number = self.scene.random.choice(unused)
            self._revoke_at(account, number, grants[number]["from"] - self.scene.random.choice((0, 1, DAY_NS)))

    def _revoke_at(self, account: Account, number: int, at_ns: int) -> None:
        grant = account.past(FOR_EVER).grants[number]
        reason = "GRANT_ENDED" if at_ns >= ends(grant) else ""
        request = commands.RevokeTierRequest(grant_id=f"g{number + 1}", revoke_time=at(at_ns), **self._asks(account))
        note = ("revoke", {"number": number, "at_ns": at_ns})
        self._ask(account, self.scene.ledger.commands.RevokeTier, request, reason, note)

    def _ban(self, account: Account) -> None:
        days, at_ns = self.scene.random.randint(1, 7), self.instant_ns(account, ahead=False)
        running = [until_ns for from_ns, until_ns in account.past(FOR_EVER).bans if from_ns <= at_ns < until_ns]
        note = ("ban", {"from_ns": at_ns, "until_ns": max([at_ns + days * DAY_NS, *running])})
        values = {"days": days, "start_time": at(at_ns), "reason_code": "ORDER_SPAM"}
        request = commands.BanAccountRequest(**values, **self._asks(account))
        self._ask(account, self.scene.ledger.commands.BanAccount, request, "", note)

    def _lift(self, account: Account) -> None:
        at_ns = self.instant_ns(account, ahead=False)
        reason = "" if account.past(FOR_EVER).banned(at_ns) else "NOT_BANNED"
        request = commands.LiftBanRequest(lift_time=at(at_ns), **self._asks(account))
        self._ask(account, self.scene.ledger.commands.LiftBan, request, reason, ("lift", {"at_ns": at_ns}))

    def _flag(self, account: Account) -> None:
        at_ns, kind = self.instant_ns(account, ahead=False), self.scene.random.choice(("FAKE", "ROBOT"))
        flags = account.past(FOR_EVER).flags
        same = any(from_ns <= at_ns < until_ns for from_ns, until_ns, of_kind in flags if of_kind == kind)
        reason = "ACCOUNT_ALREADY_FLAGGED" if same else ""
        request = members.FlagAccountRequest(flag_time=at(at_ns), kind=f"FLAG_KIND_{kind}", **self._asks(account))
        note = ("flag", {"from_ns": at_ns, "kind": kind})
        self._ask(account, self.scene.ledger.members.FlagAccount, request, reason, note)

    def _unflag(self, account: Account) -> None:
        at_ns = self.instant_ns(account, ahead=False)
        reason = "" if account.past(FOR_EVER).flagged(at_ns) else "NOT_FLAGGED"
        request = members.UnflagAccountRequest(unflag_time=at(at_ns), **self._asks(account))
        self._ask(account, self.scene.ledger.members.UnflagAccount, request, reason, ("unflag", {"at_ns": at_ns}))

    def _match(self, account: Account) -> None:
        """Asked for, and approved at once where the account is eligible."""
        scene, at_ns = self.scene, self.scene.now_ns
        spot, futures = scene.random.choice(((60_000, 40_000), (400_000, 200_000), (3_000_000, 0)))
        refused = scene.reckoner.refuses_match(account.account_id, at_ns, Decimal(spot + futures))
        request = members.RequestMatchRequest(
            venues=["another-exchange"],
            external_tier="vip-2",
            period_from=at(at_ns - 30 * DAY_NS),
            period_until=at(at_ns),
            external_volume=members.ExternalVolume(spot=str(spot), futures=str(futures)),
            evidence_sha256=scene.random.randbytes(32),
            request_time=at(at_ns),
            **self._asks(account),
        )
        answer = self._ask(account, scene.ledger.members.RequestMatch, request, "", ("match", {}))
        scene.compare(account.account_id, "match refused because", refused, answer.refused_because)
        if refused or scene.differences:
            return
        tier = scene.reckoner.terms_at(at_ns, FOR_EVER).tier_of(Decimal(spot + futures))
        note = ("grant", {"tier": tier, "source": "MATCH", "from_ns": at_ns, "until_ns": at_ns + 30 * DAY_NS})
        approval = members.ApproveMatchRequest(
            match_id=answer.match_id, approve_time=at(at_ns), **{**self._asks(account), "authority": APPROVING}
        )
        self._ask(account, scene.ledger.members.ApproveMatch, approval, "", note)

    def _asks(self, account: Account) -> dict[str, Any]:
        return {"request_id": request_id(), "authority": FOUR_EYES, "account_id": account.account_id}

    def _ask(
        self,
        account: Account,
        stub: Callable[[Any], Any],
        request: Any,
        reason: str,
        note: tuple[str, dict[str, Any]],
    ) -> Any:
        """Send an order that is refused for a reason, or for none, and note it."""
        position, refused, answer = self.scene.send(stub, request)
        what, values = note
        told = [f"{name} {instant(value) if name.endswith('_ns') else value}" for name, value in values.items()]
        self.scene.tell(
            account.account_id, f"{position}: {type(request).__name__} {', '.join(told)}: {refused or 'done'}"
        )
        self.scene.compare(account.account_id, f"{type(request).__name__} refused because", reason, refused)
        account.decided(position, "nothing" if refused else what, **values)
        return answer


def instant(at_ns: int) -> str:
    """An instant in words."""
    return "for ever" if at_ns == FOR_EVER else at(at_ns).ToJsonString()


def _info(error: grpc.RpcError) -> ErrorInfo:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None, error
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    assert "position" in info.metadata, error
    return info
