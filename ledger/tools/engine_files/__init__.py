"""Files of fills as engines and exchanges export them: opened, bounded, and read to the last digit."""
