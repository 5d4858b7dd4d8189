"""The evaluator of the tests gives what Prometheus gives, for what alerts and dashboard use."""

from __future__ import annotations

import math

import pytest

from tests.metrics.promql import Vector, evaluate, scrape_of

FIRST = """
# TYPE calls counter
calls_total{method="a",code="OK"} 10
calls_total{method="a",code="OTHER"} 5
calls_total{method="b",code="OK"} 0
# TYPE limit gauge
limit{method="a"} 4
"""
SECOND = """
# TYPE calls counter
calls_total{method="a",code="OK"} 16
calls_total{method="a",code="OTHER"} 2
calls_total{method="b",code="OK"} 0
calls_total{method="c",code="OK"} 7
# TYPE limit gauge
limit{method="a"} 4
limit{method="b"} 0
# TYPE took histogram
took_bucket{le="1"} 2
took_bucket{le="3"} 4
took_bucket{le="+Inf"} 4
took_sum 6
took_count 4
"""
SCRAPES = [scrape_of(FIRST, 0, job="x"), scrape_of(SECOND, 10, job="x")]


def by_method(expression: str) -> dict[str, float]:
    found = evaluate(expression, SCRAPES)
    assert isinstance(found, dict)
    return {dict(labels).get("method", ""): value for labels, value in found.items()}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("limit", {"a": 4, "b": 0}),
        ("limit > 0", {"a": 4}),
        ("limit != 4", {"b": 0}),
        ('limit{method="b"} == 0', {"b": 0}),
        ('limit{method=~"a|c"}', {"a": 4}),
        ("0.5 * limit", {"a": 2, "b": 0}),
        ("limit > 0.5 * limit", {"a": 4}),
        ("missing > 0", {}),
        ("sum(limit)", {"": 4}),
        ("max by (job) (limit)", {"": 4}),
        ("sum by (method) (increase(calls_total[1m]))", {"a": 6 + 2, "b": 0}),  # one was reset; c is new
        ('sum by (method) (increase(calls_total{code="OK"}[1m])) > 0', {"a": 6}),
        ('rate(calls_total{method="a",code="OK"}[1m])', {"a": 0.6}),
        ('increase(calls_total{code="OK"}[5s])', {}),
        ("histogram_quantile(0.5, took_bucket)", {"": 1}),
        ("histogram_quantile(0.75, took_bucket)", {"": 2}),
        ("sum by (method) (limit) / sum by (method) (limit)", {"a": 1, "b": math.nan}),
        ("limit and sum by (job, method) (limit)", {"a": 4, "b": 0}),
        ("up == 1", {"": 1}),
    ],
)
def test_an_expression_gives_what_prometheus_gives(expression: str, expected: dict[str, float]) -> None:
    assert by_method(expression) == pytest.approx(expected, nan_ok=True)


def test_a_page_that_could_not_be_read_is_down() -> None:
    found: Vector | float = evaluate('up{job="x"} == 0', [scrape_of("", 0, job="x")])
    assert found == {frozenset({("job", "x")}): 0.0}


@pytest.mark.parametrize("unknown", ["limit offset 5m", "avg(limit)", "limit[5m]", "limit or limit"])
def test_what_it_does_not_know_is_an_error(unknown: str) -> None:
    with pytest.raises(AssertionError):
        evaluate(unknown, SCRAPES)
