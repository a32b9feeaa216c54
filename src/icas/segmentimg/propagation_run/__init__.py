"""Propagation of saved paintings over image files: clusters, runs, corrections, undo."""
