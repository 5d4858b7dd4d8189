"""The audit of a log by itself: every event read and decided again, in bounded memory, by several processes."""
