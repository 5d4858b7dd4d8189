"""Backups of a log: parts on disk that are added one after the other, and a ledger that is made from them again."""
