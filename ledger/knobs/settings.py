"""The one way to a Config: what flags, the environment and a file say, in that order of precedence."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg

from ledger.config import KNOBS, RELATIONS, Config
from ledger.knobs.environment import FILE_VARIABLE, read_environment
from ledger.knobs.files import read_dsn, read_toml
from ledger.knobs.flags import said_by
from ledger.knobs.knob import KnobError, Origin, Said
from ledger.store.postgres.dsn import exposed, parameters
from ledger.store.postgres.folders import default_config

_WHERE: Final = ("data", "dsn", "dsn_file")  # each says where the ledger lies: who says one of them decides on all


class Setting(NamedTuple):
    """The value of a knob, and who says so."""

    said: Said
    overridden: Sequence[Said]  # by others, of less precedence


@dataclass(frozen=True, slots=True)
class Settings:
    """A Config, and where its values come from."""

    config: Config
    by_knob: Mapping[str, Setting]
    file: Path | None
    remarks: Sequence[str]  # for a person: that there is a file, and a password that others can read


def settings_of(options: argparse.Namespace, names: Collection[str] = KNOBS.keys()) -> Settings:
    """Return the settings of a program, of which some knobs are options. Raises KnobError."""
    return read_settings(said_by(options, [KNOBS[name] for name in names]), getattr(options, "config", ""), os.environ)


def read_settings(flags: Mapping[str, Said], named: str, environment: Mapping[str, str]) -> Settings:
    """Return what is set by flags, by the environment, and by a file. Raises KnobError.

    The file is `named`, or else the one that the environment names, or that of the user if there is one.
    """
    variables = read_environment(environment, KNOBS)
    named = named or environment.get(FILE_VARIABLE, "")
    file = Path(named) if named else _usual_file()
    settings = _merged([_not_empty(layer) for layer in (flags, variables, read_toml(file, KNOBS) if file else {})])
    remarks = [f"knobs are set by {file}, as no --config names another file"] if file and not named else []
    in_toml = settings["dsn"].said.place if settings["dsn"].said.origin is Origin.FILE else ""
    if path := settings["dsn_file"].said.value:
        settings["dsn"] = Setting(Said(Origin.FILE, f"{path}", read_dsn(Path(f"{path}"))), settings["dsn"].overridden)
    values: dict[str, Any] = {name: setting.said.value for name, setting in settings.items()}
    config = Config(**values)
    _check(config, settings)
    if config.dsn and (warning := exposed(config.dsn, in_toml)):
        remarks.append(warning)
    return Settings(config, settings, file, remarks)


def _usual_file() -> Path | None:
    usual = default_config()
    return usual if usual and os.path.exists(usual) else None


def _not_empty(layer: Mapping[str, Said]) -> Mapping[str, Said]:
    """Return a layer without empty texts, which say nothing."""
    return {name: said for name, said in layer.items() if said.value != ""}


def _merged(layers: Sequence[Mapping[str, Said]]) -> dict[str, Setting]:
    """Return the setting of every knob, as the first layer has it that says something."""
    where = next((layer for layer in layers if layer.keys() & {*_WHERE}), {})
    if len(places := [where[name].place for name in _WHERE if name in where]) > 1:
        raise KnobError(f"{' and '.join(places)} each say where the ledger lies: give one of them")
    settings = {}
    for name, knob in KNOBS.items():
        said = [layer[name] for layer in layers if name in layer]
        default = Said(Origin.DEFAULT, "default", knob.default)
        deciding = [where] if name in _WHERE else layers
        prevails = next((layer[name] for layer in deciding if name in layer), default)
        settings[name] = Setting(prevails, [one for one in said if one is not prevails])
    return settings


def _check(config: Config, settings: Mapping[str, Setting]) -> None:
    for relation in RELATIONS:
        if not relation.holds(config):
            said = (f"{name} is {getattr(config, name)} ({settings[name].said.place})" for name in relation.names)
            raise KnobError(f"{relation}; {', '.join(said)}")
    try:
        parameters(config.dsn)
    except psycopg.ProgrammingError as error:
        raise KnobError(f"{settings['dsn'].said.place}: {error}") from None
