"""Requests that nobody means: every RPC by its descriptor, with values at the ends of their types and hostile ones."""
