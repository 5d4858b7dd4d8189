"""The terms of a comparison: the period, the tolerances, and what the caller leaves out knowingly."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ledger.tools.reconcile.kinds import FIELDS, KINDS, REQUIRED


@dataclass(frozen=True, slots=True)
class Terms:
    """Compare [from_ns, until_ns) with tolerances of fees and notionals by currency.

    `legs` says whether trades have two legs here; `without` names the fields that are left out, for example `fee`.
    """

    from_ns: int
    until_ns: int
    tolerances: Mapping[str, str] = field(default_factory=dict)
    legs: bool = True
    without: Collection[str] = ()

    def inside(self, time_ns: str = "time_ns") -> str:
        """Return the SQL condition that a column of times lies in the period."""
        return f"({time_ns} >= {self.from_ns} AND {time_ns} < {self.until_ns})"

    def compares(self, *fields: str) -> bool:
        """Say whether none of some fields is left out."""
        return not set(fields) & set(self.without)

    def required(self) -> list[str]:
        """Return the fields that the engine must say of every fill: the fee's currency only if the fee is compared."""
        fee = self.compares("fee")
        return [name for name in REQUIRED if self.compares(name) and (fee or name != "fee_currency")]

    def looked_for(self) -> list[str]:
        """Return the kinds of breaks that this run would find; what is left out is not looked for.

        A NOT_COMPARED break names several fields, so it is looked for only where none of them is left out.
        """
        left_out = {kind for name in self.without for kind in FIELDS[name].kinds}
        if not self.compares(*REQUIRED):
            left_out.add("NOT_COMPARED")
        return [kind for kind in KINDS if kind not in left_out and (self.legs or not kind.startswith("LEG_"))]
