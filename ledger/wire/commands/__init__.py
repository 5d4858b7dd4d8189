"""The commands that requests ask for: a file for each service, and the requests that events keep."""
