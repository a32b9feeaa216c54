"""A finished run as a document that commands change: the state of the review."""
