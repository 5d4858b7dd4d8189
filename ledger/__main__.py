"""The door of `fee-ledger`: all of it, or what asks a running ledger where only the client's packages are installed."""

from __future__ import annotations

import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036 - pip refuses an older one, and a checkout starts under any
    here = ".".join(map(str, sys.version_info[:3]))
    sys.stderr.write(f"fee-ledger: Python {here} is too old: start it with 3.11 or newer\n")
    sys.exit(2)

from ledger.processors import choices_of_grpc

os.environ.update(choices_of_grpc(os.environ))  # before gRPC is imported, which reads them then

from collections.abc import Sequence

from ledger import cli
from ledger.cli.errors import UNUSABLE, tell
from ledger.cli.extra import extra_of
from ledger.visible import visible_output


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    try:
        from ledger.program import main as whole  # noqa: PLC0415 - it sees every floor, and needs every package
    except ModuleNotFoundError as error:
        if extra_of(error) is None:
            raise
        return cli.ended(lambda: _client_alone(sys.argv[1:] if arguments is None else arguments))
    return whole(arguments)


def _client_alone(arguments: Sequence[str]) -> int:
    """Run a command that needs no more than the client; of any other one say which extra brings it."""
    from ledger.tools import MISSING, TOOLS  # noqa: PLC0415 - it imports what it can

    missing = {**MISSING, "serve": "service"}
    if arguments and (extra := missing.get(arguments[0])):
        return tell(UNUSABLE, f"fee-ledger: {arguments[0]} needs the extra {extra}: pip install 'fee-ledger[{extra}]'")
    with visible_output():
        note = f"This is the client alone: pip install 'fee-ledger[service]' brings {', '.join(sorted(missing))}."
        return cli.run(cli.program((*cli.GROUPS, TOOLS, cli.SHELL), note).parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
