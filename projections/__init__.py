"""The read side: folds of the log that answer questions. Nothing here writes."""
