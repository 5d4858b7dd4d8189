"""Columns of numbers and texts, and what is computed over them at once. No module here knows a word of the business."""
