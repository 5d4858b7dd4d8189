"""Many commands out of one CSV file, approved together."""
