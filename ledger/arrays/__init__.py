"""Columns of numbers and texts, and computations over them at once. No module here knows a word of the business."""
