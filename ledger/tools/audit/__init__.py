"""The audit: every event decided again, what differs told, and a file from which a killed audit goes on."""
