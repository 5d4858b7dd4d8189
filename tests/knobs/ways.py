"""The ways to set a knob, and a value of each knob that is not its default."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from ledger.config import KNOBS
from ledger.knobs.flags import said_by
from ledger.knobs.knob import Choice, Knob, Place, Switch, Value, Whole
from ledger.knobs.settings import Settings, read_settings
from ledger.program import parser
from scripts.torture.served import options_of

PARSER: Final = parser()
DSN: Final = "host=db.example user=me"
_TEXTS: Final = {
    "listen": "127.0.0.1:6000",
    "dsn": DSN,
    "schema": "spot",
    "ledger_id": "spot-1",
    "traces_endpoint": "http://127.0.0.1:4318/v1/traces",
    "metrics_listen": "off",
}

Way: TypeAlias = Callable[[Mapping[str, Any], Path], Settings]


def by_flag(values: Mapping[str, Any], _: Path, *more: str, **environment: str) -> Settings:
    """Set knobs on the command line of `serve`."""
    options = PARSER.parse_args(["serve", *options_of(values), *more])
    return read_settings(said_by(options, KNOBS.values()), getattr(options, "config", ""), environment)


def by_variable(values: Mapping[str, Any], _: Path) -> Settings:
    """Set knobs in the environment."""
    return read_settings({}, "", variables(values))


def by_file(values: Mapping[str, Any], folder: Path) -> Settings:
    """Set knobs in a TOML file."""
    return read_settings({}, str(written(values, folder)), {})


WAYS: Final[dict[str, Way]] = {"flag": by_flag, "environment": by_variable, "file": by_file}


def variables(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of some knobs."""
    return {KNOBS[name].variable: _text(value) for name, value in values.items()}


def written(values: Mapping[str, Any], folder: Path) -> Path:
    """Write a file that sets some knobs, a line each."""
    file = folder / "ledger.toml"
    file.write_text("".join(f"{name} = {json.dumps(value, default=str)}\n" for name, value in values.items()))
    return file


def another(knob: Knob, folder: Path) -> Value:
    """Return a value that a knob may have by itself, and has not by default."""
    match knob:
        case Whole():
            return knob.default - 1 if knob.default > knob.lowest else knob.default + 1
        case Switch():
            return not knob.default
        case Choice():
            return knob.choices[-1]
        case Place(of="FILE"):
            file = folder / "dsn"
            file.write_text(f"{DSN}\n")
            file.chmod(0o600)
            return file
        case Place():
            return folder
    return _TEXTS[knob.name]


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)
