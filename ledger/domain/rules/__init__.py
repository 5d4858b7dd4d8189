"""One file per rule of the business document, found by its heading. Rules never know each other."""

from __future__ import annotations

from typing import Final

# Number of the set of rules that this release decides by. Each term of the log says the number of its writer. A release
# that decides anything otherwise than the one before raises it, be it a fee, a grant, a refusal or an evaluation: an
# audit then tells what older rules decided from what was decided wrongly. Release 0.1.0 wrote no number: it is 1.
# 2: what strangers found wrong in 0.1.0 is decided otherwise (CHANGELOG, 0.2.0, "Decided otherwise than by 0.1.0").
# 3: an owner that fills name counts for R4 and R7 (OwnerNamed).
# 4: a fact that is recorded late restates lines by what was posted of them (FactReleased), or waits (FactWithheld); of
# equal grants that end together the one that begins last counts, whichever was recorded first; a fee that is paid in a
# token is worth its part of the notional also where what was received is charged.
RULES_VERSION: Final = 4
