"""The tables of the read side: how they are kept up with the log, made again, and switched."""
