"""Pixels of any type, depth, mode and color profile -> 8-bit RGB."""
