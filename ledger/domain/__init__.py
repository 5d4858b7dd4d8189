"""The decisions: pure functions over events. Nothing here knows a clock, a thread, a database or a wire."""
