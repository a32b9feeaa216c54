"""Features stored between runs in one SQLite database."""
