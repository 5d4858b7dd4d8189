"""Log on stderr: a line for each record, which holds no password and nothing that cannot be seen."""

from __future__ import annotations

import logging
import sys
from typing import Any

from ledger.masked import masked
from ledger.visible import visible, visible_lines


class LogFormatter(logging.Formatter):
    """A record is one line, however many its texts pretend to be; below it there is a traceback, if it has one."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """Return the line."""
        return visible(masked(super().formatMessage(record)))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the library's name
        """Return the lines of the traceback."""
        return visible_lines(masked(super().formatException(ei)))


def log_on_stderr(level: int = logging.INFO, style: str = "%(asctime)s %(levelname)s %(message)s") -> None:
    """Log from now on; what was set before stays."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogFormatter(style))
    logging.basicConfig(level=level, handlers=[handler])
