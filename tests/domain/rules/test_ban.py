"""R22: one to seven whole days, half-open; the longer of two bans wins (A22)."""

from __future__ import annotations

import pytest

from ledger.domain.events import AccountBanned, BanLifted
from ledger.domain.instants import DAY_NS
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.rules.ban import ban_account, lift_ban, running_ban
from ledger.domain.state.account import AccountState, Ban
from tests.domain.worked import NOON_NS, programme

ALICE = AccountState("alice")
BANNED = AccountState("alice", bans=(Ban("b1", NOON_NS, NOON_NS + 5 * DAY_NS, "ORDER_SPAM"),))


def ban(account: AccountState, days: int, start_ns: int = NOON_NS) -> AccountBanned | Refusal:
    return ban_account(account, [programme()], days=days, start_time_ns=start_ns, reason_code="ORDER_SPAM")


@pytest.mark.parametrize("days", [1, 7])
def test_a_ban_lasts_whole_days(days: int) -> None:
    assert ban(AccountState("alice"), days) == AccountBanned("b1", NOON_NS, NOON_NS + days * DAY_NS, "ORDER_SPAM")


@pytest.mark.parametrize("days", [0, 8, 4_294_967_295])
def test_any_other_length_is_refused(days: int) -> None:
    found = ban(AccountState("alice"), days)
    assert isinstance(found, Refusal)
    assert found.reason == Reason.BAN_DAYS_OUT_OF_RANGE


@pytest.mark.parametrize(("start_day", "days", "end_day"), [(1, 1, 5), (1, 7, 8), (4, 1, 5), (5, 1, 6)])
def test_a_ban_never_ends_before_one_that_runs_at_its_start(start_day: int, days: int, end_day: int) -> None:
    found = ban(BANNED, days, NOON_NS + start_day * DAY_NS)
    assert isinstance(found, AccountBanned)
    assert found.end_time_ns == NOON_NS + end_day * DAY_NS


def test_a_ban_runs_from_its_start_until_just_before_its_end() -> None:
    end_ns = NOON_NS + 5 * DAY_NS
    found = [running_ban(BANNED.bans, at_ns) is not None for at_ns in (NOON_NS - 1, NOON_NS, end_ns - 1, end_ns)]
    assert found == [False, True, True, False]


def test_only_a_running_ban_can_be_lifted() -> None:
    assert lift_ban(BANNED, lift_time_ns=NOON_NS) == BanLifted(NOON_NS)
    for at_ns in (NOON_NS - 1, NOON_NS + 5 * DAY_NS):
        found = lift_ban(BANNED, lift_time_ns=at_ns)
        assert isinstance(found, Refusal)
        assert found.reason == Reason.NOT_BANNED


def test_a_ban_is_as_long_as_every_programme_in_force_allows() -> None:
    both = [programme(), programme(programme_id="other", ban_days_min=2, ban_days_max=3)]
    found = [
        ban_account(AccountState("alice"), both, days=days, start_time_ns=0, reason_code="X") for days in (1, 2, 3, 4)
    ]
    assert [isinstance(ban, Refusal) for ban in found] == [True, False, False, True]
