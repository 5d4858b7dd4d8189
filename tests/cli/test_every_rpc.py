"""Every RPC of the contract has a command, and the examples of the help prove it on a fresh ledger."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, Final, NamedTuple

import grpc
import pytest

from ledger.__main__ import main, running
from ledger.cli import GROUPS
from ledger.cli.subcommands import Subcommand
from ledger.client import Client
from ledger.config import Config
from ledger.programmes import packaged
from tests.cli.helps import examples, parsers
from tests.server.good_requests import RPCS

# RPCs that tools call.
TOOLS: Final[Mapping[str, str]] = {
    "PlanEvaluation": "evaluate",
    "RunEvaluation": "evaluate",
    "ListControls": "controls",
}
COMMANDS: Final = [subcommand for group in GROUPS for subcommand in group.subcommands]
REACHED: Final = {rpc: one.name for one in COMMANDS for rpc in one.rpcs}

FILL: Final = {
    "account_id": "alice", "exec_id": "E1", "symbol": "XRP_USDT", "side": "BUY", "liquidity": "TAKER",
    "last_px": "0.5", "last_qty": "10", "channel": "API", "transact_time": "2024-09-30T12:00:00Z",
}  # fmt: skip
# What is there before the first example: a match to be rejected, and evaluations to be looked at.
SET_UP: Final = (
    "request-match dave --venue okx --level VIP2 --from 2024-09-01 --until 2024-10-01 --spot 500000"
    f" --evidence {'0' * 64} --actor ops-6"
)
TRIALS_UNTIL_NS: Final = 1_730_419_200 * 10**9  # 2024-11-01


class Done(NamedTuple):
    """What came of an example."""

    line: str
    code: int
    err: str
    called: frozenset[str]  # RPCs


def test_every_rpc_has_a_command() -> None:
    methods = {rpc.name for rpc in RPCS}
    assert set(REACHED) | set(TOOLS) == methods
    assert not set(REACHED) & set(TOOLS)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_examples_of_a_help_are_accepted_and_call_what_is_declared(
    command: Subcommand, done: dict[str, list[Done]]
) -> None:
    for example in done[command.name]:
        assert (example.code, example.err) == (0, ""), example.line
    assert frozenset().union(*(example.called for example in done[command.name])) == set(command.rpcs)


@pytest.fixture(scope="module")
def done(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[Done]]]:
    """The examples of every command, run in order on a ledger that is as fresh as that of a stranger: orders first."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "fills.jsonl").write_text(f"{json.dumps(FILL)}\n")
    (folder / "programme.toml").write_text(packaged().replace('version = "3.0"', 'version = "3.1"'))
    helps = {path[0]: at for path, at in parsers() if len(path) == 1}
    config = Config(schema="test_examples", listen="127.0.0.1:0", drain_ms=0)
    with pytest.MonkeyPatch.context() as patch, running(config, dsn) as ledger, _recorded(patch) as called:
        patch.chdir(folder)
        patch.setenv("FEE_LEDGER_ADDRESS", ledger.address)
        assert _run(SET_UP.split(), called).code == 0
        _evaluate(ledger.address)
        asking, *ordering = GROUPS
        yield {
            command.name: [_run(words, called) for words in examples(helps[command.name])]
            for group in (*ordering, asking)
            for command in group.subcommands
        }


def _evaluate(address: str) -> None:
    with Client(address, actor="ops-7", approver="ops-8") as client:
        for what in ({"kind": "PERIODIC"}, {"kind": "POST_TRIAL", "instant": TRIALS_UNTIL_NS}):
            assert list(client.run_evaluation(**what))


def _run(words: list[str], called: set[str]) -> Done:
    called.clear()
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as err:
        code = main(words)
    return Done(" ".join(words), code, err.getvalue(), frozenset(called))


@contextmanager
def _recorded(patch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """The names of the methods that any client calls."""
    called: set[str] = set()
    open_channel: Callable[..., grpc.Channel] = grpc.insecure_channel

    def recorded(*arguments: Any) -> grpc.Channel:
        return grpc.intercept_channel(open_channel(*arguments), _Recorder(called))

    patch.setattr("ledger.client.client.grpc.insecure_channel", recorded)
    yield called


class _Recorder(
    grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor, grpc.StreamStreamClientInterceptor
):
    """Writes down which method is called."""

    def __init__(self, called: set[str]) -> None:
        self._called = called

    def _record(self, call: Callable[..., Any], details: Any, request: Any) -> Any:
        self._called.add(details.method.rpartition("/")[2])
        return call(details, request)

    intercept_unary_unary = intercept_unary_stream = intercept_stream_stream = _record
