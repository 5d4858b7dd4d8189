"""How fast the ledger takes fills as an engine sends them: one StreamFills of one source, column by column."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import grpc

from ledger.config import Config
from ledger.v1.fill_service_pb2 import RecordFillsResponse, StreamFillsResponse
from scripts.bench.fills import ZIPF_EXPONENT
from scripts.bench.load import ACCOUNTS, FILLS_PER_MESSAGE, stream_load
from scripts.bench.paths import STREAM_FILLS
from scripts.bench.service import trading_ledger
from scripts.bench.store import Failed, Store
from scripts.bench.verify import verify_answers, verify_log

STREAM_SECONDS_MAX: Final = 1_800.0


Afterwards: TypeAlias = Callable[[Store, str, int], Mapping[str, float]]  # store, schema, fills: values by figure


@dataclass(frozen=True)
class Mix:
    """How fills fall on accounts, by the name it has in the figures."""

    name: str
    accounts: int
    zipf: bool = False


ONE_THOUSAND: Final = Mix("1k_uniform", ACCOUNTS)
ZIPF: Final = Mix("100k_zipf", 100_000, zipf=True)
UNIFORM: Final = Mix("100k_uniform", 100_000)


class Stream:
    """1,000 fills per message, as many messages in flight as the service takes."""

    def __init__(self, fills: int, mix: Mix, afterwards: Sequence[Afterwards] = ()) -> None:
        """`afterwards` measures more over each ledger that was written, when its service has ended."""
        self._afterwards = afterwards
        self._fills = fills
        self._mix = mix
        self._load = stream_load(fills, accounts=mix.accounts, fills_per_message=FILLS_PER_MESSAGE, zipf=mix.zipf)
        self.settings: Mapping[str, object] = {
            f"accounts_of_{mix.name}": mix.accounts,
            **({"zipf_exponent": ZIPF_EXPONENT} if mix.zipf else {}),
            "fills_per_message": FILLS_PER_MESSAGE,
            "messages_in_flight": Config().stream_requests_max,
            "streams": 1,
        }

    def run(self, store: Store, schema: str) -> dict[str, float]:
        """One round on a fresh schema."""
        with trading_ledger(store, schema) as served:
            seconds, answers = stream(served.channel, self._load.lanes[0].messages)
            verify_answers(served.channel, self._load, [answers])
        verify_log(store, schema, self._load)
        found = {f"ingest.{self._mix.name}.fills_per_s": self._fills / seconds}
        if self._mix is ONE_THOUSAND:
            found["ingest.bytes_per_fill"] = store.bytes_on_disk(schema) / self._fills
        for measure in self._afterwards:
            found.update(measure(store, schema, self._fills))
        return found


def stream(channel: grpc.Channel, messages: Iterable[bytes]) -> tuple[float, list[RecordFillsResponse]]:
    """Seconds from the first message to the last acknowledgement, and the answers.

    The service reads as many messages ahead of its answers as it likes, and stops the sending by flow control.
    """
    call: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(STREAM_FILLS)
    began = time.perf_counter()
    try:
        # Bytes in and out: the client must not take the server's time.
        answers = list(call(iter(messages), timeout=STREAM_SECONDS_MAX))
    except grpc.RpcError as error:
        raise Failed(f"StreamFills ended with {error.code().name}: {error.details()}") from error
    seconds = time.perf_counter() - began
    return seconds, [StreamFillsResponse.FromString(answer).batch for answer in answers]
