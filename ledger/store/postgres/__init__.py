"""PostgreSQL itself: connections, the embedded server, migrations."""
