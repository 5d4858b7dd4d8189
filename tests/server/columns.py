"""Fills column by column: those of scripts.torture."""

from scripts.torture.packed_columns import columns_of, integers, texts

__all__ = ["columns_of", "integers", "texts"]
