"""Fills by the hundred thousand, over arrays: batches, prices, fill runs, account-days and their adjustments."""
