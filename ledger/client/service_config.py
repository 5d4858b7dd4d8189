"""The service config of the contract, for every gRPC library: how long a call may take, and when it is sent again.

`ledger/v1/service_config.json` is the copy of that in proto/ which lies in the package.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

from ledger import v1


class Retry(NamedTuple):
    """The policy by which calls are sent again. gRPC stops at five attempts; this client when its time is up."""

    timeout_s: float  # of a call, all its attempts included
    pause_s: float  # before the second attempt, at most
    growth: float  # of each later pause
    pause_s_max: float


def _retry() -> Retry:
    config: dict[str, Any] = json.loads(Path(v1.__path__[0], "service_config.json").read_bytes())
    method = next(one for one in config["methodConfig"] if "retryPolicy" in one)
    policy = method["retryPolicy"]
    return Retry(
        _seconds(method["timeout"]),
        _seconds(policy["initialBackoff"]),
        float(policy["backoffMultiplier"]),
        _seconds(policy["maxBackoff"]),
    )


def _seconds(duration: str) -> float:
    """Return the seconds of a duration as protobuf writes it in JSON: 0.05 for "0.05s"."""
    return float(duration.removesuffix("s"))


RETRY: Final = _retry()
