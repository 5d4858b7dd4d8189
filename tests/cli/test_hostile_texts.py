"""No subcommand prints a character that a terminal acts on, or that nobody sees, whoever wrote the text that has it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

import grpc
import psycopg
import pytest
from google.protobuf.message import Message
from psycopg.sql import SQL, Identifier

from ledger.composition import running
from ledger.config import Config
from ledger.visible import visible
from tests.cli.example_files import write_files
from tests.cli.helps import examples, parsers
from tests.cli.test_every_rpc import LEAVES, SET_UP, Leaf, here, more
from tests.tools.running import Ran, run

# Right-to-left override, isolate, zero-width space, escape sequence, ends of lines, filler, joiner, byte order mark.
HOSTILE: Final = "\u202eevil\u2066\u200b\x1b[2J\u2028\x85\u2029\n\u3164\u034f\ufeff\r\tend"
RAW: Final = re.compile("[^\n -~\u00a1-\u024f\u2010-\u2027\u2190-\u21ff]")
NUMBER: Final = re.compile(r"[-+.:T0-9Z]*")
# The text of a file, of which no byte may change.
FILES: Final = ("programme print", "--out csv", "completion")


def poisoned(message: Message) -> Message:
    """An answer of which every text that is no number, time or empty ends in what is hostile."""
    for field, value in message.ListFields():
        values = value if field.is_repeated else [value]
        if field.type == field.TYPE_MESSAGE:
            for each in values.values() if field.message_type.GetOptions().map_entry else values:
                if isinstance(each, Message):
                    poisoned(each)
        elif field.type == field.TYPE_STRING and not field.is_repeated and not NUMBER.fullmatch(value):
            setattr(message, field.name, value + HOSTILE)
        elif field.type == field.TYPE_STRING and field.is_repeated:
            value[:] = [each + HOSTILE for each in values]
    return message


class Poisoning:
    """A channel whose answers are hostile, as those of a log that somebody else has written would be."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def __getattr__(self, name: str) -> Any:
        opened: Callable[..., Any] = getattr(self._channel, name)
        if name not in ("unary_unary", "unary_stream", "stream_stream"):
            return opened

        def call(*arguments: Any, response_deserializer: Callable[[bytes], Message], **settings: Any) -> Any:
            return opened(
                *arguments, response_deserializer=lambda data: poisoned(response_deserializer(data)), **settings
            )

        return call


def spoil(dsn: str, schema: str) -> None:
    """Put what is hostile at the end of every text in the tables of the read side."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        texts = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = %s"
            " AND data_type = 'text' AND is_updatable = 'YES'",
            (schema,),
        ).fetchall()
        assert texts
        for table, column in texts:
            names = {"table": Identifier(schema, table), "column": Identifier(column)}
            with suppress(psycopg.Error):  # a key of another table
                connection.execute(SQL("UPDATE {table} SET {column} = {column} || %s").format(**names), (HOSTILE,))


@pytest.fixture(scope="module")
def told(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[tuple[str, Ran]]]]:
    """What the examples of every subcommand print when tables and answers are hostile, and when what is typed is."""
    folder = tmp_path_factory.mktemp("examples")
    write_files(folder)
    for name in ("fills.csv", "fills.jsonl", "rows.csv", "trades.csv", "cases.json", "programme.toml"):
        shutil.copy(folder / name, folder / f"{name}{HOSTILE}")
    helps = dict(parsers())
    config = Config(schema="test_hostile", listen="127.0.0.1:0", drain_ms=0)
    open_channel = grpc.insecure_channel
    with pytest.MonkeyPatch.context() as patch, running(config, dsn) as ledger:
        patch.chdir(folder)
        patch.setenv("FEE_LEDGER_ADDRESS", ledger.address)
        run(*SET_UP.split())
        found: dict[str, list[tuple[str, Ran]]] = {}
        for path, _ in LEAVES:
            for words in examples(helps[path]):
                run(*here(words, more(helps[path], dsn, config)))
        spoil(dsn, f"{config.schema}_read")
        patch.setattr("ledger.client.client.grpc.insecure_channel", lambda *to: Poisoning(open_channel(*to)))
        for path, _ in LEAVES:
            ways = [words for example in examples(helps[path]) for words in (example, hostile(example, len(path)))]
            ran = [(" ".join(words), run(*here(words, more(helps[path], dsn, config)))) for words in ways]
            found[" ".join(path)] = ran
        yield found


def hostile(words: list[str], first: int) -> list[str]:
    """The same command line with something hostile at the end of each word that is no option."""
    return [word if number < first or word.startswith("-") else word + HOSTILE for number, word in enumerate(words)]


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: " ".join(leaf[0]))
def test_every_subcommand_shows_what_is_hostile(leaf: Leaf, told: dict[str, list[tuple[str, Ran]]]) -> None:
    for line, ran in told[" ".join(leaf[0])]:
        assert (line, RAW.findall(ran.err)) == (line, [])
        if not any(name in line for name in FILES):
            assert (line, RAW.findall(ran.out)) == (line, [])
            assert "\nend" not in f"{ran.out}{ran.err}"


def test_most_subcommands_had_something_hostile_to_show(told: dict[str, list[tuple[str, Ran]]]) -> None:
    showed = {name for name, ways in told.items() for _, ran in ways if r"\u202eevil" in f"{ran.out}{ran.err}"}
    assert len(showed) > 0.8 * len(told), sorted(told.keys() - showed)


@pytest.mark.parametrize(
    "character",
    [
        *("\u202e", "\u2066", "\u200b", "\u200f", "\u00ad", "\x1b", "\x07", "\x85", "\u2028", "\ufeff", "\u3164"),
        *("\u115f", "\u2800", "\ufe0f", "\U000e0101", "\u034f", "\ud800", "\ue000", "\u00a0", "\u3000"),
    ],
)
def test_what_shows_nothing_is_shown(character: str) -> None:
    assert visible(f"a{character}b") == f"a{ascii(character)[1:-1]}b"


@pytest.mark.parametrize("text", ["plain", "Ünïcödé", "日本語", "עברית", "🙂", "a\\u202eb"])
def test_what_shows_something_stays(text: str) -> None:
    assert visible(text) == text
