"""Decisions: a state and a command give events, or a refusal. One file for each kind of command."""
