"""The audit of a log by itself: every event read, checked and decided again, in bounded memory, by several processes."""
