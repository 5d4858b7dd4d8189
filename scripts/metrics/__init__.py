"""The page, the alert rules and the dashboard that are made from the table of metrics."""
