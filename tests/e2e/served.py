"""A service as a process of its own, to be killed: the one that scripts.torture kills."""

from scripts.torture.served import WAIT_S_MAX, Served

__all__ = ["WAIT_S_MAX", "Served"]
