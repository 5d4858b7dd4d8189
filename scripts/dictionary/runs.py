"""Synthetic fill runs of many exchanges, from a seed: what a dictionary is trained on. No fill of a market is in it.

Each exchange names its symbols, ids, venue and engine in ways of its own, and its accounts trade once or often in a
commit. So a dictionary learns what all runs have in common, and none of the names of any one ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from ledger import programmes
from ledger.arrays.columns import Ints, Texts, texts
from ledger.domain.events import Envelope, PairClassAssigned, ProgrammePublished, Recorded, SymbolRegistered
from ledger.domain.grant_sources import EVALUATION, MANUAL, MATCH, TRIAL
from ledger.domain.instants import DAY_NS
from ledger.domain.state.account import AccountState, Grant
from ledger.domain.state.rulebook import Rulebook, fold_rulebook
from ledger.domain.traits import packed_traits
from ledger.fills.account_day import AccountDay
from ledger.fills.batch import FillBatch, as_part, by_account_day, merged
from ledger.fills.days import DayTable
from ledger.fills.decide import decide_fills
from ledger.store.writer import rows_of

_SEED: Final = 1
_COMMITS: Final = 3  # of each exchange, so that later runs have totals and a link
_FILLS_OF_AN_ACCOUNT: Final = (1, 1, 1, 2, 2, 5, 12, 50)  # in a commit, about
_BASES: Final = ("BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "TRX", "LTC", "DOT", "LINK", "AVAX", "UNI", "ATOM", "XLM")
_QUOTES: Final = ("USDT", "USDT", "USDT", "USDC", "BTC", "ETH", "EUR", "USD")
_SYMBOLS: Final[tuple[Callable[[str, str], str], ...]] = (
    lambda base, quote: f"{base}_{quote}",
    lambda base, quote: f"{base}{quote}",
    lambda base, quote: f"{base}-{quote}",
    lambda base, quote: f"{base}/{quote}",
)
_LETTERS: Final = ("", "E", "F", "T", "U", "acc-", "m")
_SOURCES: Final = ("", "engine-1", "spot-matching-2", "me.eu.7")
_ACTORS: Final = ("", "engine", "fills@exchange")


def synthetic_runs(exchanges: int) -> Iterator[bytes]:
    """Yield the bytes of the fill runs of so many exchanges, always the same ones."""
    for number in range(exchanges):
        yield from _Exchange(np.random.default_rng((_SEED, number)), number).runs()


class _Exchange:
    """An exchange with names of its own, and some accounts that trade on one day."""

    def __init__(self, chance: np.random.Generator, number: int) -> None:
        self._chance = chance
        self._of = lambda values: values[int(chance.integers(len(values)))]
        name = programmes.packaged_names()[number % len(programmes.packaged_names())]
        self._programme = programmes.parse(programmes.packaged(name))
        self._venue = str(self._of(self._programme.venues))
        self._source, self._actor = self._of(_SOURCES), self._of(_ACTORS)
        self._exec_id, self._trade_id, self._order_id, self._owner = (self._spelling() for _ in range(4))
        self._book = self._made_book()
        self._accounts = {state.account_id: state for state in map(self._account, range(int(chance.integers(8, 40))))}
        self._now_ns = int(chance.integers(19_000, 22_000)) * DAY_NS + int(chance.integers(1, DAY_NS // 2))
        self._number = int(chance.integers(1, 10 ** int(chance.integers(4, 16))))

    def runs(self) -> Iterator[bytes]:
        """Yield the runs of some commits."""
        days, position = DayTable(), int(self._chance.integers(1, 10 ** int(self._chance.integers(3, 9))))
        for _ in range(_COMMITS):
            batch = merged([as_part(self._batch())])
            groups = by_account_day(batch)
            days.enter({key: AccountDay() for key in groups.keys if days.places([key]) < 0})
            places = days.places(groups.keys)
            outcome = decide_fills(
                batch, groups, self._accounts, places, days, self._book, with_fees=False, next_position=position
            )
            envelope = Envelope(0, self._now_ns, int(self._chance.integers(1, 300)), self._actor)
            if outcome.runs:
                yield from (row.state for row in rows_of(outcome.runs, position, envelope))
            position += len(groups.keys) + 1

    def _made_book(self) -> Rulebook:
        rules, spelled = self._programme, self._of(_SYMBOLS)
        pairs = {(self._of(_BASES), self._of(_QUOTES)) for _ in range(int(self._chance.integers(3, 30)))}
        events: list[Any] = [ProgrammePublished(rules.programme_id, rules.version, 0, "", b"")]
        self._symbols: list[str] = []
        for base, quote in sorted(pair for pair in pairs if pair[0] != pair[1]):
            name = spelled(base, quote)
            scales = int(self._chance.integers(1, 9)), int(self._chance.integers(0, 9))
            self._symbols.append(name)
            events.append(SymbolRegistered(name, base, quote, 1, *scales))
            events.append(PairClassAssigned(rules.programme_id, name, self._of(rules.pair_classes)))
        recorded = (
            Recorded(place, "registers", place, Envelope(1, 1, 1), event) for place, event in enumerate(events, 1)
        )
        return fold_rulebook(lambda _: rules, recorded)

    def _account(self, number: int) -> AccountState:
        name = f"{number:06}"
        if self._chance.random() < 0.3:
            return AccountState(name)
        tier, source = self._of(self._programme.tiers), self._of((EVALUATION, EVALUATION, MANUAL, MATCH, TRIAL))
        grant = Grant(f"g{int(self._chance.integers(1, 40))}", self._programme.programme_id, tier, source, 1)
        return AccountState(name, 1, True, 1, f"{number:08}", grants=(grant,))

    def _batch(self) -> FillBatch:
        chance, names = self._chance, list(self._accounts)
        account = np.repeat(np.arange(len(names)), [self._of(_FILLS_OF_AN_ACCOUNT) for _ in names])
        chance.shuffle(account)
        count = len(account)
        numbers = self._number + np.cumsum(chance.integers(1, 4, count))
        self._number = int(numbers[-1])
        times = self._now_ns + np.cumsum(chance.integers(1, 10 ** int(chance.integers(3, 9)), count))
        self._now_ns = int(times[-1])
        symbol = chance.integers(0, len(self._symbols), count)
        places = np.arange(count)
        return FillBatch(
            self._venue,
            self._actor,
            accounts=names,
            symbols=self._symbols,
            sources=(self._source,),
            index=places,
            account=account,
            symbol=symbol,
            source=np.zeros_like(places),
            sequence=numbers if self._source else np.zeros_like(places),
            exec_id=texts(list(map(self._exec_id, numbers.tolist()))),
            traits=packed_traits(*(chance.integers(1, end, count) for end in (3, 3, 2))),
            product=np.zeros_like(places),
            price=chance.integers(1, 10**5, count),
            price_decimals=np.zeros_like(places),
            quantity=chance.integers(1, 10**3, count),
            quantity_decimals=np.zeros_like(places),
            transact_time_ns=times,
            trade_id=self._numbered(self._trade_id, 10**17 + numbers // 2),
            order_id=self._numbered(self._order_id, chance.integers(10**17, 2**62, count)),
            counterparty_owner_id=texts(list(map(self._owner, chance.integers(0, 10**6, count).tolist()))),
        )

    def _numbered(self, spelled: Callable[[int], str], numbers: Ints) -> Texts | Ints:
        """Return ids as an engine gives them: as numbers where they are spelled as such."""
        return numbers if spelled is str else texts(list(map(spelled, numbers.tolist())))

    def _spelling(self) -> Callable[[int], str]:
        """Return how the exchange spells ids of a kind: 41 as "41", "E00000000000041" or in hexadecimal digits."""
        letter, digits = self._of(_LETTERS), int(self._chance.integers(6, 16))
        return self._of((str, str, lambda number: f"{letter}{number:0{digits}}", lambda number: f"{letter}{number:x}"))
