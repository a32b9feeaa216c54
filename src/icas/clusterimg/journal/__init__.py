"""The SQLite journal of a run and of relocations."""
