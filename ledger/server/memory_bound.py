"""The memory that the service takes at most, from its knobs: the table of docs/limits.md under Memory, in bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ledger.config import Config
from ledger.server.lanes import rooms

_PROGRAM: Final = 110_000_000  # interpreter, code, threads and connections, as measured
_DECODED: Final = 2  # a request that arrived counts once, and what is decoded of it takes as much


def memory_bound(config: Config) -> Mapping[str, int]:
    """Return bytes by what takes them; the bound is their sum."""
    return {
        "program": _PROGRAM,
        "account-days": config.account_day_bytes_max * 7 // 4,  # while their ids move, two tables have them
        "states": 2 * config.account_state_bytes_max,  # those of the writer, and those of reads
        "messages": (config.receiving_max + config.streams_max) * config.message_bytes_max,
        "waiting calls": sum(room.calls_max for room in rooms(config).values()) * config.lookahead_bytes,
        "requests": _DECODED * config.request_bytes_max,
    }
