"""Controls: one file for each, found by its name. A control is a query, it changes nothing.

A new one is a module here with a `CONTROL`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Final

from projections.controls.scope import Control

_MODULES: Final = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]  # in their order
CONTROLS: Final[Mapping[str, Control]] = {
    module.CONTROL.name: module.CONTROL for module in _MODULES if hasattr(module, "CONTROL")
}
