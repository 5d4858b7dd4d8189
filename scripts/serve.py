"""`fee-ledger serve` with settings of Config that it has no argument for: python -m scripts.serve JSON ARGUMENT..."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

from ledger import __main__ as program
from ledger.config import Config


def main(settings: str, *arguments: str) -> int:
    """Run the program; `settings` is a JSON object of fields of Config. Returns the exit code."""
    serve = program.serve

    def serve_so(config: Config) -> int:
        return serve(replace(config, **json.loads(settings)))

    program.serve = serve_so
    return program.main(["serve", *arguments])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
