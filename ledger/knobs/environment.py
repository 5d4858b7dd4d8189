"""Read knobs from the environment. A variable that is nobody's is refused: it is misspelt, or of another release."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ledger.knobs.knob import PREFIX, Knob, KnobError, Origin, Said, nearest, shown

FILE_VARIABLE: Final = f"{PREFIX}CONFIG"
OTHERS: Final = (FILE_VARIABLE, f"{PREFIX}ADDRESS")  # no knobs: what commands that call a ledger read is known, too
# Kubernetes puts these into every container for a service named fee-ledger, or fee-ledger-something.
_OF_KUBERNETES: Final = re.compile(
    rf"{PREFIX}(?:\w+_)?(?:SERVICE_(?:HOST|PORT(?:_\w+)?)|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)"
)


def read_environment(environment: Mapping[str, str], knobs: Mapping[str, Knob]) -> dict[str, Said]:
    """Return what the variables say, by knob; an empty one says nothing. Raises KnobError."""
    known = {knob.variable: knob for knob in knobs.values()}
    said = {}
    for name in sorted(name for name in environment if name.startswith(PREFIX)):
        if (knob := known.get(name)) is not None:
            if text := environment[name]:
                said[knob.name] = _said(knob, text)
        elif name not in OTHERS and not _OF_KUBERNETES.fullmatch(name):
            raise KnobError(f"there is no knob {shown(name)}: {nearest(name, [*known, *OTHERS])}")
    return said


def _said(knob: Knob, text: str) -> Said:
    try:
        return Said(Origin.ENVIRONMENT, knob.variable, knob.from_text(text))
    except KnobError as error:
        raise KnobError(f"{knob.variable}{'' if knob.is_secret else f'={shown(ascii(text))}'} {error}") from None
