"""Stored must-link, cannot-link and reject constraints."""
