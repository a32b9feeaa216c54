"""Multi-index search: all near pairs of one-word codes without comparing all pairs."""
