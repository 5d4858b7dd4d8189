"""A kept log: how it is loaded and opened, how a question is asked, and how two answers are compared."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import grpc
import psycopg
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from ledger.clock import WallClock
from ledger.composition import running
from ledger.config import Config
from tests.server.good_requests import METHODS, path_of

FOLDER: Final = Path(__file__).parent
SCHEMA: Final = "kept_log_of_a_release"  # in every dump; no value can hold it, as bytes are written in hex
CALL_S_MAX: Final = 30
SECOND_NS: Final = 1_000_000_000
LINES_MAX: Final = 5  # of what differs in one answer

# Fields of answers that are other ones in every run, and so neither kept nor compared: how far the log and the tables
# are now, and who writes now, of which release.
LEFT_OUT: Final[Mapping[str, tuple[str, ...]]] = {
    "GetLedgerInfo": ("position", "recorded_time", "writer_term", "software_version", "projections", "previews"),
    "GetSourcePosition": ("position",),
    "ListAccounts": ("position",),
    "ListApplications": ("position",),
    "ListFindings": ("position",),
    "RecordFills": ("position", "recorded_time"),
}
STREAMED: Final = ("PlanEvaluation",)  # every message of the answer is kept; of RunEvaluation the last one says all


@dataclass(frozen=True, slots=True)
class Question:
    """A request of an RPC and its answer, both as protobuf JSON; `number` names it in the file of its release.

    The answer to PlanEvaluation is the list of its messages; a refusal is {"refused": CODE, "reason": NAME}.
    """

    number: int
    rpc: str
    request: dict[str, Any]
    answer: Any


def releases() -> list[str]:
    """The releases of which there is a log, by name."""
    return sorted(file.parent.name for file in FOLDER.glob("*/ledger.sql.gz"))


def contract_of(release: str) -> list[FileDescriptorProto]:
    """The .proto files of a release, each after those that it imports."""
    image = gzip.decompress((FOLDER / release / "contract.binpb.gz").read_bytes())
    return list(FileDescriptorSet.FromString(image).file)


def kinds_of_events(release: str) -> set[str]:
    """Return the events that the contract of a release has: messages of its log that carry an envelope."""
    (log,) = (file for file in contract_of(release) if file.name == "ledger/v1/events.proto")
    return {message.name for message in log.message_type if any(field.name == "envelope" for field in message.field)}


def as_read_by(release: str, answer: Message) -> Message:
    """Return an answer as a client of a release reads it: without the fields that came later."""
    kind = GetMessageClass(_pool(release).FindMessageTypeByName(answer.DESCRIPTOR.full_name))
    return kind.FromString(answer.SerializeToString())


@cache
def _pool(release: str) -> DescriptorPool:
    pool = DescriptorPool()
    for file in contract_of(release):
        pool.AddSerializedFile(file.SerializeToString())
    return pool


def load(dsn: str, release: str, schema: str) -> int:
    """Store the log of a release under a schema that does not exist yet; returns when it ends, in ns.

    The dump is plain INSERTs, so the driver that the tests use anyway can send it: no psql of any version is needed.
    """
    text = gzip.decompress((FOLDER / release / "ledger.sql.gz").read_bytes()).decode()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(text.replace(SCHEMA, schema).encode())
        row = connection.execute(f"SELECT max(recorded_time_ns) FROM {schema}.commits".encode()).fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def opened(dsn: str, schema: str, now_ns: int, release: str = "") -> Iterator[Asking]:
    """A service over a loaded log: it starts as any service does, and its clock stands still.

    Its answers are kept as a client of `release` reads them, of today's by default.
    """
    config = Config(schema=schema, listen="127.0.0.1:0", drain_ms=0, standby_poll_ms=20)
    clock = WallClock(lambda: now_ns, lambda: now_ns)
    with running(config, dsn, clock=clock) as service, grpc.insecure_channel(service.address) as channel:
        asking = Asking(channel, release)
        asking.await_tables()
        yield asking


class Asking:
    """Calls any RPC by its name, as a client of a release; empty: of today's."""

    def __init__(self, channel: grpc.Channel, release: str = "") -> None:
        self._channel = channel
        self._release = release

    def send(self, rpc: str, request: Message) -> list[Any]:
        """All messages of the answer."""
        method = METHODS[rpc]
        kind = self._channel.unary_stream if method.server_streaming else self._channel.unary_unary
        call: Any = kind(
            path_of(method),
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        answer = call(request, timeout=CALL_S_MAX)
        return list(answer) if method.server_streaming else [answer]

    def ask(self, rpc: str, request: dict[str, Any]) -> Any:
        """The answer to a kept question, as it is kept."""
        return self.answer(rpc, ParseDict(request, request_of(rpc)))

    def answer(self, rpc: str, request: Message) -> Any:
        """The answer to a request, or how it is refused, as it is kept."""
        try:
            sent = self.send(rpc, request)
        except grpc.RpcError as error:
            return refusal_of(error)
        read = [as_read_by(self._release, answer) if self._release else answer for answer in sent]
        answers = [without(LEFT_OUT.get(rpc, ()), to_json(answer)) for answer in read]
        return answers if rpc in STREAMED else answers[-1]

    def await_tables(self) -> None:
        """Wait until the materialised tables have all of the log."""
        until_s = time.monotonic() + CALL_S_MAX
        while self.send("GetLedgerInfo", request_of("GetLedgerInfo"))[0].projections.lag_positions:
            assert time.monotonic() < until_s, "the tables do not catch up"
            time.sleep(0.005)

    def await_repricing(self, *account_ids: str) -> None:
        """Wait until all late facts that are released have come to the fills of some accounts."""
        until_s = time.monotonic() + CALL_S_MAX
        for account_id in account_ids:
            state = request_of("GetVipState", account_id=account_id, programme_id="bitmart-api-vip")
            while self.send("GetVipState", state)[0].reprice_in_progress:
                assert time.monotonic() < until_s, f"the fills of {account_id} are not restated"
                time.sleep(0.005)


def request_of(rpc: str, **values: Any) -> Any:
    """A request of an RPC."""
    return GetMessageClass(METHODS[rpc].input_type)(**values)


def refusal_of(error: grpc.RpcError) -> dict[str, str]:
    """A refusal as it is kept: {"refused": "NOT_FOUND", "reason": "FILL_UNKNOWN"}."""
    status = rpc_status.from_call(error)
    assert status is not None, error
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    return {"refused": error.code().name, "reason": info.reason}


def to_json(message: Message) -> dict[str, Any]:
    """A message as protobuf JSON, under the names of the .proto files."""
    found: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return found


def without(fields: Iterable[str], answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without some fields."""
    return {name: value for name, value in answer.items() if name not in fields}


def write_lines(file: Path, documents: Iterable[Mapping[str, Any]]) -> None:
    """One JSON document to a line, compressed; the same documents are the same bytes."""
    lines = "".join(json.dumps(document, separators=(",", ":")) + "\n" for document in documents)
    file.write_bytes(gzip.compress(lines.encode(), mtime=0))


def read_lines(file: Path) -> list[dict[str, Any]]:
    """The documents that `write_lines` wrote."""
    return [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]


def questions(release: str) -> list[Question]:
    """The kept questions of a release, with their answers."""
    return [Question(**document) for document in read_lines(FOLDER / release / "answers.jsonl.gz")]


def differences(kept: Any, now: Any, path: str = "") -> list[str]:
    """Where two answers differ, a line each: `grants[0].tier: kept VIP1, now VIP2`."""
    if isinstance(kept, dict) and isinstance(now, dict):
        names = dict.fromkeys((*kept, *now))
        pairs = [(f"{path}.{name}" if path else name, kept.get(name), now.get(name)) for name in names]
    elif isinstance(kept, list) and isinstance(now, list):
        pairs = [(f"{path}[{place}]", *pair) for place, pair in enumerate(zip_longest(kept, now))]
    else:
        return [] if kept == now else [f"{path}: kept {_short(kept)}, now {_short(now)}"]
    return [line for name, one, other in pairs if one != other for line in differences(one, other, name)]


def judged(question: Question, now: Any, reason: str | None) -> str:
    """Say what is wrong with an answer, in a few lines; empty: nothing. With a reason it must not be as it was kept."""
    found = differences(question.answer, now)
    name = f"question {question.number}, {question.rpc} {json.dumps(question.request)[:200]}"
    if reason is not None:
        return "" if found else f"{name}: listed as different ({reason}), and it is not"
    more = [f"  ... and {len(found) - LINES_MAX} more"] if len(found) > LINES_MAX else []
    return "\n".join([name, *(f"  {line}" for line in found[:LINES_MAX]), *more]) if found else ""


def _short(value: Any) -> str:
    text = "nothing" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
