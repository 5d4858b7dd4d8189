"""Bytes that nobody wrote, for what reads bytes one by one: with atheris, which looks for new ways through the code."""
