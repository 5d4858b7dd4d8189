"""Fees of one account: as a table, as files for other programs, and as a page to look at."""
