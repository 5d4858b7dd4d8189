"""An event-sourced fee ledger."""

import os

# gRPC's handlers around fork crash the child that would become the embedded PostgreSQL; we never fork into Python.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
