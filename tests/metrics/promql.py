"""The part of PromQL that the alerts and the dashboard use, over pages that were scraped.

It knows selectors with = and =~, rate and increase, sum, max and min by labels, histogram_quantile, arithmetic,
comparisons and `and`. Unlike Prometheus it does not extrapolate: an increase is what was seen. Whatever else it is
given is an error.
"""

from __future__ import annotations

import operator
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple, TypeAlias

from prometheus_client.parser import text_string_to_metric_families

Labels: TypeAlias = frozenset[tuple[str, str]]
Vector: TypeAlias = dict[Labels, float]

_TOKEN: Final = re.compile(r'\s*([a-zA-Z_:][\w:]*|\d[\d.e+]*[smhd]?|"[^"]*"|=~|==|!=|>=|<=|[-+*/><=(){}\[\],])')
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_COMPARED: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_COUNTED: Final[Mapping[str, Callable[[float, float], float]]] = {
    "*": operator.mul, "/": lambda one, other: one / other if other else float("nan"), "+": operator.add,
    "-": operator.sub,
}  # fmt: skip
_AGGREGATES: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {"sum": sum, "max": max, "min": min}


class Scrape(NamedTuple):
    """A page as Prometheus stores it: values by name and labels, and when it was read."""

    at_s: float
    values: Mapping[str, Vector]


def scrape_of(text: str, at_s: float, **target: str) -> Scrape:
    """Return a page with the labels of its target; `up` says that it was read. An empty text: it could not be."""
    values: dict[str, Vector] = defaultdict(dict)
    values["up"][frozenset(target.items())] = float(bool(text))
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            values[sample.name][frozenset({**sample.labels, **target}.items())] = sample.value
    return Scrape(at_s, values)


def evaluate(expression: str, scrapes: Sequence[Scrape]) -> Vector | float:
    """Return what an expression gives after the last of some scrapes."""
    tokens = list(_tokens(expression))
    reader = _Reader(tokens, scrapes)
    found = reader.both()
    assert reader.at == len(tokens), f"cannot read {tokens[reader.at :]} in {expression}"
    return found


def _tokens(expression: str) -> Iterator[str]:
    at = 0
    while expression[at:].strip():
        found = _TOKEN.match(expression, at)
        assert found, f"cannot read {expression[at:]!r}"
        yield found[1]
        at = found.end()


