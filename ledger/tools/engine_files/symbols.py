"""Which symbol of the ledger a symbol of a file is: BTCUSDT, BTC-USDT, BTC/USDT or Kraken's XXBTZUSD."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from ledger.cli.errors import UnusableError

_SEPARATORS: Final = re.compile(r"[^A-Z0-9]")


def matching(symbols: Iterable[str], registered: Iterable[str], currencies: Mapping[str, str]) -> dict[str, str]:
    """Return the registered symbol of each that is one in other writing; the others stay as they are.

    Writing is case and separators, nothing else: `BTC/USDT:USDT` is another thing than BTC_USDT. `currencies` gives the
    exchange's own names by the usual ones; where it does, currencies of three letters may have its X or Z before them.
    Raises UnusableError for a symbol that is two registered ones.
    """
    known = set(registered)
    by_writing: dict[str, set[str]] = {}
    for symbol in sorted(known):
        for written in _writings(symbol, currencies):
            by_writing.setdefault(written, set()).add(symbol)
    found = {}
    for theirs in symbols:
        ours = theirs.replace("/", "_")
        if ours not in known:
            fitting = sorted(by_writing.get(_written(theirs), ()))
            if len(fitting) > 1:
                raise UnusableError(
                    f"symbol {theirs[:40]!a} may be {' or '.join(fitting)}: write it as the ledger does, in the file"
                )
            ours = fitting[0] if fitting else ours
        if ours != theirs:
            found[theirs] = ours
    return found


def _written(symbol: str) -> str:
    return _SEPARATORS.sub("", symbol.upper())


def _writings(symbol: str, currencies: Mapping[str, str]) -> Iterator[str]:
    base, _, quote = symbol.partition("_")
    for first in _names(base, currencies):
        for second in _names(quote, currencies):
            yield _written(first + second)


def _names(currency: str, currencies: Mapping[str, str]) -> list[str]:
    names = [currency]
    if currencies and currency.upper() in currencies:
        names.append(currencies[currency.upper()])
    if currencies:
        names += [letter + name for name in names for letter in "XZ" if len(name) == 3]
    return names
