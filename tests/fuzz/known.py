"""What a ledger has told, and was told: so that calls get beyond the shape of their requests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.message import Message

_KEPT_MAX: Final = 300  # values of one name
_TEXT_MAX: Final = 2_000  # a longer one is hostile, not known
# Fields that take what another one has told.
_TOLD_AS: Final[Mapping[str, str]] = {
    "page_token": "next_page_token",
    "venues": "venue",
    "evidence_positions": "position",
}
# Fields that are only small change: every number is known of them.
_COMMON: Final = frozenset({"seconds", "nanos", "index"})


class Known:
    """Values by the name of their field, the latest of each name."""

    def __init__(self) -> None:
        self.ledger_id = ""
        self._values: defaultdict[str, dict[Any, None]] = defaultdict(dict)

    def learn(self, message: Message) -> None:
        """Keep the texts and numbers of a request or an answer."""
        for field, value in message.ListFields():
            for each in value if field.is_repeated else (value,):
                if isinstance(each, Message):
                    self.learn(each)
                elif isinstance(each, str | int) and field.name not in _COMMON:
                    self._keep(field.name, each)
        if "source_sequence" in message.DESCRIPTOR.fields_by_name:
            self._keep("first_sequence", message.source_sequence + 1)  # type: ignore[attr-defined]

    def pick(self, name: str, place: int) -> Any:
        """One of the values of a name, for any place; None if none is known."""
        values = self._values[_TOLD_AS.get(name, name)]
        return list(values)[-1 - place % len(values)] if values else None

    def _keep(self, name: str, value: Any) -> None:
        if isinstance(value, str) and len(value) > _TEXT_MAX:
            return
        values = self._values[name]
        values.pop(value, None)  # so that it is the latest again
        values[value] = None
        if len(values) > _KEPT_MAX:
            del values[next(iter(values))]
