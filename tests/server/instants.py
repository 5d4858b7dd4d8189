"""Instants that the tests of the server share."""

from __future__ import annotations

from typing import Final

from ledger.domain.instants import DAY_NS, EARLIEST_NS, LATEST_NS, SECOND_NS
from tests.conftest import NOON_NS, at

SKEW_NS: Final = 60 * SECOND_NS

NOON: Final = at(NOON_NS)
BEFORE_NOON: Final = at(NOON_NS - 1)
IN_A_DAY: Final = at(NOON_NS + DAY_NS)
A_DAY_AGO: Final = at(NOON_NS - DAY_NS)
AT_SKEW: Final = at(NOON_NS + SKEW_NS)
FIRST: Final = at(EARLIEST_NS)
LAST: Final = at(LATEST_NS - 1)
