"""Metrics: the table of all, and the endpoint where Prometheus reads them (docs/operations/metrics.md)."""
