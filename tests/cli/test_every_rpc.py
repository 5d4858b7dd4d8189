"""Every RPC of the contract has a command, and the examples of the help prove it on a fresh ledger."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, TypeAlias

import grpc
import pytest

from ledger.cli import GROUPS
from ledger.cli.subcommands import Subcommand
from ledger.client import Client
from ledger.composition import running
from ledger.config import Config
from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.tools import TOOLS
from tests.cli.example_files import write_files
from tests.cli.helps import Path, examples, parsers
from tests.server.good_requests import RPCS
from tests.tools.running import run

Leaf: TypeAlias = tuple[Path, Subcommand]  # what is typed after fee-ledger, and what does it


def leaves(subcommands: Iterable[Subcommand], path: Path = ()) -> Iterator[Leaf]:
    """Every subcommand that does something itself, verbs included."""
    for one in subcommands:
        if one.verbs:
            yield from leaves(one.verbs, (*path, one.name))
        else:
            yield (*path, one.name), one


LEAVES: Final = [leaf for group in (*GROUPS, TOOLS) for leaf in leaves(group.subcommands)]

# What is there before the first example: a match to be rejected, and evaluations to be looked at.
SET_UP: Final = (
    "request-match dave --venue okx --level VIP2 --from 2024-09-01 --until 2024-10-01 --spot 500000"
    f" --evidence {'0' * 64} --at 2024-10-01 --actor ops-6"
)
SCHEMA: Final = "test_examples"
TRIALS_UNTIL_NS: Final = 1_730_419_200 * 10**9  # 2024-11-01


class Done(NamedTuple):
    """The end of an example."""

    line: str
    code: int
    err: str
    called: frozenset[str]  # RPCs


def test_every_rpc_has_a_command() -> None:
    assert {rpc for _, one in LEAVES for rpc in one.rpcs} == {rpc.name for rpc in RPCS}


# Commands whose examples name a position of the log.
NAMED: Final = (
    "release-fact",
    "decline-fact",
    "withdraw-fact",
    "withdraw-credit",
    "release-shared-fact",
    "decline-shared-fact",
)
LONG_AGO_NS: Final = 1_577_836_800 * SECOND_NS  # 2020-01-01


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: " ".join(leaf[0]))
def test_the_examples_of_a_help_are_accepted_and_call_what_is_declared(
    leaf: Leaf, done: dict[Path, list[Done]]
) -> None:
    path, command = leaf
    found = 1 if path[0] in {tool.name for tool in TOOLS.subcommands} else 0  # 1: look at it
    for example in done[path]:
        on_stderr = 1 if "--out csv" in example.line else 0  # the verdict, where what is printed is data
        assert (example.code in {0, found}, example.err.count("\n")) == (True, on_stderr), example
    called = frozenset().union(*(example.called for example in done[path]))
    assert called - {"Check"} == set(command.rpcs)  # that one is of grpc.health.v1, which `health` asks


@pytest.fixture(scope="module")
def done(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Path, list[Done]]]:
    """The examples of every command, run in order on a ledger that is as fresh as that of a stranger: orders first."""
    folder = tmp_path_factory.mktemp("examples")
    write_files(folder)
    helps = dict(parsers())
    config = Config(schema=SCHEMA, listen="127.0.0.1:0", drain_ms=0)
    with pytest.MonkeyPatch.context() as patch, running(config, dsn) as ledger, _recorded(patch) as called:
        patch.chdir(folder)
        patch.setenv("FEE_LEDGER_ADDRESS", ledger.address)
        assert _run(SET_UP.split(), called).code == 0
        _evaluate(ledger.address)
        positions = dict(zip(NAMED, _positions(ledger.address), strict=True))
        asking, *ordering = GROUPS
        yield {
            path: [
                _run(here(_with_position(words, positions), more(helps[path], dsn, schema_of(words, number))), called)
                for number, words in enumerate(examples(helps[path]))
            ]
            for group in (*ordering, asking, TOOLS)
            for path, command in leaves(group.subcommands)
        }


def schema_of(words: list[str], number: int) -> str:
    """Return the schema of an example: a ledger is restored to one of its own by each."""
    return f"{SCHEMA}_restored_{number}" if words[0] == "restore" else SCHEMA


def more(at: ArgumentParser, dsn: str, schema: str) -> list[str]:
    """Return what an example lacks here: where the log is, for a tool that reads it itself; one process is enough."""
    place = ["--dsn", dsn, "--schema", schema] if "--dsn" in at._option_string_actions else []
    return [*place, "--jobs", "1"] if "--jobs" in at._option_string_actions else place


def here(words: list[str], more: list[str]) -> list[str]:
    """Return an example with what it lacks here, in place of what it says of where the ledger is.

    A point to which is restored is left out, too: it is one of the reader's own log.
    """
    elsewhere = {"--dsn", "--data", "--until"} if words[0] == "restore" else {"--dsn"} & set(more)
    for name in elsewhere & set(words):
        at = words.index(name)
        words = [*words[:at], *words[at + 2 :]]
    return [*words, *more]


def _with_position(words: list[str], positions: Mapping[str, str]) -> list[str]:
    """Return an example with a position of this ledger, where it names one."""
    return [positions[words[0]] if word == "4711" else word for word in words] if words[0] in positions else words


def _positions(address: str) -> Iterator[str]:
    """Yield those of bans of a time without fills, which nobody has released, of a credit, and of classes of pairs."""
    with Client(address, actor="ops-7") as client:
        for number in range(3):
            start_ns = LONG_AGO_NS + 2 * number * DAY_NS
            banned = client.ban_account("alice", days=1, reason_code="ORDER_SPAM", start_time=start_ns)
            yield str(banned.receipt.position)
        credited = client.credit_fee(
            "alice", day="2020-01-01", credit=5, currency="USDT", reason_code="OUTAGE", approver="ops-8"
        )
        yield str(credited.receipt.position)
        for base in ("ONE", "TWO"):
            client.register_symbol(
                f"{base}_USDT", base_currency=base, quote_currency="USDT", price_scale=5, quantity_scale=2
            )
            given = client.assign_pair_class(f"{base}_USDT", pair_class="A", approver="ops-8")
            yield str(given.receipt.position)


def _evaluate(address: str) -> None:
    with Client(address, actor="ops-7", approver="ops-8") as client:
        for what in ({"kind": "PERIODIC"}, {"kind": "POST_TRIAL", "instant": TRIALS_UNTIL_NS}):
            assert list(client.run_evaluation(**what))


def _run(words: list[str], called: set[str]) -> Done:
    called.clear()
    code, _, err = run(*words)
    return Done(" ".join(words), code, err, frozenset(called))


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
