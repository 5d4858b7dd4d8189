"""All that README and docs/ tell a stranger to type, typed in order at one service of its own."""

from __future__ import annotations

import gzip
import os
import pkgutil
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

import pytest

from ledger import v1
from ledger.client import Client
from ledger.program import parser
from ledger.store.postgres.wheel import installed_wheel
from tests.data_folders import reachable_folder
from tests.readme import ADDRESS, PAGES, ROOT, Step, is_shown, pages, steps
from tests.tools import running, tapes

PROGRAM: Final = ".venv/bin/fee-ledger "
# What is not typed here, and why.
NOT_TYPED: Final = {
    "make run": "the service here is what it starts",
    "make test": "this is a part of it",
    "make demo": "tests/scripts/test_demo.py runs it",
    "python3 -m venv ~/fees": "tests/test_wheel.py installs the wheel",
    "~/fees/bin/": "tests/test_wheel.py installs the wheel",
    "sudo ": "it changes the machine: tests/examples/test_systemd_unit.py holds what is installed",
    "docker ": "tests need no docker: tests/examples/test_containers.py holds its files",
    "fee-ledger doctor": "what it finds depends on the machine: tests/tools/test_doctor.py runs it",
    "DELETE FROM ledger.erasable_parts": "only the owner may: tests/docs/test_erase_page.py runs it",
    "VACUUM ledger.": "the same",
    "with ledger.fill_stream(": "a fragment, without the fills: tests/client runs streams",
    "async with ledger.fill_stream(": "the same on an event loop",
}
# Exit codes that are not 0: the ledger refused, or there is something to look at.
EXITS: Final = {
    "--validate-only": 0,
    "BanAccount": 24,
    "fee-ledger ban ": 1,
    "record-fills - ": 1,
    "programme diff": 1,
    "controls --list": 0,
    "controls clock-leaps": 0,
    "controls source-conflicts": 0,
    "fee-ledger controls": 1,
}
READ_THE_LOG: Final = (
    *("make audit", "make verify", "make rebuild"),
    *(f"{PROGRAM}{tool}" for tool in ("audit alice", "reconcile", "backup to")),
)
RESTORED: Final = "/srv/restored"  # a data folder that is made


@dataclass(frozen=True)
class Service:
    """A running service; the working directory looks like the checkout."""

    address: str
    data: Path
    restored: Path

    def type(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a shell, of which only the port and the data folders are others than on the page."""
        here = command.replace(ADDRESS, self.address).replace(RESTORED, str(self.restored))
        if here.startswith(READ_THE_LOG):
            here = _with_data(here, f"--data {self.data}")
        if here.startswith(PROGRAM) and not re.search(r"[|>*]", here):  # nothing for a shell to do: quicker without
            ran = running.run(*shlex.split(here, comments=True)[1:])
            return subprocess.CompletedProcess(here, ran.code, ran.out, ran.err)
        return self._run(["bash", "-c", here])

    def program(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run a program in Python."""
        return self._run([sys.executable, "-c", text.replace(ADDRESS, self.address)])

    def sql(self, statement: str) -> subprocess.CompletedProcess[str]:
        """Run a statement in psql, once the tables are up to date."""
        with Client(self.address) as ledger:
            position = ledger.get_ledger_info().position
            list(ledger.list_accounts(min_position=position))
        options = ["-X", "-h", self.data / "run", "-U", "ledger_reader", "-P", "footer=off"]
        command = [installed_wheel().programs / "psql", *options, "-c", statement, "ledger"]
        return self._run(command, PGPASSWORD=(self.data / "reader-password").read_text().strip())

    def _run(self, command: list[str | Path], **more: str) -> subprocess.CompletedProcess[str]:
        # No prerequisite of a target is made: the environment is that of these tests.
        environment = {**os.environ, "MAKEFLAGS": "s -- RUN=", **more}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def _with_data(command: str, data: str) -> str:
    typed, _, _ = command.partition("  #")
    if not typed.startswith("make "):
        return f"{typed} {data}"
    return typed.replace('ARGS="', f'ARGS="{data} ') if "ARGS=" in typed else f'{typed} ARGS="{data}"'


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """As `make run` starts it, on a free port and in a folder of its own."""
    checkout = _checkout(tmp_path_factory.mktemp("checkout"))
    data, restored = reachable_folder(), reachable_folder()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "ledger", "serve", "--data", data, "--listen", address]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert any(f"is serving on {address}" in line for line in process.stdout)
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(checkout)
                patch.setenv("FEE_LEDGER_ADDRESS", address)
                yield Service(address, data, restored)
        finally:
            shutil.rmtree(restored, ignore_errors=True)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)


