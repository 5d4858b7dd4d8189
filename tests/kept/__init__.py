"""Logs of releases, kept with their answers: what every later release is held against."""