class _Reader:
    """Reads an expression from left to right, and evaluates it on the way."""

    def __init__(self, tokens: Sequence[str], scrapes: Sequence[Scrape]) -> None:
        self._tokens = tokens
        self._scrapes = scrapes
        self.at = 0

    @property
    def _next(self) -> str:
        return self._tokens[self.at] if self.at < len(self._tokens) else ""

    def _take(self, *expected: str) -> str:
        token = self._next
        assert not expected or token in expected, f"{token!r} in place of {expected} in {' '.join(self._tokens)}"
        self.at += 1
        return token

    def both(self) -> Vector | float:
        left = self._compared()
        while self._next == "and":
            self._take()
            right = self._compared()
            assert isinstance(left, dict)
            assert isinstance(right, dict)
            left = {labels: value for labels, value in left.items() if labels in right}
        return left

    def _compared(self) -> Vector | float:
        left = self._sum()
        if self._next not in _COMPARED:
            return left
        holds, right = _COMPARED[self._take()], self._sum()
        assert isinstance(left, dict)
        return {
            labels: value
            for labels, value in left.items()
            if (other := _other(right, labels)) is not None and holds(value, other)
        }

    def _sum(self) -> Vector | float:
        return self._chain(("+", "-"), self._product)

    def _product(self) -> Vector | float:
        return self._chain(("*", "/"), self._one)

    def _chain(self, signs: tuple[str, ...], part: Callable[[], Vector | float]) -> Vector | float:
        left = part()
        while self._next in signs:
            count, right = _COUNTED[self._take()], part()
            if isinstance(left, dict):
                others = ((labels, value, _other(right, labels)) for labels, value in left.items())
                left = {labels: count(value, other) for labels, value, other in others if other is not None}
            elif isinstance(right, dict):
                left = {labels: count(left, value) for labels, value in right.items()}
            else:
                left = count(left, right)
        return left

    def _one(self) -> Vector | float:
        token = self._take()
        if token[0].isdigit():
            return float(token)
        if token == "(":
            found = self.both()
            self._take(")")
            return found
        if token in _AGGREGATES:
            return self._aggregate(_AGGREGATES[token])
        if token in ("rate", "increase"):
            return self._rise(per_second=token == "rate")
        if token == "histogram_quantile":
            self._take("(")
            quantile = float(self._take())
            self._take(",")
            buckets = self.both()
            self._take(")")
            assert isinstance(buckets, dict)
            return _quantiles(quantile, buckets)
        return self._select(token)[-1][1]

    def _aggregate(self, join: Callable[[Sequence[float]], float]) -> Vector:
        names: set[str] = set()
        if self._next == "by":
            self._take("by")
            self._take("(")
            while self._next != ")":
                names.add(self._take())
                if self._next == ",":
                    self._take(",")
            self._take(")")
        self._take("(")
        values = self.both()
        self._take(")")
        assert isinstance(values, dict)
        groups: dict[Labels, list[float]] = defaultdict(list)
        for labels, value in values.items():
            groups[frozenset(pair for pair in labels if pair[0] in names)].append(value)
        return {labels: join(found) for labels, found in groups.items()}

    def _rise(self, *, per_second: bool) -> Vector:
        self._take("(")
        series = self._select(self._take())
        self._take("[")
        span = self._take()
        self._take("]")
        self._take(")")
        until_s = series[-1][0]
        series = [(at_s, values) for at_s, values in series if until_s - at_s <= int(span[:-1]) * _SECONDS[span[-1]]]
        found: Vector = {}
        for labels in series[-1][1]:
            points = [(at_s, values[labels]) for at_s, values in series if labels in values]
            if len(points) > 1:  # as for Prometheus: of what is there for the first time it is not known that it rose
                rise = sum(after - before if after >= before else after for (_, before), (_, after) in pairwise(points))
                found[labels] = rise / (points[-1][0] - points[0][0]) if per_second else rise
        return found

    def _select(self, name: str) -> list[tuple[float, Vector]]:
        """Return the values of each scrape that a selector finds."""
        matchers: list[tuple[str, re.Pattern[str]]] = []
        if self._next == "{":
            self._take("{")
            while self._next != "}":
                label, sign, text = self._take(), self._take("=", "=~"), self._take().strip('"')
                matchers.append((label, re.compile(text if sign == "=~" else re.escape(text))))
                if self._next == ",":
                    self._take(",")
            self._take("}")

        def matches(labels: Labels) -> bool:
            found = dict(labels)
            return all(pattern.fullmatch(found.get(label, "")) for label, pattern in matchers)

        return [
            (scrape.at_s, {labels: value for labels, value in scrape.values.get(name, {}).items() if matches(labels)})
            for scrape in self._scrapes
        ]


def _other(right: Vector | float, labels: Labels) -> float | None:
    return right.get(labels) if isinstance(right, dict) else right


def _quantiles(quantile: float, buckets: Vector) -> Vector:
    """Return the quantile of each histogram; between the ends of a bucket values are taken to lie evenly."""
    histograms: dict[Labels, list[tuple[float, float]]] = defaultdict(list)
    for labels, count in buckets.items():
        others = frozenset(pair for pair in labels if pair[0] != "le")
        histograms[others].append((float(dict(labels)["le"]), count))
    return {labels: _quantile(quantile, sorted(found)) for labels, found in histograms.items()}


def _quantile(quantile: float, buckets: Sequence[tuple[float, float]]) -> float:
    rank, low, below = quantile * buckets[-1][1], 0.0, 0.0
    if not buckets[-1][1]:
        return float("nan")
    for high, count in buckets:
        if count >= rank:
            return low if high == float("inf") else low + (high - low) * (rank - below) / (count - below)
        low, below = high, count
    raise AssertionError(buckets)
