"""Who earned rebates from trades with whom: accounts that feed each other stand out by their share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from ledger.domain.money import decimal_text
from ledger.domain.state.volume_cells import FEE_SCALE
from projections.controls.scope import Control, Finding, Scope


def _find(scope: Scope) -> Iterator[Finding]:
    earned: Counter[tuple[str, str]] = Counter()  # by (account, currency), at FEE_SCALE; rebates are negative
    by_other: Counter[tuple[str, str, str]] = Counter()  # by (account, currency, owner on the other side)
    lines: Counter[tuple[str, str, str]] = Counter()
    for account_id, _, known in scope.fills():
        line, basis = known.line, known.basis
        if line.fee < 0 and basis.programme_id == scope.programme.programme_id:
            fee = line.fee * 10 ** (FEE_SCALE - basis.fee_decimals)
            pair = (account_id, basis.fee_currency, line.counterparty_owner_id)
            earned[pair[:2]] += fee
            by_other[pair] += fee
            lines[pair] += 1
    for pair, amount in by_other.items():
        account_id, currency, other = pair
        if other:
            yield _finding(scope, account_id, other, currency, amount, earned[account_id, currency], lines[pair])


def _finding(scope: Scope, account_id: str, other: str, currency: str, amount: int, of: int, lines: int) -> Finding:
    percent = amount * 100 // of
    rebates = decimal_text(amount, FEE_SCALE)
    return Finding(
        subject=f"{account_id}/{other}/{currency}",
        message=f"{account_id} earned {rebates} {currency} from trades with {other} in {scope.within_days} days:"
        f" {percent} % of its rebates in {currency}",
        account_id=account_id,
        details={
            "counterparty_owner_id": other,
            "rebates": rebates,
            "currency": currency,
            "percent": str(percent),
            "lines": str(lines),
        },
    )


CONTROL: Final = Control(
    "rebates-by-counterparty",
    "rebates by account and owner on the other side, where the engine names that owner; looks back",
    _find,
)
