"""Maps events to stored bytes and back: once for each message."""
