"""Where a grant can come from: the texts that TierChanged, a grant and the basis of a fee hold."""

from __future__ import annotations

from typing import Final

TRIAL: Final = "TRIAL"
EVALUATION: Final = "EVALUATION"
MATCH: Final = "MATCH"
MANUAL: Final = "MANUAL"

ALL: Final = (TRIAL, EVALUATION, MATCH, MANUAL)
