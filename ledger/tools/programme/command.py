"""The verbs of `fee-ledger programme`."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path
from typing import Final

from ledger import programmes
from ledger.cli import Options, argument, screens
from ledger.cli.arguments import address, authority, clocks, limit, time_ns
from ledger.cli.documents import document
from ledger.cli.errors import UnusableError, tell
from ledger.cli.printing import at, page_size, show_pages, write
from ledger.cli.shared import PROGRAMME_ID
from ledger.cli.subcommands import CONNECT_S_MAX
from ledger.client import Client
from ledger.domain.state.programme import Programme
from ledger.tools.group import TOOLS
from ledger.tools.programme import files, lost_tiers
from ledger.tools.programme.table import rate_table, statements
from ledger.visible import as_it_is, visible

PROGRAMME: Final = TOOLS.verbs(
    "programme",
    "programme files, and their versions: faults, rates, changes, publishing",
    "programme validate programme.toml",
    "programme show",
    "programme publish programme.toml --actor ops-7 --approver ops-8",
    notes="""\
A programme file is TOML; the packaged ones in ledger/programmes/ explain every key. The first start
of a ledger publishes one of them: `fee-ledger programme print > programme.toml` is where to begin.""",
)

_VERSION: Final = argument("--version", default="", metavar="VERSION", help="default: the one in force")


@PROGRAMME.add(
    "validate",
    "name every fault of files",
    "programme validate programme.toml",
    arguments=(
        argument("files", metavar="FILE", nargs="+", type=Path, help="programme file"),
        argument(
            "--address",
            type=address,
            metavar="HOST:PORT",
            help="of a ledger: whose accounts lose their tier, and whose symbols there are (default: none is asked)",
        ),
    ),
    notes="""\
Each fault is one line: file, name of the fault, key, what is wrong. A warning says what may be
meant and should be looked at: a tier's rate above the public one, and tiers that the version before
has and this one has not. That version is the packaged one, or with --address that of the ledger;
then the accounts that would lose a tier are named too.

exit code 0: no faults; 1: faults; 2: a file cannot be read, or the ledger cannot be asked""",
    to_the_end=True,
)
def _validate(options: Options) -> int:
    found = [(path, _looked_at(path, options.address)) for path in options.files]
    for path, (faults, warnings) in found:
        lines = [str(fault) for fault in faults] or ["no faults"]
        print("\n".join(visible(f"{path}: {line}") for line in (*lines, *warnings)))
    return 1 if any(faults for _, (faults, _) in found) else 0


def _looked_at(path: Path, address_: str | None) -> tuple[list[programmes.Fault], list[str]]:
    """Faults of a file, and its warnings if it has none; a ledger is asked where one is named."""
    faults = list(programmes.faults(files.content(path)))
    if faults:
        return faults, []
    becomes, told = files.programme(path), files.warnings(path)
    if address_ is None:
        return [], [*told, *lost_tiers.warnings(lost_tiers.packaged_before(becomes), becomes)]
    with Client(address_, connect_timeout_s=CONNECT_S_MAX) as ledger:
        was = lost_tiers.of_ledger(ledger, becomes, None)
        told += [*lost_tiers.warnings(was, becomes), *lost_tiers.holders(ledger, was, becomes, None)]
        return list(lost_tiers.unknown_symbols(ledger, becomes)), told


@PROGRAMME.add(
    "schema",
    "print the JSON Schema of programme files: every key with its values, bounds and default",
    "programme schema > programme.schema.json",
    notes="""\