def _checkout(folder: Path) -> Path:
    """A folder with all that the checkout has, the environment of these tests, and files as strangers have them."""
    for entry in ROOT.iterdir():
        if not entry.name.startswith(".") or entry.name == ".importlinter":
            (folder / entry.name).symlink_to(entry)
    (folder / ".venv").symlink_to(Path(sys.executable).parent.parent)
    (folder / "trades.json.gz").write_bytes(gzip.compress(tapes.as_json(tapes.tape(trades=20))))
    return folder


def test_every_command_program_and_statement_does_what_its_page_says(service: Service) -> None:
    for step in steps():
        if not any(step.text.startswith(beginning) for beginning in NOT_TYPED):
            _do(service, step)


def _do(service: Service, step: Step) -> None:
    assert "serve" not in step.text.split(), f"never on the default data folder: {step.text}"
    run = {"console": service.type, "python": service.program, "sql": service.sql}[step.language]
    done = run(step.text)
    told = f"{step.text}\nprinted\n{done.stdout}\nand told\n{done.stderr}"
    expected = next((code for part, code in EXITS.items() if part in step.text), 0)
    assert done.returncode == expected, told
    assert "Traceback" not in done.stderr, told
    assert not step.printed or is_shown(done.stdout or done.stderr, step.printed), told
    said = re.findall(r"  # prints (.*)", step.text) if step.language == "python" else []
    assert not said or done.stdout.splitlines() == said, told


def test_every_page_is_typed() -> None:
    """The index of each folder names each page once, so that no block of a page is passed over."""
    below = [page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").rglob("*.md")]
    assert sorted(PAGES) == sorted(["README.md", *below])
    assert len(pages()) == len(PAGES)


def test_what_is_not_typed_is_on_a_page() -> None:
    texts = [step.text for step in steps()]
    assert [beginning for beginning in NOT_TYPED if not any(text.startswith(beginning) for text in texts)] == []
    assert [part for part in EXITS if not any(part in text for text in texts)] == []


def test_every_command_in_a_sentence_is_understood() -> None:
    prose = re.sub(r"^```.*?^```$", "", "\n".join(PAGES.values()), flags=re.DOTALL | re.MULTILINE)
    commands = [words[1:] for code in re.findall(r"`([^`]+)`", prose)
                if (words := shlex.split(code))[0].rpartition("/")[2] == "fee-ledger" and len(words) > 1]  # fmt: skip
    assert len(commands) > 5
    for words in commands:
        if words[-1].startswith("--help") or len(words) == 1:  # a help, or the name of a command alone
            with pytest.raises(SystemExit, match=r"^0$"):
                parser().parse_args([words[0], "--help"])
        else:
            assert parser().parse_args(words)


def test_the_page_names_the_reads_that_have_one_clock_or_none() -> None:
    section = PAGES["docs/ask.md"].partition("\n## Two clocks\n")[2].partition("\n## ")[0]
    both, *others = re.findall(r"^- (?:.+\n?)+?(?=^- |\Z|\n)", section, re.MULTILINE)
    assert "take both clocks" in both
    known_alone, as_of_alone, none = (re.findall(r"`([A-Z]\w+)`", part) for part in others)
    messages = {
        message.name.removesuffix("Request"): message
        for module in pkgutil.iter_modules(v1.__path__)
        if module.name.endswith("_service_pb2")
        for message in import_module(f"ledger.v1.{module.name}").DESCRIPTOR.message_types_by_name.values()
        if message.name.endswith("Request") and message.name.startswith(("Get", "List"))
    }
    fields = {name: set(message.fields_by_name) for name, message in messages.items()}
    assert {name for name, has in fields.items() if "as_of" in has} == set(as_of_alone)
    assert {name for name, has in fields.items() if not has & {"as_of", "at"}} == set(none)
    proto = (ROOT / "proto" / "ledger" / "v1" / "query_service.proto").read_text()
    unused = re.findall(r"^message (\w+)Request \{[^}]*as_of is not used", proto, re.MULTILINE)
    assert unused == known_alone
