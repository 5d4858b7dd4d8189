"""Kills, cuts and pauses while fills stream, and a reckoning of what must be left."""
