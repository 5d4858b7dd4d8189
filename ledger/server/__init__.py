"""gRPC in and out. Handlers check shape and wait; no rule lies here."""
