"""Template search and painting."""
