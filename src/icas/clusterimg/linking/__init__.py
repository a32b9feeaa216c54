"""Features -> links: tiles of all pairs, or candidate search."""
