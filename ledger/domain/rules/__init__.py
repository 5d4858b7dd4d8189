"""One file per rule of the business document, found by its heading. Rules never know each other."""
