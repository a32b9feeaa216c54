"""`icas.show` and HTML representations for notebooks."""
