"""Pages of metrics of a running service, scraped one after another, and what alerts say of them."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from ledger.metrics.endpoint import Endpoint
from scripts.metrics.alerts import ALERTS
from tests.conftest import Clock, Ledger, serving
from tests.metrics.promql import Scrape, Vector, evaluate, scrape_of
from tests.waiting import wait_for

_SCRAPE_S_MAX: Final = 3
_EXPRESSIONS: Final = {alert.name: alert.expr for alert in ALERTS}


def get(url: str, **headers: str) -> str:
    """Read a page. Raises URLError, HTTPError or TimeoutError."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_SCRAPE_S_MAX) as answer:
        text: str = answer.read().decode()
        return text


class Watch:
    """Scrapes one service, as Prometheus does, and evaluates the alerts over all that was scraped."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.scrapes: list[Scrape] = []

    def scrape(self) -> None:
        """Read the page once more."""
        try:
            text = get(self.url)
        except (urllib.error.URLError, OSError):
            text = ""
        self.scrapes.append(scrape_of(text, time.monotonic(), job="fee-ledger", instance=self.url))

    def value(self, name: str, **labels: str) -> float:
        """Return a value of the last page."""
        found = self.scrapes[-1].values[name]
        return next(value for series, value in found.items() if {*labels.items()} <= series)

    def holds(self, alert: str) -> Vector:
        """Scrape, and return the series for which an alert holds."""
        self.scrape()
        found = evaluate(_EXPRESSIONS[alert], self.scrapes)
        assert isinstance(found, dict)
        return found

    def all_that_hold(self) -> set[str]:
        """Return the names of alerts that hold, by the last scrapes."""
        return {name for name, expression in _EXPRESSIONS.items() if evaluate(expression, self.scrapes)}

    def wait_until(self, alert: str, *, holds: bool = True) -> None:
        """Scrape until an alert holds, or until it holds no longer."""
        wait_for(lambda: bool(self.holds(alert)) is holds, 20)


@contextmanager
def watched(dsn: str, schema: str, /, *, clock: Clock | None = None, **settings: Any) -> Iterator[tuple[Ledger, Watch]]:
    """Run a service with metrics until the block ends; other keywords are of Config."""
    endpoint = Endpoint("127.0.0.1:0")
    try:
        with serving(dsn, schema, clock=clock, endpoint=endpoint, **settings) as ledger:
            watch = Watch(endpoint.url)
            watch.scrape()
            yield ledger, watch
    finally:
        endpoint.stop()
