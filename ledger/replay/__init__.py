"""Deciding the log again: each event is compared with what the rules give on the events before it."""
