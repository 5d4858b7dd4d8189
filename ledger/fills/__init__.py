"""Fills by the hundred thousand, over arrays: batches, prices, runs, account-days and their adjustments."""
