"""Fills as they arrive: messages, columns and streams, read into batches."""
