"""Every tool that reads a file of a person's, given files that chance has changed."""
