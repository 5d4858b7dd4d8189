"""Faults while fills stream, and a reckoning of what must be left."""

import os

# Processes are started while calls are under way; what gRPC does then in the new one may end it before it begins.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
