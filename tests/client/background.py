"""Calls that wait while a test goes on."""

from __future__ import annotations

import threading
from typing import Any


def in_background(work: Any, *arguments: Any) -> tuple[threading.Thread, list[Any]]:
    """A call in a thread of its own, and what it returned or raised."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(work(*arguments))
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, found
