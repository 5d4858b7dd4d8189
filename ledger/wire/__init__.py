"""Between messages and values: fields of requests, refusals as statuses."""
