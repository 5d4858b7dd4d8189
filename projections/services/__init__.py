"""The gRPC services that read: each RPC is answered by a module of `answers` or `evaluation`."""
