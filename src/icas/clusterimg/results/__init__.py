"""A finished run: report object, tables, writing and loading."""