Editors complete and check TOML by it; the first line of a file names it:
#:schema ./programme.schema.json
What values must be beside each other only `programme validate` says.""",
)
def _schema(_: Options) -> int:
    print(json.dumps(programmes.schema(), indent=2))
    return 0


@PROGRAMME.add(
    "diff",
    "which numbers and switches differ between two files",
    "programme diff old.toml programme.toml",
    arguments=(
        argument("a", metavar="FILE", type=Path, help="programme file as it was"),
        argument("b", metavar="FILE", type=Path, help="programme file as it becomes"),
    ),
    notes="What a file leaves out has its default, and files are compared by what they mean: 0.04% and 4bps\n"
    "are the same.\n\nexit code 0: they say the same; 1: they differ; 2: a file cannot be read",
    to_the_end=True,
)
def _diff(options: Options) -> int:
    lines = files.differences(files.programme(options.a), files.programme(options.b))
    print("\n".join(lines or ["they say the same"]))
    return 1 if lines else 0


@PROGRAMME.ask(
    "show",
    "what a file, or a version that a ledger has, says: a table of rates, and every key",
    "programme show",
    "programme show programme.toml",
    "programme show --version 3.0",
    rpcs=("GetProgramme",),
    arguments=(
        argument("file", metavar="FILE", nargs="?", type=Path, help="programme file (default: ask the ledger)"),
        _VERSION,
        PROGRAMME_ID,
    ),
    parents=(clocks,),
)
def _show(ledger: Client, options: Options) -> None:
    if options.file is None:
        answer = ledger.get_programme(options.programme_id, version=options.version, **at(options))
        programme = programmes.parse(answer.programme.content)
        head = [*screens.headline(_title(programme), answer.basis), "", *screens.programmes([answer.programme])]
    elif options.version or options.programme_id or options.as_of is not None or options.known_at:
        raise UnusableError(f"{options.file} is one version: --version, --programme and the clocks are for a ledger's")
    else:
        programme = files.programme(options.file)
        head = [_title(programme)]
    said = statements(programme)
    if options.json:
        print(json.dumps(said, indent=2))
        return
    rest = [(key, value) for key, value in said.items() if not key.startswith(("rates.", "base_rates.", "volume.from"))]
    print("\n".join([*head, "", *rate_table(programme), "", *screens.pairs(rest)]))


def _title(programme: Programme) -> str:
    name = programme.title or programme.programme_id
    return visible(f"{name}: version {programme.version}, governs {', '.join(programme.venues)}")


@PROGRAMME.ask(
    "print",
    "print the file of a version that a ledger has, as it was published",
    "programme print > programme.toml",
    "programme print --version 3.0",
    rpcs=("GetProgramme",),
    arguments=(_VERSION, PROGRAMME_ID),
    parents=(clocks,),
)
def _print(ledger: Client, options: Options) -> None:
    answer = ledger.get_programme(options.programme_id, version=options.version, **at(options))
    if options.json:
        print(document(answer))
        return
    with nullcontext() if sys.stdout.isatty() else as_it_is():  # a file is to have the hash that was published
        print(answer.programme.content, end="")


@PROGRAMME.ask(
    "list",
    "every version of every programme that a ledger has",
    "programme list",
    "programme list --programme bitmart-api-vip",
    rpcs=("ListProgrammes",),
    arguments=(argument("--programme", default="", metavar="ID", help="one programme (default: all)"),),
    parents=(clocks, limit),
)
def _list(ledger: Client, options: Options) -> None:
    pages = ledger.programme_pages(options.programme, page_size=page_size(options), **at(options))
    subject = options.programme or "programmes"
    show_pages(options, pages, "programmes", lambda page: screens.headline(subject, page.basis), screens.programmes)


@PROGRAMME.ask(
    "publish",
    "publish a file as a version of its programme; it takes two persons",
    "programme publish programme.toml --actor ops-7 --approver ops-8 --reason 'rates of the new quarter'",
    rpcs=("GetProgramme", "PublishProgramme"),
    parents=(authority,),
    arguments=(
        argument("file", metavar="FILE", type=Path, help="programme file"),
        argument("--valid-from", "--from", type=time_ns, metavar="TIME",
                 help="first instant, not in the past (default: now)"),
    ),
    notes="""\
A version is published for ever. Tiers that the version before has and this one has not are told on
stderr first, with the accounts that lose them. Without --request-id the request is named by what it
asks for: the same publication sent again is done once.""",
)  # fmt: skip
def _publish(ledger: Client, options: Options) -> None:
    content = files.content(options.file)
    if not programmes.faults(content):  # the ledger names those that there are
        becomes = programmes.parse(content)
        was = lost_tiers.of_ledger(ledger, becomes, options.valid_from)
        told = [*lost_tiers.warnings(was, becomes), *lost_tiers.holders(ledger, was, becomes, options.valid_from)]
        tell(0, *(f"{options.file}: {line}" for line in told))
    asked = f"{options.actor} {options.approver} {options.valid_from}\n{content}"
    write(
        lambda _, **values: ledger.publish_programme(content, **values),
        options,
        str(options.file),
        request_id=f"publish-{sha256(asked.encode()).hexdigest()[:32]}",
        valid_from=options.valid_from,
    )
