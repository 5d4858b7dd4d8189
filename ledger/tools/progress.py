"""How far long work has come: a bar on a terminal, and a line now and then where nobody watches."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, Final

from ledger.visible import below, visible

try:
    from tqdm import tqdm
except ModuleNotFoundError:  # the client alone shows no progress
    tqdm: Any = None  # type: ignore[no-redef]

_ON_A_TERMINAL_S: Final = 0.5
_ELSEWHERE_S: Final = 30
_BAR: Final = "{percentage:3.0f} % {bar:20} {n:,} of {total:,}{unit}, {rate_noinv_fmt}, {remaining} left{postfix}"
_COUNT: Final = "{n:,}{unit}, {rate_noinv_fmt}, {elapsed} so far{postfix}"  # where nobody knows the total


class ProgressBar:
    """Shows on stderr what is done of a total, how fast, and how long the rest will take.

    On a terminal it is a bar that `clear` takes away; in a pipe or a log it is nothing for 30 s, and then a line each
    30 s, so that short work stays silent.
    """

    def __init__(self, *, already: int = 0) -> None:
        """`already` units were done before, by a run that this one goes on with: they tell nothing about its speed."""
        self._already = already
        self._began_s = self._shown_s = time.monotonic()
        self._stage_s = self._told_s = self._began_s
        self._unit = ""
        self._terminal = sys.stderr.isatty()
        self._bar: Any = None

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began_s

    def show(self, unit: str, done: int, total: int | None = None, more: str = "") -> None:
        """Say that so many of `unit` (for example "events") are done; another unit than before begins a new stage.

        `more` is said after it, for example ", 3 findings".
        """
        now_s, more = time.monotonic(), visible(more)
        if unit != self._unit:
            self.clear()
            self._already = self._already if not self._unit else 0
            self._unit, self._stage_s = unit, self._told_s  # it began where the last one, or nothing, was told of
        self._told_s = now_s
        if tqdm is None or now_s - self._shown_s < (_ON_A_TERMINAL_S if self._terminal else _ELSEWHERE_S):
            return
        self._shown_s = now_s
        if self._terminal:
            self._draw(done, total, more)
        else:
            print(self._line(done, total, more, now_s), file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the bar away, to make room for another line."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _draw(self, done: int, total: int | None, more: str) -> None:
        if self._bar is None:
            self._bar = tqdm(
                initial=self._already,
                total=total,
                unit=f" {self._unit}",
                bar_format=_BAR if total else _COUNT,
                file=below(sys.stderr),
                leave=False,
                dynamic_ncols=True,
                mininterval=0,
                delay=_ON_A_TERMINAL_S,  # or it would draw itself before it knows how much is done
            )
            self._bar.start_t -= time.monotonic() - self._stage_s  # of the stage, not of the bar
        self._bar.total = total
        self._bar.n = done
        self._bar.set_postfix_str(more.removeprefix(", "), refresh=False)
        self._bar.refresh()

    def _line(self, done: int, total: int | None, more: str, now_s: float) -> str:
        line: str = tqdm.format_meter(
            done,
            total or 0,
            now_s - self._stage_s,
            unit=f" {self._unit}",
            initial=self._already,
            postfix=more.removeprefix(", "),
            bar_format=(_BAR if total else _COUNT).replace("{bar:20} ", ""),
        )
        return line.strip()


class ProgressLines:
    """Logs what is done of a total, each 30 s: for a log that is read by programs."""

    def __init__(self, log: logging.Logger, work: str) -> None:
        """`work` is what the lines begin with, for example "migration"."""
        self._log = log
        self._work = work
        self._told_s = time.monotonic()

    def show(self, unit: str, done: int, total: int | None = None, more: str = "") -> None:
        """Say that so many of `unit` are done, as ProgressBar does."""
        if time.monotonic() - self._told_s >= _ELSEWHERE_S:
            self._told_s = time.monotonic()
            self._log.info("%s: %d%s %s%s", self._work, done, f" of {total}" if total else "", unit, more)

    def clear(self) -> None:
        """Do nothing: no bar is in the way."""
