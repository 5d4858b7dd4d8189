"""The templates of the pages, and how a page gets to its place. It needs Jinja2, which is in the extra `tools`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ledger.cli.screens import many
from ledger.tools.files import write_whole
from ledger.tools.pages.words import decimals, grouped
from ledger.visible import visible


def _shown(value: Any) -> Any:
    """Show every value as it is: nothing in a text may hide, or turn the words beside it round."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


_ENVIRONMENT: Final = Environment(
    loader=PackageLoader("ledger.tools.pages"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_shown,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters.update(decimals=decimals, grouped=grouped, many=many)


def write_page(path: Path, template: str, **values: Any) -> None:
    """Put the page that a template makes of values in its place. Raises UnusableError."""
    write_whole(path, _ENVIRONMENT.get_template(template).render(values))
