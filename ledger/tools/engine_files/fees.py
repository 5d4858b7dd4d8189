"""The fees of one fill that an export lists: `fees` of ccxt beside its `fee`, of several currencies perhaps."""

from __future__ import annotations

import re
from decimal import Context, Decimal
from typing import Any, Final, NamedTuple

_EXACT: Final = Context(prec=400)  # room for any two numbers as below
_CHARACTERS_MAX: Final = 80
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?")


class Fees(NamedTuple):
    """The cost of a fill: in one currency, and in others as a text such as `0.1 BMX, 2 OKB`. None: nothing is said."""

    amount: str | None
    currency: str | None
    others: str | None = None


def combined(amount: str | None, currency: str | None, listed: Any, *, negated: bool) -> Fees:
    """Return the fees of a fill whose `fee` is `amount` and `currency`, and whose `fees` are `listed`.

    The list counts where it says something, summed by currency. The `fee` repeats one of its currencies: it is not
    counted a second time, and chooses the currency that stands first. `negated`: a charge is less than zero. Raises
    ValueError where both are there and differ, and for a list that is none of fees.
    """
    sums = _summed(listed)
    if not sums:
        return Fees(amount, currency)
    if amount is not None and currency is None and len(sums) == 1:
        currency = next(iter(sums))
    chosen = currency if currency in sums else next(iter(sums))
    if amount is not None and (chosen != currency or _decimal(amount) != sums[chosen]):
        told = ", ".join(f"{total:f} {name}".strip() for name, total in sums.items())
        raise ValueError(f"the fee is {amount[:40]} {currency or ''}".rstrip() + f", but the list of fees says {told}")
    first = sums.pop(chosen)
    others = ", ".join(f"{-total if negated else total:f} {name}".strip() for name, total in sums.items() if total)
    return Fees(f"{first:f}", chosen or currency, others or None)


def _summed(listed: Any) -> dict[str, Decimal]:
    """Return the sum of each currency in the order of the list; `` is a currency that is not named."""
    if listed is None or listed == "":
        return {}
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise ValueError("fees is no list of objects with cost and currency")
    sums: dict[str, Decimal] = {}
    for one in listed:
        if one.get("cost") is None:
            continue
        currency = one.get("currency") or ""
        if not isinstance(currency, str):
            raise ValueError("the currency of a fee is no text")
        sums[currency] = _EXACT.add(sums.get(currency, Decimal(0)), _decimal(one["cost"]))
    return sums


def _decimal(value: Any) -> Decimal:
    """Return an amount, exactly. Raises ValueError."""
    text = str(value).strip()
    if isinstance(value, bool) or len(text) > _CHARACTERS_MAX or not _NUMBER.fullmatch(text):
        raise ValueError(f"the cost {text[:40]!a} of a fee is no decimal number")
    return Decimal(text)
