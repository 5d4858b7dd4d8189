"""Between events and stored bytes: one mapping for each message."""
