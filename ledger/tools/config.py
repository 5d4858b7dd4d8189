"""`fee-ledger config`: which knobs are set, by whom, and whether a file of them can be used."""

from __future__ import annotations

import json
from itertools import starmap
from pathlib import Path
from typing import Any

from ledger.cli import Options, argument
from ledger.cli.arguments import Parser
from ledger.cli.errors import tell
from ledger.cli.screens import many, table
from ledger.config import KNOBS
from ledger.knobs.flags import add_flags
from ledger.knobs.knob import Origin, Said, Value
from ledger.knobs.settings import Setting, read_settings, settings_of
from ledger.masked import masked
from ledger.store.postgres.dsn import shown
from ledger.tools.group import TOOLS


def knob_flags() -> Parser:
    """Return every knob as an argument, for `serve` and for what shows what `serve` would do."""
    parser = Parser(add_help=False)
    add_flags(parser, KNOBS.values())
    return parser


_CONFIG = TOOLS.verbs("config", "the knobs of the service: which are set, and by whom", "config show")


@_CONFIG.add(
    "show",
    "print each knob with its value, its unit, and who sets it",
    "config show",
    "config show --config ledger.toml --lease-ms 800",
    """config show --json | jq '.knobs[] | select(.origin != "default")'""",
    arguments=(argument("--json", action="store_true", help="print JSON: one document"),),
    parents=(knob_flags,),
    notes="It takes what `serve` takes, and looks at the same environment and file. Passwords are ***.\n\n"
    "exit code 0: `serve` would begin with these; 2: something is wrong with one, and one line says what",
)
def _show(options: Options) -> int:
    settings = settings_of(options)
    tell(0, *(f"fee-ledger: {line}" for line in settings.remarks))
    if options.json:
        document = {"file": _plain(settings.file), "knobs": list(starmap(_document, settings.by_knob.items()))}
        print(json.dumps(document, indent=2))
    else:
        print("\n".join(table(("knob", "set by", "~value"), starmap(_row, settings.by_knob.items()))))
    return 0


@_CONFIG.add(
    "check",
    "say whether `serve` could begin with a file of knobs",
    "config check ledger.toml",
    arguments=(argument("file", metavar="FILE", help="a TOML file, such as --config names"),),
    notes="The environment is left out.\n\n"
    "exit code 0: it could; 2: it could not, and one line says why, with the line of the file",
)
def _check(options: Options) -> int:
    settings = read_settings({}, options.file, {})
    tell(0, *(f"fee-ledger: {line}" for line in settings.remarks))
    knobs = sum(setting.said.origin is not Origin.DEFAULT for setting in settings.by_knob.values())
    print(f"{options.file} can be used: it sets {many(knobs, 'knob')}")
    return 0


def _row(name: str, setting: Setting) -> tuple[str, str, str]:
    said, unit = setting.said, KNOBS[name].unit
    place = f" ({said.place})" if said.origin is Origin.FILE else ""
    instead = " and ".join(f"{_text(name, one.value)} ({one.place})" for one in setting.overridden)
    value = f"{_text(name, said.value)} {unit}".rstrip()
    return name, said.origin, f"~{value}{place}{instead and f', instead of {instead}'}"


def _document(name: str, setting: Setting) -> dict[str, Any]:
    return {
        "name": name,
        **_said(name, setting.said),
        "unit": KNOBS[name].unit,
        "overridden": [_said(name, one) for one in setting.overridden],
    }


def _said(name: str, said: Said) -> dict[str, Any]:
    return {"value": _plain(_masked(name, said.value)), "origin": said.origin, "place": said.place}


def _text(name: str, value: Value) -> str:
    """Return a value as a file has it, but without quotation marks; - for none."""
    plain = _plain(_masked(name, value))
    if isinstance(plain, bool):
        return json.dumps(plain)
    return "-" if plain is None else str(plain) or "-"


def _plain(value: Value) -> int | bool | str | None:
    return str(value) if isinstance(value, Path) else value


def _masked(name: str, value: Value) -> Value:
    if KNOBS[name].is_secret:
        return shown(str(value))
    return masked(value) if isinstance(value, str) else value
