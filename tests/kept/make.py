"""Make the kept log of this release: live the story, dump it, and keep the contract and the answers to the questions.

    make kept

Run it once, on the code of the release: later code must read what it wrote.
"""

from __future__ import annotations

import base64
import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, get_args

from ledger.domain.events import Event
from ledger.store.postgres.embedded import EmbeddedPostgres
from ledger.store.postgres.wheel import installed_wheel
from tests.kept.kept import FOLDER, SCHEMA, SECOND_NS, Asking, Question, load, opened, questions, write_lines
from tests.kept.narrator import Narrator, Sent
from tests.kept.questions import event_counts, questions_of
from tests.kept.story import tell

KIBIBYTES_MAX: Final = 300
CONTRACT: Final = "contract.binpb.gz"
BUF: Final = Path(sys.executable).with_name("buf")
README: Final = """# The kept log of {release}

A small ledger as release {release} wrote it, with the answers that it gave: `make kept` made it on the code of that
release, and nothing here is ever made anew. The [README of 0.1.0](../0.1.0/README.md) says what each file holds, and
`tests/kept/test_kept_log.py` asks again.

{events} events, {fills} fills, {questions} questions

{tables}"""


def main() -> None:
    """Make all files of the folder that is named as the release."""
    release = version("fee-ledger")
    folder = FOLDER / release
    if folder.exists():
        sys.exit(f"{folder} is there: what a release wrote is kept for ever. Before the release, remove it first")
    folder.mkdir()
    keep_contract(folder / CONTRACT)
    with _postgres() as dsn:
        narrator = Narrator(dsn)
        tell(narrator)
        (folder / "ledger.sql.gz").write_bytes(gzip.compress(_dump(dsn).encode(), mtime=0))
        now_ns = load(dsn, release, "asked") + SECOND_NS
        with opened(dsn, "asked", now_ns) as asking:
            asked = list(questions_of(narrator, asking))
            kept = [Question(n, rpc, request, asking.ask(rpc, request)) for n, (rpc, request) in enumerate(asked, 1)]
            again = [_again(sent, asking) for sent in narrator.commands()]
    write_lines(folder / "answers.jsonl.gz", map(asdict, kept))
    write_lines(folder / "commands.jsonl.gz", again)
    (folder / "README.md").write_text(_readme(release, len(narrator.fills)))
    _check(folder, release)


def _again(sent: Sent, asking: Asking) -> dict[str, Any]:
    """A command with its bytes, its answer, and the answer to it when it is sent again."""
    request = base64.b64encode(sent.request.SerializeToString(deterministic=True)).decode()
    return {"rpc": sent.rpc, "request": request, "answer": sent.answer, "again": asking.answer(sent.rpc, sent.request)}


def keep_contract(image: Path) -> None:
    """Write the .proto files as an image of buf: what they say, without comments."""
    subprocess.run([BUF, "build", "--exclude-source-info", "-o", image.resolve()], cwd=FOLDER.parents[1], check=True)


@contextmanager
def _postgres() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="ledger-kept-"))
    folder.chmod(0o755)  # PostgreSQL runs as somebody else where we are root
    postgres = EmbeddedPostgres(folder)
    try:
        yield postgres.start("the kept log")
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _dump(dsn: str) -> str:
    """Both schemas as INSERTs, without what only the release of PostgreSQL that wrote them understands."""
    schemas = (f"--schema={SCHEMA}", f"--schema={SCHEMA}_read")
    options = ("--inserts", "--rows-per-insert=50", "--no-owner", "--no-privileges", *schemas)
    command = [installed_wheel().programs / "pg_dump", *options, f"--dbname={dsn}"]
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    text = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    body = text[text.index("CREATE SCHEMA") :]  # before it are settings of the session
    return "".join(line for line in body.splitlines(keepends=True) if not line.startswith("\\unrestrict"))


def _readme(release: str, fills: int) -> str:
    kept = questions(release)
    events, asked = event_counts(kept), Counter(question.rpc for question in kept)
    tables = "\n".join((_table("event", events), _table("question", asked)))
    return README.format(release=release, events=events.total(), fills=fills, questions=len(kept), tables=tables)


def _table(title: str, counts: Counter[str]) -> str:
    rows = (f"| {name} | {count} |" for name, count in sorted(counts.items()))
    return "\n".join([f"| {title} | count |", "|---|---|", *rows, ""])


def _check(folder: Path, release: str) -> None:
    """Say how large it is, and end where something is missing, or it is too large."""
    never = {event.__name__ for event in get_args(Event)} - event_counts(questions(release)).keys()
    assert not never, f"never happens: {never}"
    sizes = {file.name: file.stat().st_size for file in sorted(folder.iterdir())}
    sys.stdout.write("".join(f"{name}: {size:,} bytes\n" for name, size in sizes.items()))
    assert sum(sizes.values()) <= KIBIBYTES_MAX * 1024, "the folder is too large"


if __name__ == "__main__":
    main()
