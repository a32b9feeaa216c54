"""Features kept between runs in one SQLite database."""
