"""The standings of the accounts whose fills are priced: as columns for the writer, from states for everybody else.

Between two of an account's changes nothing of its standing changes. So a table of stretches of time answers for a
hundred thousand accounts at once, and only what it does not hold is worked out from the state of an account.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import repeat
from typing import Any, Final, TypeAlias

import numpy as np

from ledger.arrays.columns import Ints, distinct
from ledger.arrays.decimal_columns import grown
from ledger.domain.grant_sources import TRIAL
from ledger.domain.instants import BEGINNING_NS, NEVER_NS
from ledger.domain.pricing.plan import NO_STANDING, Standing, find_standing, standing_at
from ledger.domain.rules.best_grant import may_still_count
from ledger.domain.state.account import AccountState, Grant, change_instants
from ledger.domain.state.held import NAME_BYTES, OWNER_BYTES
from ledger.domain.state.owners import Owned
from ledger.domain.state.programme import Programme, Ranking
from ledger.fills.batch import AccountDays
from ledger.fills.batch_lines import BatchLines

_CAPACITY: Final = 1_024
_STRETCHES: Final = 3  # of an account in the table: now, and two that follow
_ROW_BYTES: Final = 17  # when it was used, whether it holds, its owners
_STRETCHES_BYTES: Final = 8 * (_STRETCHES + 1) + 4 * _STRETCHES
_RANKINGS_MAX: Final = 8
_STANDINGS_MAX, _STANDING_BYTES = 1 << 16, 700  # different ones in the table, which is emptied beyond (see `shrink`)
# Accounts with the same few grants, bans and flags hold the same: so many different ones are remembered, some 8 MB.
_ALIKE_MAX, _CHANGING_MAX = 4_096, 4
_WITHOUT_EVENT: Final = 0  # the number of every account without an event
_MISSING: Final = -1

States: TypeAlias = Mapping[str, AccountState]


def standings_of(lines: BatchLines, groups: AccountDays, accounts: States) -> tuple[list[Standing], Ints]:
    """Return the standings of the lines' accounts, and the place of each line's; most accounts hold nothing."""
    kinds: dict[tuple[Any, ...], int] = {_pricing_key(NO_STANDING): 0}
    standings = [NO_STANDING]
    standing = np.zeros(len(lines), dtype=np.int64)

    def code(account: AccountState, market: int, rate_ns: int, transact_ns: int) -> int:
        found = standing_of_fill(account, lines.markets[market].programme, rate_ns, transact_ns)
        known = kinds.setdefault(_pricing_key(found), len(standings))
        if known == len(standings):
            standings.append(found)
        return known

    named = ((name, accounts.get(name)) for name in lines.batch.accounts)
    holders = {name: account for name, account in named if account is not None and account.change_instants}
    if not holders:
        return standings, standing
    rate_times, times = lines.rate_time_ns.tolist(), lines.batch.transact_time_ns[lines.place].tolist()
    one_programme = len({id(market.programme) for market in lines.markets}) == 1
    for group, start, end in lines.spans():
        account = holders.get(groups.keys[group][0])
        if account is None:
            continue
        changes = account.change_instants
        rated, traded, markets = rate_times[start:end], times[start:end], lines.market[start:end].tolist()
        instants = (*rated, *traded)
        if one_programme and bisect_right(changes, min(instants)) == bisect_right(changes, max(instants)):
            standing[start:end] = code(account, markets[0], rated[0], traded[0])
        else:
            standing[start:end] = [code(account, *each) for each in zip(markets, rated, traded, strict=True)]
    return standings, standing


def standing_of_fill(account: AccountState, programme: Programme, rate_ns: int, transact_ns: int) -> Standing:
    """Return the standing that a fill is priced by: a ban counts when it trades, whatever instant its rates are of."""
    found = standing_at(account, programme, rate_ns)
    if rate_ns != transact_ns:
        found = found._replace(banned=standing_at(account, programme, transact_ns).banned)
    return found


def _pricing_key(standing: Standing) -> tuple[Any, ...]:
    """Return a key that is the same for standings that price alike, whoever holds them."""
    grant, *rest = standing
    return (grant.grant_id if grant else "", *rest)


class StandingTable:
    """Accounts by number: their owners, and their standings in a few stretches of time that follow each other.

    A table holds what states say, and forgets an account when an event changes it: then `enter` has to be told anew.
    For each ranking of tiers an account has instants [a, b, c, d] and the codes of its standings in [a, b), [b, c) and
    [c, d); whatever lies outside is not known here. An account without a change has no stretch: it holds nothing ever.
    """

    def __init__(self) -> None:
        self._number_of: dict[str, int] = {}
        self._owned: list[Owned | None] = [None]  # by number; None: it is its own owner, and its fills name no other
        self._owners = 0
        self._used = np.zeros(_CAPACITY, dtype=np.int64)
        self._uses = 0
        self._holds = np.zeros(_CAPACITY, dtype=bool)  # as its last event left it
        self._changes = np.zeros(_CAPACITY, dtype=bool)  # it has an instant at which something changes
        self._stretches: dict[Ranking, tuple[Ints, Ints]] = {}  # instants and codes, a row for each account
        self._code_of: dict[tuple[Any, ...], int] = {_pricing_key(NO_STANDING): 0}
        self.standings = [NO_STANDING]
        self._of_alike: dict[tuple[Any, ...], tuple[list[int], list[int]]] = {}  # a memo of `_stretches_since`
        self._holds[_WITHOUT_EVENT] = True

    def __len__(self) -> int:
        return len(self._number_of)

    @property
    def nbytes(self) -> int:
        """The bytes of memory that the table takes, more or less."""
        columns = _ROW_BYTES + _STRETCHES_BYTES * len(self._stretches)
        beside = self._owners * OWNER_BYTES + len(self.standings) * _STANDING_BYTES
        return len(self) * NAME_BYTES + len(self._holds) * columns + beside

    def numbers(self, names: Sequence[str]) -> Ints:
        """Return the numbers of accounts, which count as used now; -1 for one that is not held."""
        numbers = np.array(list(map(self._number_of.get, names, repeat(_MISSING))), dtype=np.int64)
        numbers[~self._holds[numbers]] = _MISSING  # of -1 it is the last row that is asked, to no effect
        self._used[numbers[numbers != _MISSING]] = self._uses
        return numbers

    def enter(self, accounts: Iterable[AccountState | None]) -> Ints:
        """Hold accounts as they are now, and return their numbers; None is one without an event."""
        numbers = np.array([_WITHOUT_EVENT if each is None else self._enter(each) for each in accounts], dtype=np.int64)
        self._used[numbers] = self._uses
        for instants, _ in self._stretches.values():
            instants[numbers] = NEVER_NS
        return numbers

    def _enter(self, account: AccountState) -> int:
        number = self._number_of.setdefault(account.account_id, len(self._owned))
        if number == len(self._owned):
            self._owned.append(None)
            if number == len(self._holds):
                self._resize(2 * number)
        self._owners -= self._owned[number] is not None
        has_owner = account.owner_id != account.account_id or account.named_owners
        self._owned[number] = Owned.of(account) if has_owner else None
        self._owners += self._owned[number] is not None
        self._holds[number] = True
        self._changes[number] = bool(account.grants or account.bans or account.flags)
        return number

    def forget(self, account_id: str) -> None:
        """No longer answer for an account, of which an event was recorded."""
        number = self._number_of.get(account_id)
        if number is not None:
            self._holds[number] = False

    def owned(self, numbers: Ints) -> list[Owned | None]:
        """Return the owners of accounts; None for one that is its own owner, and whose fills name no other."""
        return list(map(self._owned.__getitem__, numbers.tolist()))

    def changing(self, numbers: Ints) -> Ints:
        """Return a boolean array: True for an account that has ever held anything, or will."""
        found: Ints = self._changes[numbers]
        return found

    def codes(self, ranking: Ranking, numbers: Ints, rated_ns: Ints, traded_ns: Ints) -> Ints:
        """Return the code of each fill's standing, which is in `standings`; -1 where the table does not know it.

        It knows it where both instants of a fill lie in one stretch.
        """
        if ranking not in self._stretches:
            return np.full(len(numbers), _MISSING, dtype=np.int64)
        instants, codes = (column[numbers] for column in self._stretches[ranking])
        place = _place(instants, rated_ns)
        known = place < _STRETCHES
        known &= place == _place(instants, traded_ns)
        found: Ints = np.where(known, codes[np.arange(len(numbers)), np.minimum(place, _STRETCHES - 1)], _MISSING)
        return found

    def code_of(self, ranking: Ranking, number: int, rated_ns: int, traded_ns: int) -> int:
        """Return the code of the standing of one fill, as `codes` does."""
        if not self._changes[number]:
            return 0
        if ranking not in self._stretches:
            return _MISSING
        instants, codes = (column[number].tolist() for column in self._stretches[ranking])
        place = _stretch(instants, rated_ns)
        known = place < _STRETCHES and place == _stretch(instants, traded_ns)
        return int(codes[place]) if known else _MISSING

    def hold(
        self, programme: Programme, numbers: Ints, accounts: Iterable[AccountState], from_ns: Sequence[int]
    ) -> None:
        """Hold the standings of accounts, which it has entered, from the stretches on in which some instants lie."""
        if programme.ranking not in self._stretches:
            while len(self._stretches) >= _RANKINGS_MAX:
                del self._stretches[next(iter(self._stretches))]
            rows = len(self._holds)
            self._stretches[programme.ranking] = (
                np.full((rows, _STRETCHES + 1), NEVER_NS, dtype=np.int64),
                np.zeros((rows, _STRETCHES), dtype=np.int32),
            )
        instants, codes = self._stretches[programme.ranking]
        found = [self._stretches_of(account, programme, at) for account, at in zip(accounts, from_ns, strict=True)]
        instants[numbers] = [bounds for bounds, _ in found]
        codes[numbers] = [held for _, held in found]

    def _stretches_of(self, account: AccountState, programme: Programme, at_ns: int) -> tuple[list[int], list[int]]:
        """Return (instants, codes) of an account from an instant on; neighbours that are alike are one stretch.

        Grants that are over are left out: after a year they are nearly all. What is left many accounts have alike.
        """
        over_ns, counting = BEGINNING_NS, list[Grant]()
        for grant in account.grants:
            if may_still_count(grant, programme, at_ns) or grant.source == TRIAL:
                counting.append(grant)
            else:
                over_ns = max(over_ns, grant.ends_at_ns)
        changing = tuple(counting), account.bans, account.flags
        changes = change_instants(*changing)
        place = bisect_right(changes, at_ns)
        few = sum(map(len, changing)) <= _CHANGING_MAX
        alike = (*changing, programme.ranking, place) if few else ()
        found = self._of_alike.get(alike)
        if found is None:
            found = self._stretches_since(replace(account, grants=changing[0]), changes[place:], programme, at_ns)
            if few:
                if len(self._of_alike) >= _ALIKE_MAX:
                    self._of_alike.clear()
                self._of_alike[alike] = found
        instants, codes = found
        return [max(over_ns, changes[place - 1] if place else BEGINNING_NS), *instants], codes

    def _stretches_since(
        self, account: AccountState, changes: Sequence[int], programme: Programme, at_ns: int
    ) -> tuple[list[int], list[int]]:
        """Return (the instants at which stretches end, their codes) of an account from an instant on.

        `changes` are its instants after this one.
        """
        instants, codes = list[int](), list[int]()
        for start, until in zip((at_ns, *changes), (*changes, NEVER_NS), strict=True):
            code = self.code(find_standing(account, programme, start))
            if codes and codes[-1] == code:
                instants[-1] = until
            elif len(codes) == _STRETCHES:
                break
            else:
                codes.append(code)
                instants.append(until)
        unused = _STRETCHES - len(codes)
        return instants + [instants[-1]] * unused, codes + [0] * unused

    def code(self, standing: Standing) -> int:
        """Return the place of a standing in `standings`, or of one that prices alike."""
        found = self._code_of.setdefault(_pricing_key(standing), len(self.standings))
        if found == len(self.standings):
            self.standings.append(standing)
        return found

    def shrink(self, bytes_max: int) -> None:
        """End a commit: drop the accounts used least recently if the table takes more; none is in use.

        Different standings that take more than half of it go with all accounts: to drop a few would free none of them.
        """
        self._uses += 1
        if len(self.standings) > min(_STANDINGS_MAX, 1 + bytes_max // 2 // _STANDING_BYTES):
            self._keep(0)
            self.standings, self._code_of = [NO_STANDING], {_pricing_key(NO_STANDING): 0}
            self._of_alike.clear()
        elif self.nbytes > bytes_max:
            self._keep(len(self) * bytes_max // self.nbytes * 3 // 4)  # so that not every commit has to

    def _keep(self, count: int) -> None:
        """Keep so many accounts, those used last."""
        used = self._used[: len(self._owned)]
        used[_WITHOUT_EVENT] = self._uses
        old = np.sort(np.argsort(-used, kind="stable")[: count + 1])
        number_of = np.full(len(used), _MISSING, dtype=np.int64)
        number_of[old] = np.arange(len(old))
        numbers = zip(self._number_of, number_of[1:].tolist(), strict=True)
        self._number_of = {name: number for name, number in numbers if number != _MISSING}
        self._owned = self.owned(old)
        self._owners = sum(each is not None for each in self._owned)
        for name in ("_used", "_holds", "_changes"):
            setattr(self, name, getattr(self, name)[old])
        self._stretches = {each: (instants[old], codes[old]) for each, (instants, codes) in self._stretches.items()}
        self._resize(max(_CAPACITY, len(old)))

    def _resize(self, rows: int) -> None:
        for name in ("_used", "_holds", "_changes"):
            setattr(self, name, grown(getattr(self, name), rows))
        self._stretches = {
            each: (grown(instants, rows), grown(codes, rows)) for each, (instants, codes) in self._stretches.items()
        }


def _place(instants: Ints, at_ns: Ints) -> Ints:
    """Return in which stretch each instant lies, _STRETCHES for none; `instants` has a row for each."""
    place = (at_ns >= instants[:, 1]).astype(np.int64)
    for column in range(2, _STRETCHES):
        place += at_ns >= instants[:, column]
    place[(at_ns < instants[:, 0]) | (at_ns >= instants[:, _STRETCHES])] = _STRETCHES
    return place


def _stretch(instants: Sequence[int], at_ns: int) -> int:
    """Return in which stretch of an account an instant lies, _STRETCHES for none."""
    if not instants[0] <= at_ns < instants[_STRETCHES]:
        return _STRETCHES
    return bisect_right(instants, at_ns, 1, _STRETCHES) - 1


class HeldStandings:
    """The accounts of one batch in a table, and how to read the states of those of which it does not know enough."""

    def __init__(
        self, table: StandingTable, names: Sequence[str], numbers: Ints, read: Callable[[Iterable[str]], States]
    ) -> None:
        """`numbers` are those of the accounts `names`, the accounts of the batch."""
        self._table = table
        self._names = names
        self._numbers = numbers
        self._read = read

    @property
    def owner_ids(self) -> list[str]:
        """The beneficial owners of the accounts of the batch, in their order."""
        owned = zip(self._names, self._table.owned(self._numbers), strict=True)
        return [name if found is None else found.owner_id for name, found in owned]

    @cached_property
    def owned(self) -> dict[str, Owned]:
        """The owners of accounts by id, but for those that are their own owner, and whose fills name no other."""
        owned = zip(self._names, self._table.owned(self._numbers), strict=True)
        return {name: found for name, found in owned if found is not None}

    def owners_of(self, account_id: str) -> Owned:
        """Return the owners of an account of the batch."""
        return self.owned.get(account_id) or Owned(account_id, account_id, ())

    def of_lines(self, lines: BatchLines) -> tuple[list[Standing], Ints]:
        """Return the standings of the lines' accounts, and the place of each line's."""
        standing = np.zeros(len(lines), dtype=np.int64)
        account = lines.batch.account[lines.place]
        changing = self._table.changing(self._numbers[account])
        if not changing.any():
            return [NO_STANDING], standing
        by_ranking: dict[Ranking, list[int]] = {}
        for place, market in enumerate(lines.markets):
            by_ranking.setdefault(market.programme.ranking, []).append(place)
        traded_ns = lines.batch.transact_time_ns[lines.place]
        for markets in by_ranking.values():
            those = np.flatnonzero(changing & np.isin(lines.market, markets) if len(by_ranking) > 1 else changing)
            programme = lines.markets[markets[0]].programme
            standing[those] = self._codes(programme, account[those], lines.rate_time_ns[those], traded_ns[those])
        used, place_of_each = distinct(standing, len(self._table.standings))
        return [self._table.standings[code] for code in used.tolist()], place_of_each

    def of_fill(self, account: int, programme: Programme, rated_ns: int, traded_ns: int) -> tuple[int, Standing] | None:
        """Return (code, standing) of one fill, whose account is a place in the names; codes go as those of lines.

        None: the table does not know it.
        """
        code = self._table.code_of(programme.ranking, int(self._numbers[account]), rated_ns, traded_ns)
        return None if code == _MISSING else (code, self._table.standings[code])

    def _codes(self, programme: Programme, account: Ints, rated_ns: Ints, traded_ns: Ints) -> Ints:
        """Return the code of each fill's standing; `account` are places in the names. What is missing is read."""
        ranking, number = programme.ranking, self._numbers[account]
        codes = self._table.codes(ranking, number, rated_ns, traded_ns)
        missing = np.flatnonzero(codes == _MISSING)
        if not len(missing):
            return codes
        earliest = np.full(len(self._names), NEVER_NS, dtype=np.int64)
        np.minimum.at(earliest, account[missing], np.minimum(rated_ns, traded_ns)[missing])
        places = np.flatnonzero(earliest != NEVER_NS)
        names = [self._names[place] for place in places.tolist()]
        states = self._read(names)
        held = (states[name] for name in names)
        self._table.hold(programme, self._numbers[places], held, earliest[places].tolist())
        codes[missing] = self._table.codes(ranking, number[missing], rated_ns[missing], traded_ns[missing])
        for at in np.flatnonzero(codes == _MISSING).tolist():
            state = states[self._names[account[at]]]
            codes[at] = self._table.code(standing_of_fill(state, programme, int(rated_ns[at]), int(traded_ns[at])))
        return codes


Accounts: TypeAlias = States | HeldStandings
