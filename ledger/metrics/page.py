"""The page of metrics: readings become the families of the client library, as the table describes them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from ledger.metrics.histogram import Histogram
from ledger.metrics.table import METRICS, Metric
from ledger.seldom import Seldom

_log: Final = logging.getLogger(__name__)
_failing: Final = Seldom(_log)

Value: TypeAlias = float | Histogram
Readings: TypeAlias = Mapping[str, "Value | Mapping[tuple[str, ...], Value]"]
"""Values by the name of their metric; one with labels has them by the values of its labels, in the table's order."""


def registry_of(*readings: Callable[[], Readings]) -> CollectorRegistry:
    """Return what the library makes pages from: readings, and what Linux tells of the process."""
    registry = CollectorRegistry(auto_describe=True)
    ProcessCollector(registry=registry)
    registry.register(_Readings(readings))
    return registry


class _Readings(Collector):
    """Takes readings one page at a time. A part that fails is left out, and logged."""

    def __init__(self, parts: Sequence[Callable[[], Readings]]) -> None:
        self._parts = parts
        self._one_at_a_time = threading.Lock()

    def describe(self) -> Iterator[Family]:
        """Yield the families without values, by which a caller may ask for some (`/metrics?name[]=...`)."""
        return (_family(metric) for name, metric in METRICS.items() if name.startswith("fee_ledger_"))

    def collect(self) -> Iterator[Family]:
        """Yield the families with their values now, in the order of the table."""
        taken: dict[str, Any] = {}
        with self._one_at_a_time:
            for part in self._parts:
                try:
                    taken.update(part())
                except Exception as error:  # a page without one part is better than none
                    _failing.warning("some metrics could not be read: %r", error)
        assert taken.keys() <= METRICS.keys(), taken.keys() - METRICS.keys()
        for name, metric in METRICS.items():
            if name in taken:
                yield _filled(metric, taken[name])


def _family(metric: Metric) -> Family:
    name = metric.name.removesuffix("_total").removesuffix("_info")
    match metric.kind:
        case "counter":
            return CounterMetricFamily(name, metric.says, labels=metric.labels)
        case "histogram":
            return HistogramMetricFamily(name, metric.says, labels=metric.labels)
        case "info":
            return InfoMetricFamily(name, metric.says)
        case "gauge":
            return GaugeMetricFamily(name, metric.says, labels=metric.labels)


def _filled(metric: Metric, reading: Any) -> Family:
    family = _family(metric)
    for labels, value in (reading if isinstance(reading, Mapping) else {(): reading}).items():
        match family:
            case InfoMetricFamily():
                family.add_metric((), dict(zip(metric.labels, labels, strict=True)))
            case HistogramMetricFamily():
                family.add_metric(labels, list(value.buckets()), value.sum)
            case CounterMetricFamily() | GaugeMetricFamily():
                family.add_metric(labels, value)
    return family
